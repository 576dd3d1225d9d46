import Basics
import Imaging

/// What the numbers in a dataset's label files mean: the one place where they are translated.
///
/// Every value of a file is a class, or ignored, or wrong; a wrong value is an error, never silently ignored.
public struct LabelMapping: Sendable, Equatable {
    /// Most classes a dataset may have: class numbers are bytes, 255 is ignored and 254 marks a refused value.
    public static let mostClasses = 254
    private static let refused: UInt8 = 254

    /// Number of classes; they are 0 ..< `classes`.
    public let classes: Int
    /// Per file value: a class, `IgnoreLabel.value`, or `refused`.
    private let table: [UInt8]

    /// Files hold the classes' own numbers and the values that are to be ignored.
    public init(classes: Int, ignored: [UInt8]) {
        var values: [UInt8: UInt8?] = [:]
        for value in 0..<classes { values[UInt8(value)] = .some(UInt8(value)) }
        for value in ignored { values[value] = .some(nil) }
        self.init(classes: classes, values: values)
    }

    /// - Parameter values: class of each value that files may hold, nil for an ignored value.
    /// - Precondition: at most `mostClasses` classes, and every class is below `classes`.
    public init(classes: Int, values: [UInt8: UInt8?]) {
        precondition((1...Self.mostClasses).contains(classes), "\(classes) classes")
        self.classes = classes
        table = (0...255).map { raw -> UInt8 in
            guard let meaning = values[UInt8(raw)] else { return Self.refused }
            guard let label = meaning else { return IgnoreLabel.value }
            precondition(label < classes, "class \(label) of \(classes)")
            return label
        }
    }

    /// The class of a file value or `IgnoreLabel.value`; nil where files must not hold it.
    public subscript(value: UInt8) -> UInt8? {
        let meaning = table[Int(value)]
        return meaning == Self.refused ? nil : meaning
    }

    /// The values that files may hold, as a reader wants to see them: `0-10 (classes), 11 (ignored)`.
    public var allowed: String {
        let valid = (0...255).filter { table[$0] < classes }
        let ignored = (0...255).filter { table[$0] == IgnoreLabel.value }
        let classPart = ranges(valid) + " (classes)"
        return ignored.isEmpty ? classPart : classPart + ", " + ranges(ignored) + " (ignored)"
    }

    /// Translates a file's numbers to classes.
    ///
    /// - Parameter file: begins the message.
    /// - Throws: `UserError` with the first wrong value, its position and the allowed values.
    public func apply(to raw: LabelMap, file: String) throws -> LabelMap {
        var wrong = false
        let mapped = LabelMap(width: raw.width, height: raw.height) { target in
            raw.values.withUnsafeBytes { source in
                table.withUnsafeBufferPointer { table in
                    var seen: UInt8 = 0
                    for i in 0..<source.count {
                        let label = table[Int(source[i])]
                        target[i] = label
                        seen |= label == Self.refused ? 1 : 0
                    }
                    wrong = seen != 0
                }
            }
        }
        guard wrong else { return mapped }
        let first = raw.values.withUnsafeBytes { source in source.firstIndex { table[Int($0)] == Self.refused }! }
        let x = first % raw.width
        let y = first / raw.width
        throw UserError(
            "\(file): label value \(raw[x, y]) at column \(x), row \(y) is outside the classes; allowed are \(allowed)")
    }

    private func ranges(_ values: [Int]) -> String {
        var parts: [ClosedRange<Int>] = []
        for value in values {
            if let last = parts.last, last.upperBound + 1 == value {
                parts[parts.count - 1] = last.lowerBound...value
            } else {
                parts.append(value...value)
            }
        }
        return parts.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
            .joined(separator: ", ")
    }
}
