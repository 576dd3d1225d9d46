import Foundation
import TestSupport
import Testing
import Yams

@testable import Configuration

/// JSON Schemas beside the decoder whose tables they are made of.
@Suite struct SchemaTests {
    typealias Object = [String: Any]

    private static func schema(_ kind: ConfigurationSchema) throws -> Object {
        try #require(try JSONSerialization.jsonObject(with: Data(kind.json.utf8)) as? Object)
    }

    /// Dotted paths of all that is no section.
    private static func leaves(_ schema: Object, _ prefix: String = "") throws -> [String] {
        let properties = try #require(schema["properties"] as? Object)
        #expect(schema["additionalProperties"] as? Bool == false, "\(prefix)")
        return try properties.flatMap { key, value in
            let value = try #require(value as? Object)
            #expect((value["description"] as? String)?.isEmpty == false, "\(prefix)\(key)")
            return value["properties"] == nil ? [prefix + key] : try leaves(value, prefix + key + ".")
        }
    }

    private func keys<Root>(_ fields: [Field<Root>]) -> [String] { fields.map(\.key).sorted() }

    @Test func recipeSchemaHasTheDecodersKeysAndNoOther() throws {
        let found = try Self.leaves(Self.schema(.recipe)).sorted()
        let parts = RecipeParts.fields.map { "parts.\($0.key)" }
        #expect(found == (Recipe.keys.map(\.path) + parts).sorted())
        // Each is one that the decoder knows: it may mind the value, never the key.
        for path in found where !path.hasPrefix("parts.") {
            let told = recipeMessage(minimal, "\(path)={surely: wrong}")
            #expect(told.contains("'\(path)' must be"), "\(told)")
        }
    }

    @Test func topologySchemaHasTheDecodersKeysAndNoOther() throws {
        let schema = try Self.schema(.topology)
        var top = schema
        var properties = try #require(top["properties"] as? Object)
        let (stages, autoscale) = (properties["stages"] as? Object, properties["autoscale"] as? Object)
        properties["stages"] = nil
        properties["autoscale"] = nil
        top["properties"] = properties
        let own = try Self.leaves(top).sorted()
        let pool = PoolSettings.fields.map { "pool.\($0.key)" }
        #expect(own == (SupervisorSettings.fields.map { "supervisor.\($0.key)" } + pool).sorted())

        let stage = try #require((schema["definitions"] as? Object)?["stage"] as? Object)
        #expect(try Self.leaves(stage).sorted() == keys(StageSettings.fields))
        let bounds = try #require(autoscale?["additionalProperties"] as? Object)
        #expect(try Self.leaves(bounds).sorted() == keys(AutoscaleSettings.fields))
        let named = try #require(stages?["properties"] as? Object)
        #expect(named.keys.sorted() == StageKind.allCases.map(\.rawValue).sorted())
        for key in try Self.leaves(stage) {
            let told = message {
                try Topology.resolve(yaml: "stages: {loader: {\(key): {surely: wrong}}}", path: "t.yaml")
            }
            #expect(told.contains("'stages.loader.\(key)' must be"), "\(told)")
        }
    }

    /// Typed as the values are, so that editors can offer them.
    @Test func defaultsAndChoicesAreTheTables() throws {
        let recipe = try Self.schema(.recipe)
        func property(_ section: String, _ key: String) throws -> Object {
            let sections = try #require(recipe["properties"] as? Object)
            let properties = try #require((sections[section] as? Object)?["properties"] as? Object)
            return try #require(properties[key] as? Object)
        }
        #expect(try property("model", "head")["enum"] as? [String] == ModelSettings.Head.allCases.map(\.rawValue))
        #expect(try property("schedule", "batch")["default"] as? Int == 16)
        #expect(try property("augmentation", "crop")["default"] as? [Int] == [360, 480])
        #expect(try property("model", "dropout")["default"] is NSNull)
        #expect(try property("model", "auxiliary")["default"] as? Bool == false)
        #expect(try property("sampler", "pool")["exclusiveMinimum"] as? Double == 0)
    }

    /// A stage's kind is its name's where none is written, and a bound of one replica is none: no editor may offer them.
    @Test func keysForWhichSomethingElseStandsHaveNoDefault() throws {
        let schema = try Self.schema(.topology)
        let stage = try #require((schema["definitions"] as? Object)?["stage"] as? Object)
        let kind = try #require((stage["properties"] as? Object)?["kind"] as? Object)
        #expect(kind["default"] == nil)
        #expect(kind["enum"] as? [String] == StageKind.allCases.map(\.rawValue))
        let autoscale = try #require((schema["properties"] as? Object)?["autoscale"] as? Object)
        let bounds = try #require(autoscale["additionalProperties"] as? Object)
        let max = try #require((bounds["properties"] as? Object)?["max"] as? Object)
        #expect(max["default"] == nil && max["minimum"] as? Int == 1)
        #expect(bounds["required"] as? [String] == ["max"])
        // So the decoder has it.
        let topology = try Topology.resolve(yaml: "stages: {loader: , compute: {samples: loader}}", path: "t.yaml")
        #expect(topology.stages.map(\.kind) == [.loader, .compute])
        let told = message {
            try Topology.resolve(
                yaml: "stages: {loader: , compute: {samples: loader}}\nautoscale: {loader: {min: 1}}", path: "t.yaml")
        }
        #expect(told.contains("'autoscale.loader' lacks 'max'"), "\(told)")
    }

    @Test func textIsJSONWhateverItHolds() throws {
        let text = "\"quoted\" \\ and\nlines\u{1}, é"
        let read = try JSONSerialization.jsonObject(with: Data(SchemaText.keys(["a": .string(text)]).text().utf8))
        #expect((read as? Object)?["a"] as? String == text)
    }

    // MARK: By a validator that is not ours

    private static let brokenRecipes = [
        "modle: {}", "model: {head: deeplab}", "model: {backbone: hrnetv2w48, depth: 3}", "schedule: {batch: 1}",
        "schedule: {batch: \"8\"}", "schedule: {iterations: 1.5}", "schedule: {lr: 0}", "augmentation: {crop: [360]}",
        "augmentation: {crop: [0, 480]}", "evaluate: {scales: []}", "evaluate: {flip: 1}", "parts: {losses: a.yaml}",
        "model: {outputStride: 12}", "model: {dropout: 1}", "dataset: {split: null}", "sampler:", "seed: -1",
        "contrast: {anchors: 50, hardAnchors: many}", "parts: [a.yaml]", "dataset: {root: data, kind: city}",
    ]
    private static let brokenTopologies = [
        "pool: {}", "stages: {loader: {replica: 2}}", "stages: {readers: {replicas: 2}}", "stages: {readers: }",
        "stages: {loader: {replicas: -1}}", "stages: {loader: {kind: reader}}", "stages: {compute: {device: gpu}}",
        "stages: {compute: {device: []}}", "stages: [loader]", "stages: {\"a b\": {kind: loader}}",
        "stages: {loader: }\nsupervisor: {grace: 30}", "stages: {loader: }\npool: {messageLimit: 64 MB of it}",
        "stages: {loader: }\nautoscale: {loader: {min: 1}}", "stages: {loader: {exec: []}}", "stage: {loader: }",
        "stages: {loader: }\nsupervisor: {listen: 'here:5810'}",
    ]
    /// Forms that the shipped files have not.
    private static let goodRecipes = [
        minimal, "dataset: {root: data, split: 2024}\nmodel: {dropout: null}\nschedule: {lr: 6e-5}",
        "dataset: {root: data}\nseed: 18446744073709551615",
    ]
    private static let goodTopologies = [
        """
        stages:
          readers: {kind: loader, replicas: 3, exec: [python3, loader.py]}
          compute: {samples: readers, device: [cpu, "cuda:1"], replicas: 2}
        autoscale: {readers: {min: 1, max: 8}}
        supervisor: {grace: 1.5 min, listen: "tcp://*:5810"}
        pool: {messageLimit: 64MiB}
        """,
        "stages: {loader: , compute: {samples: loader}}\nautoscale:",
    ]

    /// The validator of the JSON Schema project's Python package takes what the decoder takes, and refuses what it refuses.
    @Test func anotherValidatorAgreesWithTheDecoder() throws {
        guard Python.has("jsonschema") else {
            return print("schemas by another validator: skipped, python3 has no jsonschema")
        }
        let shipped = try yamlFiles(below: "Configs").map { try String(contentsOfFile: $0, encoding: .utf8) }
        let pipelines = try yamlFiles(below: "Pipelines").map { try String(contentsOfFile: $0, encoding: .utf8) }
        #expect(shipped.count > 20 && !pipelines.isEmpty)
        let recipes = shipped + Self.goodRecipes + Self.brokenRecipes
        let topologies = pipelines + Self.goodTopologies + Self.brokenTopologies
        for text in Self.goodRecipes { #expect(recipeMessage(text) == "", "\(text)") }
        for text in Self.brokenRecipes { #expect(recipeMessage(text).hasPrefix("r.yaml:1: "), "\(text)") }
        for text in Self.goodTopologies {
            #expect(message { try Topology.resolve(yaml: text, path: "t.yaml") } == "", "\(text)")
        }
        for text in Self.brokenTopologies {
            #expect(message { try Topology.resolve(yaml: text, path: "t.yaml") } != "", "\(text)")
        }
        try expectTaken(recipes, by: .recipe, broken: Self.brokenRecipes.count)
        try expectTaken(topologies, by: .topology, broken: Self.brokenTopologies.count)
    }

    /// The last `broken` of the texts must be refused, the others taken.
    private func expectTaken(_ texts: [String], by kind: ConfigurationSchema, broken: Int) throws {
        let documents = try texts.map { text in try #require(try Yams.compose(yaml: text)).json }
        let input = "{\"schema\": \(kind.json), \"documents\": [\(documents.joined(separator: ","))]}"
        let script = """
            import json, sys, jsonschema
            given = json.load(open(sys.argv[1]))
            jsonschema.Draft7Validator.check_schema(given["schema"])
            check = jsonschema.Draft7Validator(given["schema"])
            for document in given["documents"]:
                error = next(check.iter_errors(document), None)
                print("taken" if error is None else " ".join(error.message.split()))
            """
        let folder = try TemporaryFolder("schema")
        let file = try folder.write(input, to: "input.json")
        let verdicts = try Python.run(["-c", script, file]).split(separator: "\n").map(String.init)
        #expect(verdicts.count == texts.count)
        for (index, (text, verdict)) in zip(texts, verdicts).enumerated() {
            let isBroken = index >= texts.count - broken
            #expect((verdict != "taken") == isBroken, "\(verdict): \(text)")
        }
    }
}

extension Node {
    /// As an editor reads it, by YAML 1.2's rules for plain scalars.
    fileprivate var json: String {
        switch self {
        case .scalar(let scalar):
            if scalar.isNull { return "null" }
            guard let plain = scalar.plain else { return SchemaText.string(scalar.string).text() }
            return ["true", "false"].contains(plain) || Double(plain) != nil ? plain : SchemaText.string(plain).text()
        case .sequence(let items): return "[" + items.map(\.json).joined(separator: ", ") + "]"
        case .mapping(let entries):
            return "{"
                + entries.map { "\(SchemaText.string($0.key.string ?? "").text()): \($0.value.json)" }
                .joined(separator: ", ") + "}"
        case .alias: return "null"
        }
    }
}
