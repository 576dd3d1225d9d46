import Foundation
import Testing

@testable import Configuration

/// Every YAML file that the repository ships.
@Suite struct RepositoryFilesTests {
    private static let recipes = yamlFiles(below: "Configs").filter { !$0.contains("/parts/") }

    @Test func thereAreRecipesForEachLossAndSize() {
        let names = Self.recipes.map { String($0.dropFirst(repositoryRoot.count + 1)) }
        for loss in ["ce", "pico", "pico-plus"] {
            for recipe in ["camvid/deeplabv3-mobilenetv2-\(loss)", "camvid/quick-\(loss)", "demo/\(loss)"] {
                #expect(names.contains("Configs/\(recipe).yaml"))
            }
        }
    }

    @Test(arguments: recipes)
    func recipeResolvesAndRunsOnEveryTopology(path: String) throws {
        let recipe = try Recipe.resolve(path: path)
        #expect(recipe.contrast.enabled != path.hasSuffix("ce.yaml"))
        #expect(recipe.synthesis.enabled == path.hasSuffix("plus.yaml"))
        #expect(try Recipe.resolve(yaml: recipe.yaml(), path: "saved.yaml") == recipe)
        for topology in yamlFiles(below: "Pipelines") {
            let resolved = try Topology.resolve(path: topology, recipe: recipe)
            #expect(try Topology.resolve(yaml: resolved.yaml(), path: "saved.yaml", recipe: recipe) == resolved)
        }
    }

    @Test(arguments: yamlFiles(below: "Configs").filter { $0.contains("/parts/") })
    func partIsNamedByARecipe(path: String) throws {
        let tail = String(path.dropFirst((repositoryRoot + "/Configs/").count))
        let texts = try Self.recipes.map { try String(contentsOfFile: $0, encoding: .utf8) }
        #expect(texts.contains { $0.contains("../\(tail)\n") })
    }

    @Test func thereAreTopologiesForEachPlace() {
        let names = yamlFiles(below: "Pipelines").map { String($0.dropFirst((repositoryRoot + "/Pipelines/").count)) }
        #expect(
            names == [
                "cluster.yaml", "laptop.yaml", "local.yaml", "multi-gpu.yaml", "third-party-miner.yaml",
                "two-hosts.yaml",
                "with-cutout.yaml",
            ])
    }

    /// Somebody in the repository's folder can launch them as their comments say: third-party programs are there too.
    @Test(arguments: yamlFiles(below: "Pipelines"))
    func topologyIsCommentedAndItsProgramsAreThere(path: String) throws {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.hasPrefix("# "))
        #expect(text.split(separator: "\n").filter { $0.contains("#") }.count >= 5)
        let path = (path as NSString).standardizingPath
        let programs = ThirdPartyPrograms(
            folder: repositoryRoot, searchPath: ProcessInfo.processInfo.environment["PATH"] ?? "")
        let topology = try Topology.resolve(path: path, programs: programs)
        for stage in topology.stages {
            for word in stage.exec ?? [] where word.hasSuffix(".py") {
                #expect(word.hasPrefix(repositoryRoot + "/tools"))
            }
        }
    }

    @Test func localTopologyHasTwoLoaders() throws {
        let topology = try Topology.resolve(path: repositoryRoot + "/Pipelines/local.yaml")
        #expect(
            topology.stages.filter { $0.kind != .evaluator }.map { "\($0.replicas) \($0.name)" } == [
                "2 loader", "1 compute", "1 bank", "1 miner",
            ])
    }

    /// CamVid's settings spell out defaults for the reader; the two must not drift apart.
    @Test func fullCamVidRecipesAreThePapers() throws {
        var expected = Recipe()
        expected.dataset.root = "data/camvid"
        expected.schedule.warmup = 1000
        let camvid = repositoryRoot + "/Configs/camvid/"
        #expect(try Recipe.resolve(path: camvid + "deeplabv3-mobilenetv2-pico.yaml") == expected)
        #expect(expected.schedule.iterations == 6000 && expected.schedule.batch == 16 && expected.schedule.lr == 0.02)
        expected.synthesis.enabled = true
        #expect(try Recipe.resolve(path: camvid + "deeplabv3-mobilenetv2-pico-plus.yaml") == expected)
    }

    @Test func quickCamVidRecipesFitTheBaselineTheyAreMeasuredAgainst() throws {
        let recipe = try Recipe.resolve(path: repositoryRoot + "/Configs/camvid/quick-pico.yaml")
        #expect(recipe.schedule.iterations == 550 && recipe.schedule.batch == 8 && recipe.schedule.lr == 0.05)
        #expect(recipe.schedule.warmup == 150 && recipe.schedule.lrWarmup == 20)
        #expect(recipe.augmentation.crop == [240, 320])
        #expect(
            recipe.model.atrousRates == [6, 12, 18] && recipe.model.outputStride == 16 && recipe.model.dropout == 0.1)
    }
}
