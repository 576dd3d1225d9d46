import Basics
import CPNG
import CTurboJPEG
import Configuration
import Testing

@testable import Imaging

/// What is decoded of a part must be what the whole has there.
@Suite struct PartialDecodingTests {
    private static let samplings = [TJSAMP_444, TJSAMP_422, TJSAMP_420, TJSAMP_440, TJSAMP_411, TJSAMP_GRAY]

    /// Regions of every kind: single pixels, edges, all of it.
    private func regions(_ width: Int, _ height: Int, _ count: Int) -> [PixelRegion] {
        var random = KeyedRandom(seed: 3, purpose: "regions", step: UInt64(width), index: UInt64(height))
        func span(_ length: Int) -> (Int, Int) {
            let start = random.below(length)
            return (start, 1 + random.below(length - start))
        }
        return [PixelRegion(width: width, height: height)]
            + (0..<count).map { _ in
                let ((left, wide), (top, high)) = (span(width), span(height))
                return PixelRegion(left: left, top: top, width: wide, height: high)
            }
    }

    @Test(arguments: samplings.indices, [false, true])
    func jpegPartsAreThoseOfTheWhole(sampling: Int, progressive: Bool) throws {
        for (width, height) in [(203, 151), (64, 48), (7, 90)] {
            let file = try encoded(patternImage(width, height), Self.samplings[sampling], progressive: progressive)
            let library = try wholeByTurboJPEG(file, width, height)
            #expect(try JPEG.decode(file, name: "whole") == library)
            for shrink in [1, 2, 4, 8] {
                let (w, h) = ((width + shrink - 1) / shrink, (height + shrink - 1) / shrink)
                let whole = try JPEG.decode(
                    file, region: PixelRegion(width: w, height: h), shrink: shrink, name: "whole")
                for region in regions(w, h, 40) {
                    let part = try JPEG.decode(file, region: region, shrink: shrink, name: "part")
                    #expect(part == whole.cropped(to: region), "\(region) of \(w)x\(h), shrunk \(shrink) times")
                }
            }
        }
    }

    @Test(arguments: [false, true]) func pngPartsAreThoseOfTheWhole(interlaced: Bool) throws {
        let image = patternImage(61, 47)
        let file = try rawPNG(
            image.pixels.array(of: UInt8.self), width: 61, height: 47, depth: 8, type: SPNG_COLOR_TYPE_TRUECOLOR,
            interlaced: interlaced)
        let labels = patternLabels(61, 47, below: 200)
        let map = try rawPNG(
            labels.values.array(of: UInt8.self), width: 61, height: 47, depth: 8, type: SPNG_COLOR_TYPE_GRAYSCALE,
            interlaced: interlaced)
        for region in regions(61, 47, 60) {
            let part = try PNG.decodeImage(file, region: region, name: "p", limits: .standard)
            #expect(part == image.cropped(to: region))
            let numbers = try PNG.decodeLabels(map, region: region, name: "p", limits: .standard)
            #expect(numbers == labels.cropped(to: region))
        }
    }

    /// A part above the cut is there, but the file is damaged all the same.
    @Test func filesWithoutTheirEndAreRefused() throws {
        let top = PixelRegion(width: 64, height: 4)
        let jpeg = try JPEG.encode(patternImage(64, 48))
        let png = try PNG.encode(patternImage(64, 48))
        for tenth in 5...9 {
            let cut = SharedBytes(Array(jpeg.prefix(jpeg.count * tenth / 10)))
            #expect(throws: UserError.self) { try JPEG.decode(cut, region: top, shrink: 1, name: "j") }
            let half = SharedBytes(Array(png.prefix(png.count * tenth / 10)))
            #expect(throws: UserError.self) { try PNG.decodeImage(half, region: top, name: "p", limits: .standard) }
        }
        // What cameras write behind the end does no harm.
        let longer = SharedBytes(jpeg + [0, 0, 1, 2])
        #expect(
            try JPEG.decode(longer, region: top, shrink: 1, name: "j")
                == JPEG.decode(SharedBytes(jpeg), name: "j").cropped(to: top))
    }

    /// Some cameras fill files up before the end marker. Of other bytes nobody knows whether pixels miss them.
    @Test(arguments: [0, 0xff, 0x20] as [UInt8]) func bytesAllAlikeBeforeTheEndAreNoFault(_ byte: UInt8) throws {
        let jpeg = try JPEG.encode(patternImage(64, 48))
        func filled(_ bytes: [UInt8]) -> SharedBytes { SharedBytes(jpeg.dropLast(2) + bytes + jpeg.suffix(2)) }
        let image = try JPEG.decode(SharedBytes(jpeg), name: "j")
        #expect(try JPEG.decode(filled([UInt8](repeating: byte, count: 40)), name: "j") == image)
        if byte != 0xff {
            #expect(throws: UserError.self) {
                try JPEG.decode(filled([UInt8](repeating: byte, count: 4000)), name: "j")
            }
        }
        #expect(throws: UserError.self) { try JPEG.decode(filled((1...40).map { $0 * 3 }), name: "j") }
    }

    @Test func corruptPartsAreErrorsOrPictures() throws {
        let bytes = try encoded(patternImage(96, 80), TJSAMP_420, progressive: false).array(of: UInt8.self)
        var random = KeyedRandom(seed: 8, purpose: "corrupt")
        var refused = 0
        for round in 0..<300 {
            var broken = bytes
            for _ in 0..<3 { broken[200 + random.below(broken.count - 200)] = UInt8(random.below(256)) }
            let region = regions(96, 80, 5)[round % 6]
            do {
                let size = try JPEG.size(SharedBytes(broken), name: "b", limits: .standard)
                guard size == (96, 80) else { continue }
                _ = try JPEG.decode(SharedBytes(broken), region: region, shrink: 1, name: "b")
            } catch {
                refused += 1
            }
        }
        #expect(refused > 50)
    }

    /// A sample from files is the sample from the whole images.
    @Test func samplesFromFilesAreThoseOfWholeImages() throws {
        let picture = patternImage(120, 90)
        let labels = patternLabels(120, 90, below: 11)
        let map = SharedBytes(try PNG.encode(labels))
        var settings = AugmentationSettings()
        settings.crop = [60, 80]
        settings.scale = [0.51, 2]
        for file in [try encoded(picture, TJSAMP_420, progressive: false), SharedBytes(try PNG.encode(picture))] {
            let whole = try ImageFile.decode(file, name: "whole")
            for seed in 0..<60 as Range<UInt64> {
                let one = try augment(
                    whole, labels, settings: settings, seed: seed, padding: RGB8(1, 2, 3))
                let other = try CropSource(file, name: "image", settings: settings, seed: seed) { region, _, _ in
                    try PNG.decodeLabels(map, region: region, name: "labels", limits: .standard)
                }.augmented(padding: RGB8(1, 2, 3))
                #expect(one.image == other.image && one.label == other.label, "seed \(seed)")
            }
        }
    }

    /// A JPEG that is to become small is shrunk by its decoder: alike on the whole, and the labels stay where they were.
    @Test func shrunkSamplesLookLikeTheOthers() throws {
        let picture = Image(width: 400, height: 300) { target in
            for i in 0..<400 * 300 {
                target[3 * i] = UInt8(i % 400 / 2)
                target[3 * i + 1] = UInt8(i / 400 / 2)
                target[3 * i + 2] = 90
            }
        }
        let labels = patternLabels(400, 300, below: 11)
        let file = try encoded(picture, TJSAMP_420, progressive: false)
        let map = SharedBytes(try PNG.encode(labels))
        var settings = AugmentationSettings()
        settings.crop = [60, 80]
        (settings.brightness, settings.contrast, settings.saturation, settings.hue) = (0, 0, 0, 0)
        for scale in [0.5, 0.26, 0.25, 0.12] as [Float] {
            settings.scale = [scale, scale]
            for seed in 0..<10 as Range<UInt64> {
                let one = try augment(picture, labels, settings: settings, seed: seed, padding: RGB8(0, 0, 0))
                let other = try CropSource(file, name: "image", settings: settings, seed: seed) { region, _, _ in
                    try PNG.decodeLabels(map, region: region, name: "labels", limits: .standard)
                }.augmented(padding: RGB8(0, 0, 0))
                #expect(one.label == other.label)
                let worst = zip(one.image.pixels.array(of: UInt8.self), other.image.pixels.array(of: UInt8.self))
                    .map { abs(Int($0) - Int($1)) }.max()!
                // A gradient of one level per 2 pixels: an eighth's average is off by half of 8 pixels at the very edge.
                #expect(worst <= 6, "scale \(scale), seed \(seed)")
            }
        }
    }

    // MARK: By the TurboJPEG interface

    private func encoded(_ image: Image, _ sampling: TJSAMP, progressive: Bool) throws -> SharedBytes {
        let encoder = try #require(tjInitCompress())
        defer { tjDestroy(encoder) }
        var output: UnsafeMutablePointer<UInt8>?
        var size: UInt = 0
        defer { tjFree(output) }
        let status = image.pixels.withUnsafeBytes {
            tjCompress2(
                encoder, $0.baseAddress!.assumingMemoryBound(to: UInt8.self), Int32(image.width), 0,
                Int32(image.height), Int32(TJPF_RGB.rawValue), &output, &size, Int32(sampling.rawValue), 85,
                progressive ? TJFLAG_PROGRESSIVE : 0)
        }
        try #require(status == 0)
        return SharedBytes(Array(UnsafeBufferPointer(start: output, count: Int(size))))
    }

    private func wholeByTurboJPEG(_ file: SharedBytes, _ width: Int, _ height: Int) throws -> Image {
        let decoder = try #require(tjInitDecompress())
        defer { tjDestroy(decoder) }
        return try file.withUnsafeBytes { bytes in
            try Image(width: width, height: height) { target in
                let status = tjDecompress2(
                    decoder, bytes.baseAddress!.assumingMemoryBound(to: UInt8.self), UInt(bytes.count),
                    target.baseAddress!.assumingMemoryBound(to: UInt8.self), Int32(width), 0, Int32(height),
                    Int32(TJPF_RGB.rawValue), TJFLAG_ACCURATEDCT)
                try #require(status == 0)
            }
        }
    }
}
