import Basics
import CPixels
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

    /// The changes that do something, in their order.
    private var effective: [Change] {
        order.filter { change in
            switch change {
            case .brightness: brightness != Self.one
            case .contrast: contrast != Self.one
            case .saturation: saturation != Self.one
            case .hue: hue != 0
            }
        }
    }

    /// Changes a window's rows as they are made and writes them as RGB pixels.
    ///
    /// Contrast turns about the window's mean grey: what comes before it is done row by row as they are made, then the rest
    /// row by row again.
    ///
    /// - Parameters:
    ///   - make: fills the rows that it is given, in order, and calls its second argument after each.
    ///   - target: of rows `stride` bytes apart.
    func apply(
        width: Int, height: Int, into target: UnsafeMutablePointer<UInt8>, stride: Int,
        make: (PlanarRows, (_ y: Int, _ row: PlanarRow) -> Void) -> Void
    ) {
        let changes = effective
        guard let contrast = changes.firstIndex(of: .contrast) else {
            make(PlanarRows(width: width, count: 1)) { y, row in
                apply(changes[...], to: row)
                row.interleave(into: target + y * stride)
            }
            return
        }
        let rows = PlanarRows(width: width, count: height)
        var sum: UInt64 = 0
        make(rows) { _, row in
            apply(changes[..<contrast], to: row)
            sum += row.greySum
        }
        let count = width * height
        let mean = (Int(sum) << 16 + count / 2) / count
        for y in 0..<height {
            let row = rows[y]
            applyContrast(mean: mean, to: row)
            apply(changes[(contrast + 1)...], to: row)
            row.interleave(into: target + y * stride)
        }
    }

    /// Applies changes other than contrast to a row.
    private func apply(_ changes: ArraySlice<Change>, to row: PlanarRow) {
        let count = Int32(row.width)
        for change in changes {
            switch change {
            // `v * factor`
            case .brightness: px_scale(row.red, 3 * count, Int32(brightness), 1 << 15)
            // `grey + (v - grey) * factor` with the pixel's own grey
            case .saturation: px_saturate(row.red, row.green, row.blue, count, Int32(saturation))
            // In HSV: the largest and the smallest channel value stay, what moves is which channel has them.
            case .hue:
                let circle = Int32(6 << 16)
                let shift = (Int32(hue) % circle + circle) % circle
                px_shift_hue(row.red, row.green, row.blue, count, shift, Self.reciprocals)
            case .contrast: preconditionFailure("contrast needs the mean grey")
            }
        }
    }

    /// `mean + (v - mean) * factor`, the window's mean grey in 1/65536.
    private func applyContrast(mean: Int, to row: PlanarRow) {
        // v * factor + (1 - factor) * mean, rounded; all but v's part is the same for every v.
        let offset = ((Self.one - contrast) * mean + 1 << 31) >> 16
        px_scale(row.red, Int32(3 * row.width), Int32(contrast), Int32(offset))
    }

    /// 2^24 / delta: a division per pixel becomes a multiplication.
    private static let reciprocals: [UInt32] = [0] + (1...255).map { UInt32((1 << 24 + $0 / 2) / $0) }
}
