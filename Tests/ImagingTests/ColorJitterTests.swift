import Basics
import Configuration
import Testing

@testable import Imaging

/// Every change against its formula in real numbers, over images with all kinds of colours.
@Suite struct ColorJitterTests {
    private let factors = [0.0, 0.5, 0.73, 1.0, 1.21, 1.5]
    private let image = patternImage(61, 47)

    @Test func brightnessMultiplies() {
        for factor in factors {
            compare {
                $0.brightness = fixed(factor)
                return .brightness
            } with: { pixel in
                pixel.map { $0 * factor }
            }
        }
    }

    @Test func contrastStretchesAroundTheMeanGrey() {
        let greys = pixels(image).map { grey($0).rounded() }
        let mean = greys.reduce(0, +) / Double(greys.count)
        for factor in factors {
            compare {
                $0.contrast = fixed(factor)
                return .contrast
            } with: { pixel in
                pixel.map { mean + ($0 - mean) * factor }
            }
        }
    }

    @Test func saturationStretchesAroundThePixelsGrey() {
        for factor in factors {
            compare {
                $0.saturation = fixed(factor)
                return .saturation
            } with: { pixel in
                let base = grey(pixel)
                return pixel.map { base + ($0 - base) * factor }
            }
        }
    }

    @Test func hueTurnsAndKeepsValueAndSaturation() {
        for shift in [-0.5, -18.0 / 255, -0.01, 0.003, 18.0 / 255, 0.2, 0.49] {
            compare {
                $0.hue = Int((shift * 6 * 65536).rounded())
                return .hue
            } with: {
                turned($0, by: shift)
            }
        }
    }

    @Test func greysAndExtremesHaveNoHue() {
        var jitter = ColorJitter()
        jitter.hue = 70_000
        let edge = Image(width: 4, height: 1) { $0.copyBytes(from: [0, 0, 0, 255, 255, 255, 9, 9, 9, 255, 0, 0]) }
        let result = applied(jitter, [.hue], to: edge)
        #expect(result[0, 0] == RGB8(0, 0, 0) && result[1, 0] == RGB8(255, 255, 255) && result[2, 0] == RGB8(9, 9, 9))
        #expect(result[3, 0] != RGB8(255, 0, 0))
    }

    @Test func changesApplyInTheDrawnOrder() {
        var jitter = ColorJitter()
        jitter.brightness = fixed(1.5)
        jitter.contrast = fixed(0.5)
        let once = applied(jitter, [.brightness, .contrast], to: image)
        #expect(once == applied(jitter, [.contrast], to: applied(jitter, [.brightness], to: image)))
        #expect(once != applied(jitter, [.contrast, .brightness], to: image))
    }

    @Test func drawsLieInTheSettingsRangesAndReachAllOrders() {
        var settings = AugmentationSettings()
        settings.brightness = 0.25
        var orders: Set<[Int]> = []
        for seed in 0..<500 as Range<UInt64> {
            var random = KeyedRandom(seed: seed, purpose: "augment")
            let jitter = ColorJitter(settings: settings, random: &random)
            #expect((49152...81920).contains(jitter.brightness) && (32768...98304).contains(jitter.contrast))
            #expect((32768...98304).contains(jitter.saturation) && abs(jitter.hue) <= 27757)
            orders.insert(jitter.order.map(\.rawValue))
        }
        #expect(orders.count == 24)
    }

    // MARK: References

    private func fixed(_ factor: Double) -> Int { Int((factor * 65536).rounded()) }
    private func grey(_ p: [Double]) -> Double { 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2] }

    private func pixels(_ image: Image) -> [[Double]] {
        let bytes = image.pixels.array(of: UInt8.self)
        return stride(from: 0, to: bytes.count, by: 3).map { bytes[$0..<$0 + 3].map(Double.init) }
    }

    private func applied(_ jitter: ColorJitter, _ order: [ColorJitter.Change], to image: Image) -> Image {
        var jitter = jitter
        jitter.order = order
        return Image(width: image.width, height: image.height) { target in
            let base = target.baseAddress!.assumingMemoryBound(to: UInt8.self)
            image.pixels.withUnsafeBytes { bytes in
                let source = bytes.baseAddress!.assumingMemoryBound(to: UInt8.self)
                jitter.apply(width: image.width, height: image.height, into: base, stride: image.width * 3) {
                    rows, done in
                    for y in 0..<image.height {
                        let row = rows[y]
                        for x in 0..<image.width {
                            let pixel = source + (y * image.width + x) * 3
                            (row.red[x], row.green[x], row.blue[x]) = (pixel[0], pixel[1], pixel[2])
                        }
                        done(y, row)
                    }
                }
            }
        }
    }

    private func compare(
        _ set: (inout ColorJitter) -> ColorJitter.Change, with reference: ([Double]) -> [Double]
    ) {
        var jitter = ColorJitter()
        let change = set(&jitter)
        let result = pixels(applied(jitter, [change], to: image))
        var worst = 0.0
        for (before, after) in zip(pixels(image), result) {
            for (expected, value) in zip(reference(before), after) {
                worst = max(worst, abs(min(max(expected, 0), 255) - value))
            }
        }
        #expect(worst <= 1, "\(change) \(jitter)")
    }

    /// HSV there and back, in real numbers.
    private func turned(_ p: [Double], by shift: Double) -> [Double] {
        let top = p.max()!
        let delta = top - p.min()!
        guard delta > 0 else { return p }
        var hue =
            top == p[0] ? (p[1] - p[2]) / delta : top == p[1] ? 2 + (p[2] - p[0]) / delta : 4 + (p[0] - p[1]) / delta
        hue = (hue + shift * 6).truncatingRemainder(dividingBy: 6)
        if hue < 0 { hue += 6 }
        let sector = Int(hue) % 6
        let f = hue - hue.rounded(.down)
        let low = top - delta
        let falling = top - delta * f
        let rising = top - delta * (1 - f)
        return [
            [top, rising, low], [falling, top, low], [low, top, rising], [low, falling, top], [rising, low, top],
            [top, low, falling],
        ][sector]
    }
}
