/// A semantic class: its index in the dataset's list. No class is special; only the ignore label stays out.
public struct ClassID: RawRepresentable, Hashable, Comparable, Codable, Sendable, ExpressibleByIntegerLiteral,
    CustomStringConvertible
{
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }
    public init(integerLiteral value: UInt8) { rawValue = value }
    public init(_ index: Int) { rawValue = UInt8(index) }

    /// The label of pixels that belong to no class.
    public static let ignore = ClassID(rawValue: 255)

    public var index: Int { Int(rawValue) }
    public var description: String { "\(rawValue)" }
    public static func < (a: ClassID, b: ClassID) -> Bool { a.rawValue < b.rawValue }
}

/// A training image: its index in the split's list. The region table has one entry per class and image.
public struct ImageID: RawRepresentable, Hashable, Comparable, Codable, Sendable, ExpressibleByIntegerLiteral,
    CustomStringConvertible
{
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public init(integerLiteral value: UInt32) { rawValue = value }
    public init(_ index: Int) { rawValue = UInt32(index) }

    public var index: Int { Int(rawValue) }
    public var description: String { "\(rawValue)" }
    public static func < (a: ImageID, b: ImageID) -> Bool { a.rawValue < b.rawValue }
}

/// Labels at the resolution of the embeddings, `[images, height, width]`, row-major.
///
/// Pixel indices are flat over the whole mini-batch: `(image * height + y) * width + x`.
public struct LabelGrid: Sendable, Equatable {
    public let images: Int
    public let height: Int
    public let width: Int
    /// One label per pixel; 255 is ignored.
    public let values: [UInt8]

    /// - Throws: `ContrastError.shape` if the number of values is not `images * height * width`.
    public init(images: Int, height: Int, width: Int, values: [UInt8]) throws {
        guard images >= 0, height >= 0, width >= 0, values.count == images * height * width else {
            throw ContrastError.shape("\(values.count) labels do not fill a grid of \(images)x\(height)x\(width)")
        }
        self.images = images
        self.height = height
        self.width = width
        self.values = values
    }

    public var pixelsPerImage: Int { height * width }
}

/// Arrays whose sizes or values do not fit what they are said to be.
public enum ContrastError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Sizes that contradict one another; the sentence names them.
    case shape(String)
    /// A setting outside its range; the sentence names key and value.
    case setting(String)
    /// A row that is not finite or not of unit length.
    case notUnit(what: String, row: Int, squaredLength: Float)

    public var description: String {
        switch self {
        case .shape(let sentence), .setting(let sentence): sentence
        case .notUnit(let what, let row, let squaredLength):
            "\(what) \(row) is no unit vector: its squared length is \(squaredLength)"
        }
    }
}

/// Whether rows are unit vectors. Float32 normalisation leaves about 1e-6; 1e-3 finds what was never normalised and
/// keeps similarities within ±1.001, which the selection's histogram relies on.
func firstRowOffUnitLength(_ rows: UnsafeBufferPointer<Float>, dimension: Int) -> (row: Int, squaredLength: Float)? {
    guard dimension > 0 else { return nil }
    for row in 0..<(rows.count / dimension) {
        var sum: Float = 0
        for i in row * dimension..<(row + 1) * dimension { sum += rows[i] * rows[i] }
        // Written so that a NaN fails it.
        if !(abs(sum - 1) <= 1e-3) { return (row, sum) }
    }
    return nil
}
