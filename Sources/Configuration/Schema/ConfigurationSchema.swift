/// JSON Schemas of the two kinds of files, for editors that complete keys and check values while one types.
///
/// They walk the very tables that decode the files, so a key that is read is in its schema and no other. What holds
/// between keys (a head and its backbones, a stage and those it is wired to) no schema says: `picoflow recipe` and
/// `picoflow validate` do. The dialect is draft 7, which every editor's YAML support knows.
public enum ConfigurationSchema: String, CaseIterable, Sendable {
    case recipe, topology

    /// The schema, indented, without a newline at its end.
    public var json: String {
        switch self {
        case .recipe: Self.recipeSchema.text()
        case .topology: Self.topologySchema.text()
        }
    }

    private static let dialect = SchemaText.string("http://json-schema.org/draft-07/schema#")

    private static var recipeSchema: SchemaText {
        let parts = RecipeParts().schema(
            summary: "files that this recipe is put together from, by paths that start at its folder")
        let recipe = Recipe().schema(summary: "what is trained, or a part of it")
        return SchemaText.keys([
            "$schema": dialect, "title": .string("PicoFlow recipe"),
            "properties": .keys(["parts": parts]),
        ]).merged(with: recipe)
    }

    private static var topologySchema: SchemaText {
        let stage = SchemaText.keys(["$ref": .string("#/definitions/stage")])
        // A stage that is named as its kind needs none; `bank:` alone is a stage too.
        let others = SchemaText.keys([
            "allOf": .list([stage, .keys(["type": .string("object"), "required": .strings(["kind"])])])
        ])
        let stages = SchemaText.keys([
            "type": .string("object"),
            "description": .string("the stages by their names, in any order"),
            "propertyNames": .keys(["pattern": .string("^[A-Za-z0-9_-]{1,32}$")]),
            "properties": .object(StageKind.allCases.map { SchemaText.Entry(key: $0.rawValue, value: stage) }),
            "additionalProperties": others,
        ])
        let bounds = AutoscaleSettings().schema(summary: "bounds of one stage's number of replicas")
        let autoscale = SchemaText.keys([
            "type": .strings(["object", "null"]),
            "description": .string("stages whose number of replicas follows the load, with their bounds"),
            "additionalProperties": bounds.merged(with: .keys(["required": .strings(["max"])])),
        ])
        let top = SchemaText.keys([
            "$schema": dialect, "title": .string("PicoFlow topology"),
            "properties": .keys(["stages": stages, "autoscale": autoscale]),
        ])
        return top.merged(with: Topology().schema(summary: "where a run's stages live and how they are wired"))
            .merged(
                with: .keys([
                    "required": .strings(["stages"]),
                    "definitions": .keys([
                        "stage": StageSettings().schema(summary: "one stage of a run").merged(
                            with: .keys(["type": .strings(["object", "null"])]))
                    ]),
                ]))
    }
}

extension Configurable {
    /// The struct's table as a schema whose defaults are these values.
    func schema(summary: String) -> SchemaText {
        .keys([
            "type": .string("object"), "description": .string(summary),
            "properties": .object(Self.fields.map { .init(key: $0.key, value: $0.schema(self)) }),
            "additionalProperties": .literal("false"),
        ])
    }
}
