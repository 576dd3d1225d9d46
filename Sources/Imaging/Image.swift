import Basics

#if canImport(Glibc)
    import Glibc
#endif

/// An RGB image of 8 bits per channel: rows from top to bottom, pixels interleaved (height, width, channel).
///
/// The pixels are immutable and shared, so an image travels into a message without being copied.
public struct Image: Sendable, Equatable {
    public let width: Int
    public let height: Int
    /// `height * width * 3` bytes without padding between rows.
    public let pixels: SharedBytes

    /// An image over existing memory, for instance a received frame.
    ///
    /// - Throws: `UserError` where the number of bytes is not that of the size, or the size is not positive.
    public init(width: Int, height: Int, pixels: SharedBytes) throws {
        guard width > 0, height > 0, byteCount(width, height, 3) == pixels.count else {
            throw UserError("an RGB image of \(width)x\(height) pixels cannot have \(pixels.count) bytes")
        }
        self.width = width
        self.height = height
        self.pixels = pixels
    }

    /// An image whose every byte `fill` writes.
    ///
    /// - Precondition: `width` and `height` are positive.
    public init(width: Int, height: Int, fill: (UnsafeMutableRawBufferPointer) throws -> Void) rethrows {
        precondition(width > 0 && height > 0, "an image has at least one pixel")
        self.width = width
        self.height = height
        pixels = try SharedBytes(count: width * height * 3, fill: fill)
    }

    /// The colour at column `x` and row `y`; for single pixels, not for loops over images.
    public subscript(x: Int, y: Int) -> RGB8 {
        precondition(x >= 0 && x < width && y >= 0 && y < height, "(\(x), \(y)) lies outside \(width)x\(height)")
        return pixels.withUnsafeBytes { bytes in
            let at = (y * width + x) * 3
            return RGB8(bytes[at], bytes[at + 1], bytes[at + 2])
        }
    }

    public static func == (a: Image, b: Image) -> Bool {
        a.width == b.width && a.height == b.height && equalBytes(a.pixels, b.pixels)
    }
}

/// One class number per pixel, rows from top to bottom.
///
/// What the numbers mean depends on where the map stands: straight from a file they are the file's own values; after
/// a dataset's label mapping they are classes, or `IgnoreLabel.value`.
public struct LabelMap: Sendable, Equatable {
    public let width: Int
    public let height: Int
    /// `height * width` bytes.
    public let values: SharedBytes

    /// - Throws: `UserError` where the number of bytes is not that of the size, or the size is not positive.
    public init(width: Int, height: Int, values: SharedBytes) throws {
        guard width > 0, height > 0, byteCount(width, height, 1) == values.count else {
            throw UserError("a label map of \(width)x\(height) pixels cannot have \(values.count) bytes")
        }
        self.width = width
        self.height = height
        self.values = values
    }

    /// A map whose every byte `fill` writes.
    ///
    /// - Precondition: `width` and `height` are positive.
    public init(width: Int, height: Int, fill: (UnsafeMutableRawBufferPointer) throws -> Void) rethrows {
        precondition(width > 0 && height > 0, "a label map has at least one pixel")
        self.width = width
        self.height = height
        values = try SharedBytes(count: width * height, fill: fill)
    }

    /// The number at column `x` and row `y`; for single pixels, not for loops over maps.
    public subscript(x: Int, y: Int) -> UInt8 {
        precondition(x >= 0 && x < width && y >= 0 && y < height, "(\(x), \(y)) lies outside \(width)x\(height)")
        return values.withUnsafeBytes { $0[y * width + x] }
    }

    public static func == (a: LabelMap, b: LabelMap) -> Bool {
        a.width == b.width && a.height == b.height && equalBytes(a.values, b.values)
    }
}

/// The number that stands for "no class here" in every label map after a dataset's mapping, whatever the files use.
public enum IgnoreLabel {
    public static let value: UInt8 = 255
}

/// `width * height * channels`, or nil where that overflows: sizes may come from a peer.
private func byteCount(_ width: Int, _ height: Int, _ channels: Int) -> Int? {
    let (area, tooLarge) = width.multipliedReportingOverflow(by: height)
    let (bytes, stillTooLarge) = area.multipliedReportingOverflow(by: channels)
    return tooLarge || stillTooLarge ? nil : bytes
}

private func equalBytes(_ a: SharedBytes, _ b: SharedBytes) -> Bool {
    a.withUnsafeBytes { x in
        b.withUnsafeBytes { y in
            x.count == y.count && (x.isEmpty || memcmp(x.baseAddress!, y.baseAddress!, x.count) == 0)
        }
    }
}
