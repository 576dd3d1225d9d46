import Basics
import Yams

/// JSON whose objects keep the order of their keys: a schema lists a recipe's keys as its table has them.
indirect enum SchemaText: Sendable, Equatable {
    /// A number, `true`, `false` or `null`, as it is written.
    case literal(String)
    case string(String)
    case list([SchemaText])
    case object([Entry])

    struct Entry: Sendable, Equatable {
        let key: String
        let value: SchemaText
    }

    static func keys(_ entries: KeyValuePairs<String, SchemaText>) -> SchemaText {
        .object(entries.map { Entry(key: $0.key, value: $0.value) })
    }

    static func strings(_ texts: [String]) -> SchemaText { .list(texts.map(SchemaText.string)) }

    /// Both objects' keys, those of the second over the first's and objects within alike.
    func merged(with other: SchemaText) -> SchemaText {
        guard case .object(var entries) = self, case .object(let others) = other else { return other }
        for entry in others {
            if let index = entries.firstIndex(where: { $0.key == entry.key }) {
                entries[index] = Entry(key: entry.key, value: entries[index].value.merged(with: entry.value))
            } else {
                entries.append(entry)
            }
        }
        return .object(entries)
    }

    /// Indented by two spaces; lists of plain values and empty objects stay on one line.
    func text(indent: String = "") -> String {
        let inner = indent + "  "
        switch self {
        case .literal(let text): return text
        case .string(let text): return jsonQuoted(text)
        case .list(let items) where items.allSatisfy(\.isPlain):
            return "[" + items.map { $0.text() }.joined(separator: ", ") + "]"
        case .list(let items):
            return "[\n" + items.map { inner + $0.text(indent: inner) }.joined(separator: ",\n") + "\n\(indent)]"
        case .object(let entries) where entries.isEmpty: return "{}"
        case .object(let entries):
            let lines = entries.map { "\(inner)\(jsonQuoted($0.key)): \($0.value.text(indent: inner))" }
            return "{\n" + lines.joined(separator: ",\n") + "\n\(indent)}"
        }
    }

    private var isPlain: Bool {
        switch self {
        case .literal, .string: true
        case .list, .object: false
        }
    }
}

extension ValueShape {
    /// What a JSON Schema says of such a value. YAML's numbers and booleans are text too where text is asked for.
    var schema: SchemaText {
        switch self {
        case .boolean: .keys(["type": .string("boolean")])
        case .integer:
            .keys([
                "type": .string("integer"), "minimum": .literal("\(Int32.min)"), "maximum": .literal("\(Int32.max)"),
            ])
        case .natural:
            .keys(["type": .string("integer"), "minimum": .literal("0"), "maximum": .literal("\(UInt64.max)")])
        case .number: .keys(["type": .string("number")])
        case .text: .keys(["type": .strings(["string", "number", "boolean"])])
        case .duration: Self.quantity(Quantity.time)
        case .bytes: Self.quantity(Quantity.bytes)
        case .device: Self.deviceOrDevices
        case .oneOf(let names): .keys(["enum": .strings(names)])
        case .list(let element): .keys(["type": .string("array"), "items": element.schema])
        case .optional(let value): value.schema.orNull
        }
    }

    /// A default as JSON.
    func schemaValue(_ node: Node) -> SchemaText {
        switch (self, node) {
        case (.optional, .scalar(let scalar)) where scalar.isNull: .literal("null")
        case (.optional(let value), _): value.schemaValue(node)
        case (.list(let element), .sequence(let items)): .list(items.map(element.schemaValue))
        case (.device, .sequence(let items)): .list(items.map(schemaValue))
        case (.boolean, .scalar(let scalar)), (.integer, .scalar(let scalar)), (.natural, .scalar(let scalar)),
            (.number, .scalar(let scalar)):
            .literal(scalar.string)
        default: .string(node.scalar?.string ?? "")
        }
    }

    private static func quantity(_ units: [Quantity.Unit]) -> SchemaText {
        let names = units.map(\.name).joined(separator: "|")
        return .keys(["type": .string("string"), "pattern": .string("^[0-9]+(\\.[0-9]+)? *(\(names))$")])
    }

    private static var deviceOrDevices: SchemaText {
        let one = SchemaText.keys(["type": .string("string"), "pattern": .string("^(cpu|cuda(:[0-9]+)?)$")])
        return .keys([
            "anyOf": .list([one, .keys(["type": .string("array"), "items": one, "minItems": .literal("1")])])
        ])
    }
}

extension SchemaText {
    /// The schema of what this one describes, or null.
    fileprivate var orNull: SchemaText {
        guard case .object(let entries) = self else { return self }
        return .object(
            entries.map { entry in
                switch (entry.key, entry.value) {
                case ("type", .string): Entry(key: "type", value: .list([entry.value, .string("null")]))
                case ("type", .list(let types)): Entry(key: "type", value: .list(types + [.string("null")]))
                case ("enum", .list(let values)): Entry(key: "enum", value: .list(values + [.literal("null")]))
                case ("anyOf", .list(let schemas)):
                    Entry(key: "anyOf", value: .list(schemas + [.keys(["type": .string("null")])]))
                default: entry
                }
            })
    }
}
