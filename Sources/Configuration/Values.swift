import Yams

/// A type that a key's value can have.
///
/// Decoding is strict: `1:30`, `0x10`, `yes` or `"5"` are no numbers or booleans here, though YAML 1.1 reads them so.
protocol ConfigurationValue: Sendable, Equatable {
    static var shape: ValueShape { get }
    /// Nil where the node is of another shape.
    static func decode(_ node: Node) -> Self?
    /// What decodes to the equal value.
    var node: Node { get }
}

extension Node.Scalar {
    /// `null`, `~` or nothing at all; `"null"` in quotes is text.
    var isNull: Bool { !isQuoted && ["", "~", "null", "Null", "NULL"].contains(string) }
    var isQuoted: Bool { style == .singleQuoted || style == .doubleQuoted }
    /// The text of a number, a name or a quantity; nil where quotes make it text.
    var plain: String? { isQuoted ? nil : string }
}

extension Bool: ConfigurationValue {
    static var shape: ValueShape { .boolean }
    static func decode(_ node: Node) -> Bool? {
        switch node.scalar?.plain {
        case "true": true
        case "false": false
        default: nil
        }
    }
    var node: Node { Node(description) }
}

extension Int: ConfigurationValue {
    static var shape: ValueShape { .integer }
    /// Larger numbers than 2^31 - 1 are refused, so that products of two cannot overflow.
    static func decode(_ node: Node) -> Int? { node.scalar?.plain.flatMap { Int32($0) }.map(Int.init) }
    var node: Node { Node(description) }
}

extension UInt64: ConfigurationValue {
    static var shape: ValueShape { .natural }
    static func decode(_ node: Node) -> UInt64? { node.scalar?.plain.flatMap { UInt64($0) } }
    var node: Node { Node(description) }
}

extension Double: ConfigurationValue {
    static var shape: ValueShape { .number }
    static func decode(_ node: Node) -> Double? { decodeNumber(node) }
    var node: Node { Node(numberText(description)) }
}

extension Float: ConfigurationValue {
    static var shape: ValueShape { .number }
    static func decode(_ node: Node) -> Float? { decodeNumber(node) }
    var node: Node { Node(numberText(description)) }
}

/// Decimal notation only: no hexadecimal, no infinity, no NaN.
private func decodeNumber<Number: BinaryFloatingPoint & LosslessStringConvertible>(_ node: Node) -> Number? {
    guard let text = node.scalar?.plain, text.allSatisfy({ "0123456789+-.eE".contains($0) }),
        let number = Number(text), number.isFinite
    else { return nil }
    return number
}

/// `1e-05` becomes `1.0e-05`, which readers of YAML 1.1 take for a number too.
private func numberText(_ description: String) -> String {
    guard let e = description.firstIndex(of: "e"), !description.contains(".") else { return description }
    return description[..<e] + ".0" + description[e...]
}

extension String: ConfigurationValue {
    static var shape: ValueShape { .text }
    static func decode(_ node: Node) -> String? {
        guard let scalar = node.scalar, !scalar.isNull else { return nil }
        return scalar.string
    }
    /// Quoted unless it is plainly a name or a path.
    var node: Node {
        let plain =
            unicodeScalars.first.map { $0.isASCII && $0.properties.isAlphabetic } == true
            && unicodeScalars.allSatisfy {
                $0.isASCII && ($0.properties.isAlphabetic || "0123456789_-./".unicodeScalars.contains($0))
            }
            && !["null", "true", "false", "yes", "no", "on", "off", "y", "n"].contains(lowercased())
        return Node(self, .implicit, plain ? .plain : .doubleQuoted)
    }
}

extension Optional: ConfigurationValue where Wrapped: ConfigurationValue {
    static var shape: ValueShape { .optional(Wrapped.shape) }
    static func decode(_ node: Node) -> Wrapped?? {
        if node.scalar?.isNull == true { return .some(nil) }
        return Wrapped.decode(node).map { .some($0) }
    }
    var node: Node { self?.node ?? Node("null") }
}

extension Array: ConfigurationValue where Element: ConfigurationValue {
    static var shape: ValueShape { .list(Element.shape) }
    static func decode(_ node: Node) -> [Element]? {
        guard let items = node.sequence else { return nil }
        var decoded: [Element] = []
        for item in items {
            guard let element = Element.decode(item) else { return nil }
            decoded.append(element)
        }
        return decoded
    }
    var node: Node { Node(map(\.node), .implicit, .flow) }
}

extension ConfigurationValue where Self: RawRepresentable & CaseIterable, RawValue == String {
    static var shape: ValueShape { .oneOf(allCases.map(\.rawValue)) }
    static func decode(_ node: Node) -> Self? { node.scalar.flatMap { Self(rawValue: $0.string) } }
    var node: Node { Node(rawValue) }
}
