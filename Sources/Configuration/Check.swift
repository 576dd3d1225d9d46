/// A condition on one key's value beyond its type.
struct Check<Value>: Sendable {
    /// Completes "must …": `be at least 1`.
    let rule: String
    let holds: @Sendable (Value) -> Bool
}

extension Check where Value: Comparable & Sendable {
    static func atLeast(_ minimum: Value) -> Check {
        Check(rule: "be at least \(minimum)") { $0 >= minimum }
    }
    static func above(_ bound: Value) -> Check {
        Check(rule: "be above \(bound)") { $0 > bound }
    }
    static func within(_ range: ClosedRange<Value>) -> Check {
        Check(rule: "be between \(range.lowerBound) and \(range.upperBound)") { range.contains($0) }
    }
    /// `0 <= value < bound`, for a probability that must not be certain.
    static func within(_ range: Range<Value>) -> Check {
        Check(rule: "be at least \(range.lowerBound) and below \(range.upperBound)") { range.contains($0) }
    }
    /// `(low, high]`.
    static func above(_ low: Value, upTo high: Value) -> Check {
        Check(rule: "be above \(low) and at most \(high)") { $0 > low && $0 <= high }
    }
    static func among(_ values: [Value]) -> Check {
        Check(rule: "be " + values.map { "\($0)" }.joined(separator: " or ")) { values.contains($0) }
    }
}

extension Check where Value == String {
    static var notEmpty: Check { Check(rule: "not be empty") { !$0.isEmpty } }
}

extension Check {
    /// Every item of a list that has `count` items, or at least one where nil.
    static func each<Item>(_ check: Check<Item>, count: Int? = nil, note: String = "") -> Check where Value == [Item] {
        let length = count.map { "have \($0) items\(note)" } ?? "have at least one item"
        return Check(rule: "\(length), each to \(check.rule)") { items in
            (count.map { items.count == $0 } ?? !items.isEmpty) && items.allSatisfy(check.holds)
        }
    }
}
