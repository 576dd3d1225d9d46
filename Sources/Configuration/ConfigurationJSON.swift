import Yams

/// A recipe or topology as JSON: the keys and values of its YAML.
public struct ConfigurationJSON: Encodable, Sendable {
    private let value: Value

    init(_ node: Node) { value = Value(node) }

    public func encode(to encoder: any Encoder) throws { try value.encode(to: encoder) }

    private indirect enum Value: Encodable, Sendable {
        case null, boolean(Bool), integer(Int), natural(UInt64), number(Double), text(String)
        case list([Value])
        case keys([String: Value])

        init(_ node: Node) {
            switch node {
            case .mapping(let mapping):
                let pairs = mapping.map { ($0.key.scalar?.string ?? "", Value($0.value)) }
                self = .keys(Dictionary(pairs) { $1 })
            case .sequence(let items): self = .list(items.map { Value($0) })
            default: self = Value(scalar: node)
            }
        }

        /// As the keys' own values read them: what is in quotes is text.
        private init(scalar node: Node) {
            if node.scalar?.isNull != false {
                self = .null
            } else if let value = Bool.decode(node) {
                self = .boolean(value)
            } else if let value = Int.decode(node) {
                self = .integer(value)
            } else if let value = UInt64.decode(node) {
                self = .natural(value)
            } else if let value = Double.decode(node) {
                self = .number(value)
            } else {
                self = .text(node.scalar?.string ?? "")
            }
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .null: try container.encodeNil()
            case .boolean(let value): try container.encode(value)
            case .integer(let value): try container.encode(value)
            case .natural(let value): try container.encode(value)
            case .number(let value): try container.encode(value)
            case .text(let value): try container.encode(value)
            case .list(let values): try container.encode(values)
            case .keys(let values): try container.encode(values)
            }
        }
    }
}

extension Recipe {
    /// `yaml()` for programs. As JSON is YAML too, it resolves to an equal recipe.
    public var json: ConfigurationJSON { ConfigurationJSON(sectionNode()) }
}

extension Topology {
    /// `yaml()` for programs.
    public var json: ConfigurationJSON { ConfigurationJSON(node) }
}
