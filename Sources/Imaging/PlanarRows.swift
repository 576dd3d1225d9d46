import CPixels

/// Rows of pixels with their channels apart, as vector instructions want them.
///
/// Owns their memory. Fewer rows than an image has are used over and over: row `y` takes the place of row `y - count`.
final class PlanarRows {
    let width: Int
    private let count: Int
    private let memory: UnsafeMutablePointer<UInt8>

    /// Room for rows that are still to be filled.
    init(width: Int, count: Int) {
        self.width = width
        self.count = count
        memory = .allocate(capacity: 3 * width * count)
    }

    deinit { memory.deallocate() }

    subscript(y: Int) -> PlanarRow { PlanarRow(width: width, red: memory + y % count * 3 * width) }
}

/// One row of pixels: its reds, greens and blues behind one another, in memory of `PlanarRows`.
struct PlanarRow {
    let width: Int
    let red: UnsafeMutablePointer<UInt8>
    var green: UnsafeMutablePointer<UInt8> { red + width }
    var blue: UnsafeMutablePointer<UInt8> { red + 2 * width }

    /// Writes RGB pixels.
    func interleave(into pixels: UnsafeMutablePointer<UInt8>) {
        px_interleave(red, green, blue, Int32(width), pixels)
    }

    /// The sum of its pixels' greys.
    var greySum: UInt64 { px_grey_sum(red, green, blue, Int32(width)) }
}
