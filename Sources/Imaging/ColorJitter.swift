import Basics
import Configuration

/// Random changes of brightness, contrast, saturation and hue, in random order, as torchvision's `ColorJitter` does it.
///
/// Each change rounds to 8 bits, as there. Factors are fixed-point numbers and all arithmetic is in integers, so the
/// same draw gives the same bytes on every machine; each change is within one level of the real-valued formula.
struct ColorJitter: Equatable {
    enum Change: Int, CaseIterable { case brightness, contrast, saturation, hue }

    /// 1.0 of the factors.
    static let one = 1 << 16

    /// The order in which the changes apply.
    var order = Change.allCases
    /// Factors in units of 1/65536; 65536 changes nothing.
    var brightness = Self.one
    var contrast = Self.one
    var saturation = Self.one
    /// Shift of the hue in units of 1/65536 of a sixth of the colour circle; between minus and plus half a circle.
    var hue = 0

    init() {}

    /// Draws an order, then the four values, always all of them.
    init(settings: AugmentationSettings, random: inout KeyedRandom) {
        order = random.permutation(4).map { Change.allCases[$0] }
        func factor(_ range: Float) -> Int {
            Int((random.uniform(max(0, 1 - range), 1 + range) * Float(Self.one)).rounded())
        }
        brightness = factor(settings.brightness)
        contrast = factor(settings.contrast)
        saturation = factor(settings.saturation)
        hue = Int((random.uniform(-settings.hue, settings.hue) * 6 * Float(Self.one)).rounded())
    }

    /// Changes the pixels in place.
    func apply(to pixels: PixelRows) {
        for change in order {
            switch change {
            case .brightness where brightness != Self.one: changeBrightness(pixels)
            case .contrast where contrast != Self.one: changeContrast(pixels)
            case .saturation where saturation != Self.one: changeSaturation(pixels)
            case .hue where hue != 0: shiftHue(pixels)
            default: break
            }
        }
    }

    /// `v * factor`.
    func changeBrightness(_ pixels: PixelRows) {
        pixels.replace(by: (0..<256).map { clamp(($0 * brightness + 1 << 15) >> 16) })
    }

    /// `mean + (v - mean) * factor` with the mean grey of the window.
    func changeContrast(_ pixels: PixelRows) {
        var sum = 0
        pixels.forEachRow { row, width in
            for x in 0..<width { sum &+= Int(grey(row + 3 &* x)) }
        }
        let count = pixels.width * pixels.height
        let mean = (sum << 16 + count / 2) / count
        pixels.replace(
            by: (0..<256).map { clamp(($0 * contrast << 16 + (Self.one - contrast) * mean + 1 << 31) >> 32) })
    }

    /// `grey + (v - grey) * factor` with the pixel's own grey.
    func changeSaturation(_ pixels: PixelRows) {
        let factor = Int32(saturation)
        pixels.forEachRow { row, width in
            for x in 0..<width {
                let pixel = row + 3 &* x
                let base = (Int32(1 << 16) &- factor) &* grey(pixel) &+ 1 << 15
                for c in 0..<3 {
                    let value = (Int32(pixel[c]) &* factor &+ base) >> 16
                    pixel[c] = UInt8(truncatingIfNeeded: min(max(value, 0), 255))
                }
            }
        }
    }

    /// Turns the hue in HSV: the largest and the smallest channel value stay, what moves is which channel has them.
    func shiftHue(_ pixels: PixelRows) {
        let circle = Int32(6 << 16)
        let shift = (Int32(hue) % circle + circle) % circle
        // 2^24 / delta: a division per pixel becomes a multiplication.
        let reciprocals: [UInt32] = [0] + (1...255).map { UInt32((1 << 24 + $0 / 2) / $0) }
        reciprocals.withUnsafeBufferPointer { reciprocals in
            pixels.forEachRow { row, width in
                for x in 0..<width {
                    let pixel = row + 3 &* x
                    let r = Int32(pixel[0])
                    let g = Int32(pixel[1])
                    let b = Int32(pixel[2])
                    let top = max(r, max(g, b))
                    let delta = top &- min(r, min(g, b))
                    if delta == 0 { continue }
                    // Hue in sixths, 16 fractional bits: red at 0, green at 2, blue at 4.
                    let (centre, difference): (Int32, Int32) =
                        top == r ? (0, g &- b) : top == g ? (2 << 16, b &- r) : (4 << 16, r &- g)
                    let size = UInt32(truncatingIfNeeded: difference < 0 ? 0 &- difference : difference)
                    let offset = Int32(truncatingIfNeeded: (size &* reciprocals[Int(delta)] &+ 128) >> 8)
                    var turned = centre &+ (difference < 0 ? 0 &- offset : offset) &+ shift
                    if turned < 0 { turned &+= circle }
                    if turned >= circle { turned &-= circle }
                    pixel[0] = channel(5 << 16, turned, top, delta)
                    pixel[1] = channel(3 << 16, turned, top, delta)
                    pixel[2] = channel(1 << 16, turned, top, delta)
                }
            }
        }
    }
}

/// Rows of RGB pixels that may be changed in place, `stride` bytes apart.
struct PixelRows {
    let base: UnsafeMutablePointer<UInt8>
    let width: Int
    let height: Int
    let stride: Int

    @inline(__always)
    func forEachRow(_ body: (UnsafeMutablePointer<UInt8>, Int) -> Void) {
        for y in 0..<height { body(base + y * stride, width) }
    }

    func replace(by table: [UInt8]) {
        table.withUnsafeBufferPointer { table in
            forEachRow { row, width in
                for i in 0..<width &* 3 { row[i] = table[Int(row[i])] }
            }
        }
    }
}

/// ITU-R 601 luma as Pillow rounds it: (0.299 R + 0.587 G + 0.114 B).
@inline(__always)
private func grey(_ pixel: UnsafeMutablePointer<UInt8>) -> Int32 {
    (19595 &* Int32(pixel[0]) &+ 38470 &* Int32(pixel[1]) &+ 7471 &* Int32(pixel[2]) &+ 32768) >> 16
}

/// A channel of a colour from its hue: `V - delta * clamp(min(k, 4 - k), 0, 1)`, `k = (n + hue) mod 6`, with `n` = 5, 3,
/// 1 for red, green, blue (Smith's HSV hexcone, closed form).
@inline(__always)
private func channel(_ n: Int32, _ hue: Int32, _ top: Int32, _ delta: Int32) -> UInt8 {
    var k = n &+ hue
    if k >= 6 << 16 { k &-= 6 << 16 }
    let part = max(0, min(min(k, (4 << 16) &- k), 1 << 16))
    return UInt8(truncatingIfNeeded: top &- (delta &* part &+ 1 << 15) >> 16)
}

private func clamp(_ value: Int) -> UInt8 { UInt8(min(max(value, 0), 255)) }
