import Basics
import CPixels

extension Image {
    /// The image at another size, bilinearly: pixel centres correspond (torch's `align_corners=False`), no antialiasing.
    ///
    /// Integer arithmetic with weights of 11 bits, within one level of the real-valued result and the same everywhere.
    ///
    /// - Precondition: both sides are positive.
    public func resized(width newWidth: Int, height newHeight: Int) -> Image {
        if newWidth == width && newHeight == height { return self }
        return Image(width: newWidth, height: newHeight) { target in
            resize(
                window: ScaledWindow(
                    scaledWidth: newWidth, scaledHeight: newHeight, left: 0, top: 0, width: newWidth,
                    height: newHeight, flipped: false),
                into: target.baseAddress!.assumingMemoryBound(to: UInt8.self), stride: newWidth * 3)
        }
    }
}

extension LabelMap {
    /// The map at another size: each pixel takes the number at its centre (torch's `nearest-exact`), so that it stays
    /// aligned with an image resized bilinearly.
    ///
    /// - Precondition: both sides are positive.
    public func resized(width newWidth: Int, height newHeight: Int) -> LabelMap {
        if newWidth == width && newHeight == height { return self }
        return LabelMap(width: newWidth, height: newHeight) { target in
            resize(
                window: ScaledWindow(
                    scaledWidth: newWidth, scaledHeight: newHeight, left: 0, top: 0, width: newWidth,
                    height: newHeight, flipped: false),
                into: target.baseAddress!.assumingMemoryBound(to: UInt8.self), stride: newWidth)
        }
    }
}

/// A part of an image that is thought of as already resized: only this part is computed.
struct ScaledWindow: Equatable {
    /// The size of the whole resized image.
    var scaledWidth: Int
    var scaledHeight: Int
    /// The window's corner in the resized image, and its size.
    var left: Int
    var top: Int
    var width: Int
    var height: Int
    /// Mirrors the window's columns.
    var flipped: Bool

    /// The columns of the resized image in the window's order.
    var columns: [Int] { flipped ? (left..<left + width).reversed() : Array(left..<left + width) }
    var rows: [Int] { Array(top..<top + height) }
}

extension Image {
    /// Computes the window of the resized image into rows `stride` bytes apart.
    func resize(window: ScaledWindow, into target: UnsafeMutablePointer<UInt8>, stride: Int) {
        ImagePart(self).forEachRow(of: window, in: PlanarRows(width: window.width, count: 1)) { y, row in
            row.interleave(into: target + y * stride)
        }
    }
}

extension ImagePart {
    /// Computes the rows of a window of the resized whole, of which this part holds all that is needed, one after another.
    ///
    /// Rows are first interpolated across, each source row once as long as it is in use, then down. Coordinates are
    /// fractions of integers: no rounding depends on a machine.
    ///
    /// - Parameters:
    ///   - rows: take them in turn.
    ///   - body: gets each row and its number in the window.
    func forEachRow(of window: ScaledWindow, in rows: PlanarRows, _ body: (_ y: Int, _ row: PlanarRow) -> Void) {
        let across = window.columns.map { column in
            let tap = BilinearTap(at: column, source: width, scaled: window.scaledWidth, shrink: shrink)
            return px_tap(
                low: Int32((tap.low - left) * 3), high: Int32((tap.high - left) * 3), weight: tap.weight)
        }
        let length = window.width * 3
        let scratch = UnsafeMutablePointer<Int32>.allocate(capacity: length * 2)
        defer { scratch.deallocate() }
        var (upper, lower) = (scratch, scratch + length)
        var (upperRow, lowerRow) = (-1, -1)
        let count = Int32(window.width)
        image.pixels.withUnsafeBytes { bytes in
            let source = bytes.baseAddress!.assumingMemoryBound(to: UInt8.self)
            func interpolate(_ line: Int, into planes: UnsafeMutablePointer<Int32>) {
                px_across(
                    source + (line - top) * image.width * 3, across, count, planes, planes + window.width,
                    planes + 2 * window.width)
            }
            for y in 0..<window.height {
                let tap = BilinearTap(at: window.top + y, source: height, scaled: window.scaledHeight, shrink: shrink)
                if tap.low != upperRow {
                    if tap.low == lowerRow {
                        swap(&upper, &lower)
                        swap(&upperRow, &lowerRow)
                    } else {
                        interpolate(tap.low, into: upper)
                        upperRow = tap.low
                    }
                }
                if tap.high != tap.low, tap.high != lowerRow {
                    interpolate(tap.high, into: lower)
                    lowerRow = tap.high
                }
                // The planes lie behind one another, in all of them.
                let row = rows[y]
                px_down(upper, tap.high == tap.low ? upper : lower, tap.weight, row.red, Int32(length))
                body(y, row)
            }
        }
    }
}

extension ScaledWindow {
    /// How often an image can be halved first and still be no smaller than it is to become: 1, 2, 4 or 8 times.
    func shrink(ofWidth sourceWidth: Int, height sourceHeight: Int) -> Int {
        [8, 4, 2].first { scaledWidth * $0 <= sourceWidth && scaledHeight * $0 <= sourceHeight } ?? 1
    }

    /// The pixels that the window is interpolated from, in an image of `width` x `height` shrunk `shrink` times.
    func region(ofWidth sourceWidth: Int, height sourceHeight: Int, shrink: Int) -> PixelRegion {
        func span(_ start: Int, _ count: Int, _ source: Int, _ scaled: Int) -> (Int, Int) {
            let first = BilinearTap(at: start, source: source, scaled: scaled, shrink: shrink)
            let last = BilinearTap(at: start + count - 1, source: source, scaled: scaled, shrink: shrink)
            return (first.low, last.high - first.low + 1)
        }
        let (x, wide) = span(left, width, sourceWidth, scaledWidth)
        let (y, high) = span(top, height, sourceHeight, scaledHeight)
        return PixelRegion(left: x, top: y, width: wide, height: high)
    }
}

extension LabelMap {
    /// Computes the window of the resized map into rows `stride` bytes apart.
    func resize(window: ScaledWindow, into target: UnsafeMutablePointer<UInt8>, stride: Int) {
        resize(window: window, at: (0, 0), of: (width, height), into: target, stride: stride)
    }

    /// The same from a part of the whole map that holds all that is needed.
    ///
    /// - Parameters:
    ///   - corner: where this part begins in the whole.
    ///   - whole: the whole's width and height.
    func resize(
        window: ScaledWindow, at corner: (left: Int, top: Int), of whole: (width: Int, height: Int),
        into target: UnsafeMutablePointer<UInt8>, stride: Int
    ) {
        let columns = window.columns.map {
            nearest($0, source: whole.width, scaled: window.scaledWidth) - corner.left
        }
        values.withUnsafeBytes { bytes in
            let source = bytes.baseAddress!.assumingMemoryBound(to: UInt8.self)
            columns.withUnsafeBufferPointer { columns in
                for (y, scaledRow) in window.rows.enumerated() {
                    let line = nearest(scaledRow, source: whole.height, scaled: window.scaledHeight) - corner.top
                    let from = source + line * width
                    let row = target + y * stride
                    for x in 0..<columns.count { row[x] = from[columns[x]] }
                }
            }
        }
    }
}

/// Two neighbours of a resized pixel's centre and the weight of the second.
struct BilinearTap {
    static let one: Int32 = 1 << 11

    let low: Int
    let high: Int
    let weight: Int32

    /// - Parameters:
    ///   - at: position in the resized line of `scaled` pixels.
    ///   - source: length of the line that is resized.
    ///   - shrink: how many of its pixels each pixel at hand stands for.
    init(at: Int, source: Int, scaled: Int, shrink: Int = 1) {
        // ((at + 1/2) * source / scaled) / shrink - 1/2, times 2 * scaled * shrink
        let denominator = 2 * scaled * shrink
        let numerator = max(0, (2 * at + 1) * source - scaled * shrink)
        let last = (source + shrink - 1) / shrink - 1
        low = min(numerator / denominator, last)
        high = min(low + 1, last)
        let rest = numerator - low * denominator
        weight = high == low ? 0 : Int32((rest * Int(Self.one) + denominator / 2) / denominator)
    }
}

/// The source pixel under the centre of pixel `at` of the resized line.
private func nearest(_ at: Int, source: Int, scaled: Int) -> Int {
    min((2 * at + 1) * source / (2 * scaled), source - 1)
}
