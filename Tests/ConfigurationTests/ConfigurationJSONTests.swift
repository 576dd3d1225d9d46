import Basics
import Foundation
import Testing

@testable import Configuration

/// Recipes and topologies as programs read them.
@Suite struct ConfigurationJSONTests {
    private func object(_ json: ConfigurationJSON) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(json.prettyJSON().utf8)) as? [String: Any])
    }

    /// JSON is YAML too: nothing is lost, and nothing changes its type.
    @Test(arguments: yamlFiles(below: "Configs").filter { !$0.contains("/parts/") })
    func recipeResolvesFromItsJSON(path: String) throws {
        let recipe = try Recipe.resolve(path: path)
        #expect(try Recipe.resolve(yaml: recipe.json.prettyJSON(), path: "r.json") == recipe)
    }

    @Test(arguments: yamlFiles(below: "Pipelines"))
    func topologyResolvesFromItsJSON(path: String) throws {
        let topology = try Topology.resolve(path: path)
        var read = try Topology.resolve(yaml: topology.json.prettyJSON(), path: "t.json")
        // JSON's keys have no order of their own, and stages keep the file's.
        read.stages = topology.stages.compactMap { read.stage(named: $0.name) }
        read.autoscale = topology.autoscale.compactMap { own in read.autoscale.first { $0.stage == own.stage } }
        #expect(read == topology)
    }

    @Test func valuesKeepTheirTypes() throws {
        let recipe = try Recipe.resolve(
            yaml: "dataset: {root: \"2024\"}\nmodel: {dropout: null}\nschedule: {lr: 6e-5, batch: 8}\n"
                + "seed: 18446744073709551615\nevaluate: {flip: true}", path: "r.yaml")
        let json = try object(recipe.json)
        func value(_ section: String, _ key: String) -> Any? { (json[section] as? [String: Any])?[key] }
        #expect(value("dataset", "root") as? String == "2024")
        #expect(value("model", "dropout") is NSNull)
        #expect(value("schedule", "lr") as? Double == 6e-5)
        #expect(value("schedule", "batch") as? Int == 8)
        #expect(value("evaluate", "flip") as? Bool == true)
        #expect(value("augmentation", "crop") as? [Int] == [360, 480])
        #expect(json["seed"] as? UInt64 == .max)
    }

    @Test func topologyKeepsUnitsInItsValues() throws {
        let topology = try Topology.resolve(
            yaml: "stages: {loader: {replicas: 3}, compute: {samples: loader}}\nsupervisor: {grace: 90 s}",
            path: "t.yaml")
        let json = try object(topology.json)
        #expect((json["supervisor"] as? [String: Any])?["grace"] as? String == "90 s")
        let loader = (json["stages"] as? [String: Any])?["loader"] as? [String: Any]
        #expect(loader?["replicas"] as? Int == 3 && loader?["kind"] as? String == "loader")
    }
}
