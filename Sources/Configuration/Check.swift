/// A condition on one key's value beyond its type.
struct Check<Value>: Sendable {
    /// Completes "must be …": `at least 1`.
    let rule: String
    /// The same in words of JSON Schema, as far as it has them.
    var schema = SchemaText.object([])
    let holds: @Sendable (Value) -> Bool
}

extension Check where Value: Comparable & Sendable {
    static func atLeast(_ minimum: Value) -> Check {
        Check(rule: "at least \(short(minimum))", schema: .keys(["minimum": number(minimum)])) { $0 >= minimum }
    }
    static func above(_ bound: Value) -> Check {
        Check(rule: "above \(short(bound))", schema: .keys(["exclusiveMinimum": number(bound)])) { $0 > bound }
    }
    static func within(_ range: ClosedRange<Value>) -> Check {
        Check(
            rule: "between \(short(range.lowerBound)) and \(short(range.upperBound))",
            schema: .keys(["minimum": number(range.lowerBound), "maximum": number(range.upperBound)])
        ) { range.contains($0) }
    }
    /// `0 <= value < bound`, for a probability that must not be certain.
    static func within(_ range: Range<Value>) -> Check {
        Check(
            rule: "at least \(short(range.lowerBound)) and below \(short(range.upperBound))",
            schema: .keys(["minimum": number(range.lowerBound), "exclusiveMaximum": number(range.upperBound)])
        ) { range.contains($0) }
    }
    /// `(low, high]`.
    static func above(_ low: Value, upTo high: Value) -> Check {
        Check(
            rule: "above \(short(low)) and at most \(short(high))",
            schema: .keys(["exclusiveMinimum": number(low), "maximum": number(high)])
        ) { $0 > low && $0 <= high }
    }
    static func among(_ values: [Value]) -> Check {
        Check(
            rule: values.map(short).joined(separator: " or "), schema: .keys(["enum": .list(values.map(number))])
        ) { values.contains($0) }
    }
}

extension Check where Value == String {
    static var notEmpty: Check {
        Check(rule: "at least one character", schema: .keys(["minLength": .literal("1")])) { !$0.isEmpty }
    }
}

extension Check {
    /// Every item of a list that is not empty.
    static func each<Item>(_ check: Check<Item>) -> Check where Value == [Item] {
        Check(
            rule: "a list that is not empty, each item \(check.rule)",
            schema: .keys(["minItems": .literal("1"), "items": check.schema])
        ) { !$0.isEmpty && $0.allSatisfy(check.holds) }
    }

    /// Both numbers of a list that has a first and a second by these names.
    static func pair<Item>(_ first: String, _ second: String, _ check: Check<Item>) -> Check where Value == [Item] {
        Check(
            rule: "two numbers, \(first) and \(second), each \(check.rule)",
            schema: .keys(["minItems": .literal("2"), "maxItems": .literal("2"), "items": check.schema])
        ) { $0.count == 2 && $0.allSatisfy(check.holds) }
    }
}

/// `1.0` reads better as `1`.
private func short<Value>(_ value: Value) -> String {
    let text = "\(value)"
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
}

private func number<Value>(_ value: Value) -> SchemaText { .literal(short(value)) }
