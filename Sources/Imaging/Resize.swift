import Basics

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
    ///
    /// Rows are first interpolated across, each source row once as long as it is in use, then down. Coordinates are
    /// fractions of integers: no rounding depends on a machine.
    func resize(window: ScaledWindow, into target: UnsafeMutablePointer<UInt8>, stride: Int) {
        let across = window.columns.map { BilinearTap(at: $0, source: width, scaled: window.scaledWidth) }
        let down = window.rows.map { BilinearTap(at: $0, source: height, scaled: window.scaledHeight) }
        let rowLength = window.width * 3
        let scratch = UnsafeMutablePointer<Int32>.allocate(capacity: rowLength * 2)
        defer { scratch.deallocate() }
        var upper = scratch
        var lower = scratch + rowLength
        var upperRow = -1
        var lowerRow = -1
        pixels.withUnsafeBytes { bytes in
            let source = bytes.baseAddress!.assumingMemoryBound(to: UInt8.self)
            across.withUnsafeBufferPointer { across in
                for (y, tap) in down.enumerated() {
                    if tap.low != upperRow {
                        if tap.low == lowerRow {
                            swap(&upper, &lower)
                            swap(&upperRow, &lowerRow)
                        } else {
                            interpolateRow(source + tap.low * width * 3, across, into: upper)
                            upperRow = tap.low
                        }
                    }
                    if tap.high != tap.low && tap.high != lowerRow {
                        interpolateRow(source + tap.high * width * 3, across, into: lower)
                        lowerRow = tap.high
                    }
                    let second = tap.high == tap.low ? upper : lower
                    let weight = tap.weight
                    let row = target + y * stride
                    for i in 0..<rowLength {
                        let sum = upper[i] &* (BilinearTap.one &- weight) &+ second[i] &* weight &+ (1 << 21)
                        row[i] = UInt8(truncatingIfNeeded: sum >> 22)
                    }
                }
            }
        }
    }
}

extension LabelMap {
    /// Computes the window of the resized map into rows `stride` bytes apart.
    func resize(window: ScaledWindow, into target: UnsafeMutablePointer<UInt8>, stride: Int) {
        let columns = window.columns.map { nearest($0, source: width, scaled: window.scaledWidth) }
        values.withUnsafeBytes { bytes in
            let source = bytes.baseAddress!.assumingMemoryBound(to: UInt8.self)
            columns.withUnsafeBufferPointer { columns in
                for (y, scaledRow) in window.rows.enumerated() {
                    let from = source + nearest(scaledRow, source: height, scaled: window.scaledHeight) * width
                    let row = target + y * stride
                    for x in 0..<columns.count { row[x] = from[columns[x]] }
                }
            }
        }
    }
}

/// Two neighbours of a resized pixel's centre and the weight of the second.
private struct BilinearTap {
    static let one: Int32 = 1 << 11

    let low: Int
    let high: Int
    let weight: Int32

    /// - Parameters:
    ///   - at: position in the resized line of `scaled` pixels.
    ///   - source: length of the line that is resized.
    init(at: Int, source: Int, scaled: Int) {
        // (at + 1/2) * source / scaled - 1/2, times 2 * scaled
        let numerator = max(0, (2 * at + 1) * source - scaled)
        let denominator = 2 * scaled
        low = min(numerator / denominator, source - 1)
        high = min(low + 1, source - 1)
        let rest = numerator - low * denominator
        weight = high == low ? 0 : Int32((rest * Int(Self.one) + denominator / 2) / denominator)
    }
}

/// The source pixel under the centre of pixel `at` of the resized line.
private func nearest(_ at: Int, source: Int, scaled: Int) -> Int {
    min((2 * at + 1) * source / (2 * scaled), source - 1)
}

private func interpolateRow(
    _ source: UnsafePointer<UInt8>, _ taps: UnsafeBufferPointer<BilinearTap>, into row: UnsafeMutablePointer<Int32>
) {
    for x in 0..<taps.count {
        let tap = taps[x]
        let a = source + tap.low &* 3
        let b = source + tap.high &* 3
        let second = tap.weight
        let first = BilinearTap.one &- second
        let out = row + x &* 3
        out[0] = Int32(a[0]) &* first &+ Int32(b[0]) &* second
        out[1] = Int32(a[1]) &* first &+ Int32(b[1]) &* second
        out[2] = Int32(a[2]) &* first &+ Int32(b[2]) &* second
    }
}
