import Basics
import CPNG
import Testing

@testable import Imaging

@Suite struct PNGTests {
    @Test(arguments: [(1, 1), (7, 3), (64, 48)])
    func imagesSurviveTheRoundTrip(width: Int, height: Int) throws {
        let image = patternImage(width, height)
        #expect(try PNG.decodeImage(SharedBytes(PNG.encode(image)), name: "p") == image)
    }

    @Test func labelsSurviveTheRoundTripAsGreyAndAsPalette() throws {
        let labels = patternLabels(33, 21, below: 256)
        #expect(try PNG.decodeLabels(SharedBytes(PNG.encode(labels)), name: "p") == labels)
        let colored = SharedBytes(try PNG.encode(labels, palette: Palette.camvid))
        #expect(try PNG.decodeLabels(colored, name: "p") == labels)
        #expect(try PNG.decodeImage(colored, name: "p") == labels.colored(with: Palette.camvid))
    }

    @Test(arguments: [1, 2, 4], [false, true])
    func packedGreyLabelsKeepTheirNumbersUnscaled(depth: Int, interlaced: Bool) throws {
        let width = 13  // no whole number of bytes per row at any depth
        let labels = patternLabels(width, 9, below: 1 << depth)
        let packed = pack(labels, depth: depth)
        let grey = try rawPNG(
            packed, width: width, height: 9, depth: depth, type: SPNG_COLOR_TYPE_GRAYSCALE, interlaced: interlaced)
        #expect(try PNG.decodeLabels(grey, name: "p") == labels)
        let indexed = try rawPNG(
            packed, width: width, height: 9, depth: depth, type: SPNG_COLOR_TYPE_INDEXED,
            palette: Palette.generated(1 << depth), interlaced: interlaced)
        #expect(try PNG.decodeLabels(indexed, name: "p") == labels)
    }

    @Test func sixteenBitAndColourLabelMapsAreRefused() throws {
        let wide = try rawPNG(
            [UInt8](repeating: 0, count: 32), width: 4, height: 4, depth: 16, type: SPNG_COLOR_TYPE_GRAYSCALE)
        #expect(message { _ = try PNG.decodeLabels(wide, name: "a.png") }.hasPrefix("a.png: is a 16-bit PNG"))
        let color = SharedBytes(try PNG.encode(patternImage(4, 4)))
        #expect(message { _ = try PNG.decodeLabels(color, name: "a.png") }.hasPrefix("a.png: is a colour PNG"))
        let alpha = try rawPNG(
            [UInt8](repeating: 1, count: 32), width: 4, height: 4, depth: 8, type: SPNG_COLOR_TYPE_GRAYSCALE_ALPHA)
        #expect(message { _ = try PNG.decodeLabels(alpha, name: "a.png") }.hasPrefix("a.png: has an alpha channel"))
    }

    @Test func everyKindOfImageBecomesRGB() throws {
        let grey = try rawPNG([0, 100, 255, 7], width: 2, height: 2, depth: 8, type: SPNG_COLOR_TYPE_GRAYSCALE)
        #expect(try PNG.decodeImage(grey, name: "p")[1, 0] == RGB8(100, 100, 100))
        let alpha = try rawPNG(
            [1, 2, 3, 0, 4, 5, 6, 128], width: 2, height: 1, depth: 8, type: SPNG_COLOR_TYPE_TRUECOLOR_ALPHA)
        #expect(try PNG.decodeImage(alpha, name: "p")[0, 0] == RGB8(1, 2, 3))
        let greyAlpha = try rawPNG(
            [9, 0, 8, 255], width: 2, height: 1, depth: 8, type: SPNG_COLOR_TYPE_GRAYSCALE_ALPHA)
        #expect(try PNG.decodeImage(greyAlpha, name: "p")[1, 0] == RGB8(8, 8, 8))
        let indexed = try rawPNG(
            [0b0110_0000], width: 3, height: 1, depth: 1, type: SPNG_COLOR_TYPE_INDEXED,
            palette: [RGB8(1, 2, 3), RGB8(200, 201, 202)])
        #expect(try PNG.decodeImage(indexed, name: "p")[1, 0] == RGB8(200, 201, 202))
    }

    @Test func everyTruncationIsAnError() throws {
        let bytes = try PNG.encode(patternImage(40, 30))
        for tenth in 1...9 {
            let cut = prefix(bytes, bytes.count * tenth / 10)
            #expect(
                message { _ = try PNG.decodeImage(cut, name: "cut.png") }.hasPrefix("cut.png: corrupt or truncated PNG")
            )
        }
        #expect(throws: UserError.self) { try PNG.decodeImage(prefix(bytes, bytes.count - 12), name: "no end mark") }
        let labels = try PNG.encode(patternLabels(40, 30, below: 11))
        for tenth in 1...9 {
            #expect(throws: UserError.self, "\(tenth * 10)%") {
                try PNG.decodeLabels(prefix(labels, labels.count * tenth / 10), name: "cut.png")
            }
        }
    }

    @Test func aFlippedBitIsAnErrorWhereverItIs() throws {
        let bytes = try PNG.encode(patternLabels(16, 16, below: 11))
        for at in bytes.indices {
            var broken = bytes
            broken[at] ^= 0x10
            #expect(throws: UserError.self, "byte \(at) of \(bytes.count)") {
                try PNG.decodeLabels(SharedBytes(broken), name: "broken")
            }
        }
    }

    @Test func tooLargeIsRefusedByTheHeader() throws {
        let bytes = SharedBytes(try PNG.encode(patternImage(40, 10)))
        var limits = ImageLimits()
        limits.side = 39
        #expect(message { _ = try PNG.decodeImage(bytes, name: "a", limits: limits) }.contains("40x10"))
        limits = ImageLimits()
        limits.pixels = 399
        #expect(throws: UserError.self) { try PNG.decodeImage(bytes, name: "a", limits: limits) }
    }

    private func pack(_ labels: LabelMap, depth: Int) -> [UInt8] {
        (0..<labels.height).flatMap { y -> [UInt8] in
            var row = [UInt8](repeating: 0, count: (labels.width * depth + 7) / 8)
            for x in 0..<labels.width {
                row[x * depth / 8] |= labels[x, y] << UInt8(8 - depth - x * depth % 8)
            }
            return row
        }
    }
}
