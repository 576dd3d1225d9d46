import Basics
import CTurboJPEG
import Testing

@testable import Imaging

@Suite struct JPEGTests {
    /// Smooth, as photographs are: noise does not survive JPEG.
    private let smooth = Image(width: 50, height: 34) { target in
        for i in 0..<50 * 34 {
            target[3 * i] = UInt8(i % 50 * 5)
            target[3 * i + 1] = UInt8(i / 50 * 7)
            target[3 * i + 2] = 90
        }
    }

    @Test func imagesComeBackNearlyUnchanged() throws {
        let back = try JPEG.decode(SharedBytes(JPEG.encode(smooth, quality: 95)), name: "j")
        #expect(back.width == 50 && back.height == 34)
        let worst = zip(back.pixels.array(of: UInt8.self), smooth.pixels.array(of: UInt8.self))
            .map { abs(Int($0) - Int($1)) }.max()!
        #expect(worst <= 8)  // quantisation steps at quality 95 are up to 12, halved
        #expect(worst > 0, "a lossless result would mean that nothing was encoded")
    }

    /// Behind the first segment, as some programs leave them.
    @Test func bytesBetweenSegmentsAreNoFault() throws {
        let bytes = try JPEG.encode(smooth, quality: 90)
        let first = 4 + (Int(bytes[4]) << 8 | Int(bytes[5]))
        let padded = Array(bytes[..<first]) + [0, 0] + Array(bytes[first...])
        let clean = try JPEG.decode(SharedBytes(bytes), name: "j")
        #expect(bytes[first] == 0xff && bytes[3] == 0xe0)
        #expect(try JPEG.decode(SharedBytes(padded), name: "j") == clean)
    }

    /// Samsung's cameras write zeros where a sequential scan has its last coefficient's number.
    @Test func scanParametersThatNobodyUsesAreNoFault() throws {
        var bytes = try JPEG.encode(smooth, quality: 90)
        let clean = try JPEG.decode(SharedBytes(bytes), name: "j")
        let scan = try #require(bytes.indices.first { bytes[$0] == 0xff && bytes[$0 + 1] == 0xda })
        let last = scan + 2 + Int(bytes[scan + 3]) - 2
        #expect(bytes[last] == 63)
        bytes[last] = 0
        #expect(try JPEG.decode(SharedBytes(bytes), name: "j") == clean)
    }

    @Test func everyTruncationIsAnError() throws {
        let bytes = try JPEG.encode(patternImage(64, 48), quality: 90)
        for tenth in 1...9 {
            let cut = prefix(bytes, bytes.count * tenth / 10)
            #expect(
                message { _ = try JPEG.decode(cut, name: "cut.jpg") }.hasPrefix("cut.jpg: corrupt"), "\(tenth * 10)%")
        }
        #expect(message { _ = try JPEG.decode(prefix(bytes, bytes.count - 2), name: "cut.jpg") }.contains("truncated"))
    }

    @Test func corruptDataNeitherTrapsNorPassesAsAnotherSize() throws {
        let bytes = try JPEG.encode(patternImage(64, 48), quality: 90)
        var random = KeyedRandom(seed: 5, purpose: "corrupt")
        var refused = 0
        for _ in 0..<300 {
            var broken = bytes
            for _ in 0..<4 { broken[random.below(broken.count)] = UInt8(random.below(256)) }
            do {
                var limits = ImageLimits()
                limits.side = 4096
                _ = try JPEG.decode(SharedBytes(broken), name: "b", limits: limits)
            } catch {
                refused += 1
                #expect(!"\(error)".contains("\n"))
            }
        }
        #expect(refused > 100)
    }

    @Test func greyBecomesRGB() throws {
        #expect(try JPEG.decode(encoded(TJPF_GRAY, bytesPerPixel: 1, TJSAMP_GRAY), name: "g")[3, 3] == RGB8(77, 77, 77))
    }

    /// Pillow 13.0's `Image.open(file).convert("RGB")` of files of one colour, in Adobe's numbers (255: no ink).
    @Test(arguments: [
        ([255, 255, 255, 255], RGB8(255, 255, 255)), ([0, 0, 0, 0], RGB8(0, 0, 0)),
        ([0, 255, 255, 255], RGB8(0, 255, 255)),
        ([200, 100, 50, 255], RGB8(200, 100, 50)), ([200, 100, 50, 128], RGB8(100, 50, 25)),
        ([77, 77, 77, 77], RGB8(23, 23, 23)),
    ])
    func printingColoursBecomeRGBAsInPillow(inks: [UInt8], color: RGB8) throws {
        let file = try encoded(TJPF_CMYK, bytesPerPixel: 4, TJSAMP_444, pixel: inks)
        // The encoder stores such colours as luma and chroma, whose conversion rounds.
        let decoded = try JPEG.decode(file, name: "c.jpg")[3, 3]
        for (a, b) in [(decoded.red, color.red), (decoded.green, color.green), (decoded.blue, color.blue)] {
            #expect(abs(Int(a) - Int(b)) <= 1)
        }
        #expect(
            message { _ = try JPEG.decode(prefix(file.array(), file.count - 9), name: "c.jpg") }.contains("truncated"))
    }

    @Test func tooLargeIsRefusedByTheHeader() throws {
        var bytes = try JPEG.encode(smooth)
        let frame = try #require(bytes.indices.first { bytes[$0] == 0xff && bytes[$0 + 1] == 0xc0 })
        bytes.replaceSubrange(frame + 5..<frame + 9, with: [0xf0, 0, 0xf0, 0])
        #expect(message { _ = try JPEG.decode(SharedBytes(bytes), name: "bomb") }.contains("61440x61440 pixels"))
    }

    @Test func impossibleQualitiesAreErrors() {
        #expect(throws: UserError.self) { try JPEG.encode(smooth, quality: 0) }
        #expect(throws: UserError.self) { try JPEG.encode(smooth, quality: 101) }
    }

    private func encoded(
        _ format: TJPF, bytesPerPixel: Int, _ sampling: TJSAMP, pixel: [UInt8] = [77, 77, 77, 77]
    ) throws -> SharedBytes {
        let encoder = try #require(tjInitCompress())
        defer { tjDestroy(encoder) }
        var output: UnsafeMutablePointer<UInt8>?
        var size: UInt = 0
        defer { tjFree(output) }
        let pixels = (0..<256 * bytesPerPixel).map { pixel[$0 % bytesPerPixel] }
        #expect(
            tjCompress2(
                encoder, pixels, 16, 0, 16, Int32(format.rawValue), &output, &size, Int32(sampling.rawValue), 100, 0)
                == 0)
        return SharedBytes(Array(UnsafeBufferPointer(start: output, count: Int(size))))
    }
}
