import Testing

@testable import Imaging

@Suite struct ThumbnailTests {
    private func image(_ width: Int, _ height: Int, _ color: (Int, Int) -> UInt8) -> Image {
        Image(width: width, height: height) { target in
            for y in 0..<height {
                for x in 0..<width { for c in 0..<3 { target[(y * width + x) * 3 + c] = color(x, y) } }
            }
        }
    }

    @Test func longerSideIsTheLimitAndSmallImagesStay() {
        let cases = [
            (2048, 1024, 320, 160), (480, 360, 320, 240), (100, 1000, 32, 320), (3000, 2, 320, 1), (64, 48, 64, 48),
        ]
        for (width, height, newWidth, newHeight) in cases {
            let small = image(width, height) { _, _ in 7 }.thumbnail(side: 320)
            #expect(small.width == newWidth && small.height == newHeight, "\(width)x\(height)")
            #expect(small.pixels.array(of: UInt8.self).allSatisfy { $0 == 7 })
            let map = LabelMap(width: width, height: height) { $0.initializeMemory(as: UInt8.self, repeating: 3) }
            let labels = map.thumbnail(side: 320)
            #expect(labels.width == newWidth && labels.height == newHeight)
        }
    }

    /// A chequered pattern finer than the thumbnail's pixels is grey in it.
    @Test func fineStructureIsAveraged() {
        let fine = image(1280, 640) { x, y in (x + y) % 2 == 0 ? 0 : 200 }
        #expect(fine.thumbnail(side: 320).pixels.array(of: UInt8.self).allSatisfy { $0 == 100 })
    }

    @Test func stripHasItsPicturesFromLeftToRight() {
        let strip = Image.strip([1, 2, 3].map { number in image(2, 2) { x, y in UInt8(100 * y + 10 * x) + number } })
        #expect(strip.width == 6 && strip.height == 2)
        #expect((0..<6).map { strip[$0, 0].red } == [1, 11, 2, 12, 3, 13])
        #expect((0..<6).map { strip[$0, 1].blue } == [101, 111, 102, 112, 103, 113])
    }

    @Test func errorsAreRedRightIsGreyAndUnlabelledDark() throws {
        let picture = image(3, 1) { _, _ in 120 }
        let label = LabelMap(width: 3, height: 1) { $0.copyBytes(from: [1, 1, 255]) }
        let prediction = LabelMap(width: 3, height: 1) { $0.copyBytes(from: [1, 2, 1]) }
        let errors = try picture.errors(of: prediction, against: label)
        #expect(errors[0, 0] == RGB8(124, 124, 124))
        #expect(errors[1, 0].red > 150 && errors[1, 0].green < 50)
        #expect(errors[2, 0] == RGB8(30, 30, 30))
        #expect(throws: (any Error).self) {
            try picture.errors(of: LabelMap(width: 1, height: 1) { $0[0] = 0 }, against: label)
        }
    }
}
