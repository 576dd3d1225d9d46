import Basics
import Yams

/// A struct whose keys are declared in one table.
///
/// The table is the only place that knows the keys: reading, `--set`, printing, messages and the list of keys all walk it.
protocol Configurable: Sendable, Equatable {
    static var fields: [Field<Self>] { get }
}

/// One key of a struct: a value, or a section with a table of its own.
struct Field<Root>: Sendable {
    let key: String
    let summary: String
    /// The keys below and including this one, with their full paths given the prefix.
    let describe: @Sendable (_ prefix: String, Root) -> [KeyDescription]
    /// What a JSON Schema says of it, given the defaults.
    let schema: @Sendable (Root) -> SchemaText
    let read: @Sendable (Node, _ key: String, Place, inout Reader, inout Root) throws -> Void
    let write: @Sendable (Root) -> Node
}

/// A recipe key as a user may set it.
public struct KeyDescription: Sendable, Equatable {
    /// Dotted: `schedule.iterations`.
    public let path: String
    public let shape: ValueShape
    /// What else holds for the value; each completes "must be …".
    public let rules: [String]
    /// The default as YAML.
    public let defaultValue: String
    /// What it means, in one line.
    public let summary: String
}

extension Field where Root: Sendable {
    /// - Parameter hasDefault: false where a file must have the key, or something else stands for one that is missing.
    init<Value: ConfigurationValue>(
        _ key: String, _ member: WritableKeyPath<Root, Value> & Sendable, _ checks: Check<Value>...,
        hasDefault: Bool = true, summary: String
    ) {
        self.init(key, member, checks: checks, hasDefault: hasDefault, summary: summary)
    }

    /// The checks apply to a value that is there; null always passes.
    init<Value: ConfigurationValue>(
        _ key: String, optional member: WritableKeyPath<Root, Value?> & Sendable, _ checks: Check<Value>...,
        summary: String
    ) {
        let lifted = checks.map { check in
            Check<Value?>(rule: check.rule, schema: check.schema) { $0.map(check.holds) ?? true }
        }
        self.init(key, member, checks: lifted, summary: summary)
    }

    private init<Value: ConfigurationValue>(
        _ key: String, _ member: WritableKeyPath<Root, Value> & Sendable, checks: [Check<Value>],
        hasDefault: Bool = true, summary: String
    ) {
        self.key = key
        self.summary = summary
        describe = { prefix, defaults in
            [
                KeyDescription(
                    path: prefix + key, shape: Value.shape, rules: checks.map(\.rule),
                    defaultValue: flowText(defaults[keyPath: member].node), summary: summary)
            ]
        }
        schema = { defaults in
            let own = checks.map(\.schema).reduce(Value.shape.schema) { $0.merged(with: $1) }
                .merged(with: .keys(["description": .string(summary)]))
            guard hasDefault else { return own }
            return own.merged(with: .keys(["default": Value.shape.schemaValue(defaults[keyPath: member].node)]))
        }
        read = { node, path, place, reader, root in
            guard let value = Value.decode(node) else {
                throw UserError(
                    "\(place): '\(path)' must be \(Value.shape), not \(Configuration.describe(node))\(near(node, Value.shape))"
                )
            }
            for check in checks where !check.holds(value) {
                throw UserError("\(place): '\(path)' must be \(check.rule), not \(Configuration.describe(node))")
            }
            root[keyPath: member] = value
            reader.note(path, place)
        }
        write = { $0[keyPath: member].node }
    }

    /// A section: a struct with its own table.
    static func section<Section: Configurable>(
        _ key: String, _ member: WritableKeyPath<Root, Section> & Sendable, summary: String
    ) -> Field {
        Field(
            key: key, summary: summary,
            describe: { prefix, defaults in
                Section.fields.flatMap { $0.describe(prefix + key + ".", defaults[keyPath: member]) }
            },
            schema: { $0[keyPath: member].schema(summary: summary) },
            read: { node, path, place, reader, root in
                guard let mapping = node.mapping else {
                    throw UserError(
                        "\(place): '\(path)' must be a mapping of keys to values, not \(Configuration.describe(node))")
                }
                try reader.read(mapping, into: &root[keyPath: member], prefix: path + ".")
            },
            write: { $0[keyPath: member].sectionNode() })
    }
}

extension Configurable {
    /// All keys in the table's order; `leavingOutNulls` for forms where a missing key says the same.
    func sectionNode(leavingOutNulls: Bool = false) -> Node {
        Node(
            Self.fields.compactMap { field in
                let node = field.write(self)
                if leavingOutNulls, node.scalar?.isNull == true { return nil }
                return (Node(field.key), node)
            }, .implicit, .block)
    }
}

/// `; did you mean 'hardest'?` where the value is nearly one of the allowed names, or what else may not be obvious.
private func near(_ node: Node, _ shape: ValueShape) -> String {
    switch shape {
    case .oneOf(let names): node.scalar.map { suggestion(for: $0.string, among: names) } ?? ""
    case .optional(let value): near(node, value)
    case .integer:
        node.scalar.flatMap { $0.plain.flatMap(Int.init) } == nil ? "" : "; numbers go up to \(Int32.max)"
    default: ""
    }
}

/// A value on one line, as YAML's flow style writes it.
func flowText(_ node: Node) -> String {
    switch node {
    case .scalar(let scalar): scalar.isQuoted ? "\"\(scalar.string)\"" : scalar.string
    case .sequence(let items): "[" + items.map(flowText).joined(separator: ", ") + "]"
    default: ""
    }
}
