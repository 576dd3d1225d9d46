/// What a key's value is: what messages ask for, and what a schema would say.
public enum ValueShape: Sendable, Equatable, CustomStringConvertible {
    case boolean, integer, natural, number, text, duration, bytes, device
    case oneOf([String])
    indirect case list(ValueShape)
    /// `null` is a value too.
    indirect case optional(ValueShape)

    /// Completes "must be …".
    public var description: String {
        switch self {
        case .boolean: "true or false"
        case .integer: "an integer"
        case .natural: "an integer from 0 to \(UInt64.max)"
        case .number: "a number"
        case .text: "text"
        case .duration: "a time with its unit, such as '5 s' or '500 ms'"
        case .bytes: "a size with its unit, such as '64 MiB'"
        case .device: "'cpu', 'cuda:N' or a list of these, one per replica"
        case .oneOf(let names): "one of " + names.joined(separator: ", ")
        case .list(.integer): "a list of integers"
        case .list(.number): "a list of numbers"
        case .list(let element): "a list, each item \(element)"
        case .optional(let value): "\(value), or null"
        }
    }
}
