import Basics
import Imaging

/// What the numbers in a dataset's label files mean: the one place where they are translated.
///
/// Every value of a file is a class, or ignored, or wrong; a wrong value is an error, never silently ignored.
public struct LabelMapping: Sendable, Equatable, Codable {
    /// Most classes a dataset may have: class numbers are bytes, 255 is ignored and 254 marks a refused value.
    public static let mostClasses = 254
    private static let refused: UInt8 = 254

    /// Number of classes; they are 0 ..< `classes`.
    public let classes: Int
    /// The name of the matrix in label files that are MATLAB's; nil where they are PNGs.
    public let matrix: String?
    /// Per file value, 0 to 255 and beyond where files hold more: a class, `IgnoreLabel.value`, or `refused`.
    private let table: [UInt8]

    /// Files hold the classes' own numbers and the values that are to be ignored.
    public init(classes: Int, ignored: [UInt8]) {
        var values: [Int: UInt8?] = [:]
        for value in 0..<classes { values[value] = .some(UInt8(value)) }
        for value in ignored { values[Int(value)] = .some(nil) }
        self.init(classes: classes, values: values)
    }

    /// Files hold each class's number plus one, and 0 for what is ignored.
    public init(countingFromOne classes: Int) {
        let values = (0...classes).map { raw in (raw, raw == 0 ? UInt8?.none : UInt8(raw - 1)) }
        self.init(classes: classes, values: Dictionary(uniqueKeysWithValues: values))
    }

    /// - Parameters:
    ///   - values: class of each value that files may hold, nil for an ignored value.
    ///   - matrix: the name of the matrix in label files that are MATLAB's.
    /// - Precondition: at most `mostClasses` classes, every class is below `classes`, and values are 0 to 65,535.
    public init(classes: Int, values: [Int: UInt8?], matrix: String? = nil) {
        precondition((1...Self.mostClasses).contains(classes), "\(classes) classes")
        precondition(values.keys.allSatisfy { (0...65_535).contains($0) }, "label files hold numbers of up to 16 bits")
        self.classes = classes
        self.matrix = matrix
        table = (0...max(255, values.keys.max() ?? 0)).map { raw -> UInt8 in
            guard let meaning = values[raw] else { return Self.refused }
            guard let label = meaning else { return IgnoreLabel.value }
            precondition(label < classes, "class \(label) of \(classes)")
            return label
        }
    }

    /// Adds all that it says to a hash.
    func update(_ hash: inout SHA256) {
        hash.update(UInt64(classes))
        hash.update((matrix ?? "") + "\n")
        table.withUnsafeBytes { hash.update($0) }
    }

    /// The class of a file value or `IgnoreLabel.value`; nil where files must not hold it.
    public subscript(value: Int) -> UInt8? {
        guard table.indices.contains(value) else { return nil }
        let meaning = table[value]
        return meaning == Self.refused ? nil : meaning
    }

    /// The values that files may hold, as a reader wants to see them: `0-10 (classes), 11 (ignored)`.
    public var allowed: String {
        let valid = table.indices.filter { table[$0] < classes }
        let ignored = table.indices.filter { table[$0] == IgnoreLabel.value }
        let classPart = ranges(valid) + " (classes)"
        return ignored.isEmpty ? classPart : classPart + ", " + ranges(ignored) + " (ignored)"
    }

    /// Translates a file's numbers to classes.
    ///
    /// - Parameters:
    ///   - corner: column and row of the file that `raw` begins at.
    ///   - file: begins the message.
    /// - Throws: `UserError` with the first wrong value, its position and the allowed values.
    public func apply(to raw: LabelMap, at corner: (Int, Int) = (0, 0), file: String) throws -> LabelMap {
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
        let (x, y) = (first % raw.width, first / raw.width)
        throw refusal(of: Int(raw[x, y]), column: corner.0 + x, row: corner.1 + y, file: file)
    }

    /// The same for a matrix, whose numbers may exceed a byte.
    public func apply(to raw: IntegerMatrix, file: String) throws -> LabelMap {
        if let first = raw.values.firstIndex(where: { self[Int($0)] == nil }) {
            throw refusal(
                of: Int(raw.values[first]), column: first % raw.width, row: first / raw.width, file: file)
        }
        return LabelMap(width: raw.width, height: raw.height) { target in
            for i in 0..<target.count { target[i] = table[Int(raw.values[i])] }
        }
    }

    private func refusal(of value: Int, column: Int, row: Int, file: String) -> UserError {
        UserError(
            "\(file): label value \(value) at column \(column), row \(row) is outside the classes; "
                + "allowed are \(allowed)")
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
