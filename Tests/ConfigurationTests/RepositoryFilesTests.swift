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

    @Test(arguments: recipes)
    func recipeIsShortAndSaysWhatItIs(path: String) throws {
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        #expect(lines[0].hasPrefix("# ") && lines.count <= 25)
    }

    private static let rows = [
        "deeplabv3-mobilenetv1", "deeplabv3-mobilenetv2", "deeplabv3-mobilenetv3", "deeplabv3-resnet101",
        "hrnet-hrnetv2w48",
        "ocrnet-hrnetv2w48", "segformer-mitb5", "segmenter-vitb16", "segmenter-vitl16", "maskformer-resnet101",
        "maskformer-swin",
    ]

    /// The paper's tables: each network of a row, as its file's name has it, with each loss.
    @Test func thereIsARecipeForEveryRow() throws {
        for dataset in ["cityscapes", "ade20k", "pascal-context", "coco-stuff", "camvid"] {
            for row in dataset == "cityscapes" ? Self.rows : Array(Self.rows[3...6]) {
                for loss in ["ce", "pico", "pico-plus"] {
                    let recipe = try Recipe.resolve(path: "\(repositoryRoot)/Configs/\(dataset)/\(row)-\(loss).yaml")
                    let (head, backbone) = (row.split(separator: "-")[0], row.split(separator: "-")[1])
                    #expect(recipe.dataset.kind.rawValue == dataset)
                    #expect(recipe.model.head.rawValue == head && recipe.model.backbone.rawValue.hasPrefix(backbone))
                }
            }
        }
    }

    /// Batch, learning rate, crop, iterations of the paper, and of its memory.
    @Test(arguments: [
        ("cityscapes", 8, 0.01, [512, 1024], 80_000, nil), ("ade20k", 16, 0.02, [512, 512], 160_000, 10_000),
        ("pascal-context", 16, 0.001, [520, 520], 60_000, nil), ("coco-stuff", 16, 0.001, [520, 520], 60_000, 10_000),
        ("camvid", 16, 0.02, [360, 480], 6000, nil),
    ])
    func trainingSettingsAreThePapers(
        dataset: String, batch: Int, lr: Double, crop: [Int], iterations: Int, queue: Int?
    ) throws {
        for row in dataset == "cityscapes" ? Self.rows : Array(Self.rows[3...6]) {
            for loss in ["ce", "pico", "pico-plus"] {
                let recipe = try Recipe.resolve(path: "\(repositoryRoot)/Configs/\(dataset)/\(row)-\(loss).yaml")
                #expect(recipe.schedule.batch == batch && recipe.schedule.iterations == iterations)
                #expect(recipe.augmentation.crop == crop)
                #expect(recipe.evaluate.flip && recipe.evaluate.scales == [0.75, 1, 1.25, 1.5, 1.75, 2])
                #expect(recipe.schedule.warmup == (dataset == "camvid" ? 1000 : 5000))
                #expect(recipe.contrast.pixelQueue == queue && recipe.contrast.regionCap == queue.map { _ in 2000 })
                #expect(
                    recipe.contrast.lambda == 1 && recipe.contrast.temperature == 0.1 && recipe.contrast.anchors == 50)
                #expect(recipe.contrast.pixelsPerImage == 10 && recipe.sampler.strategy == .semiHard)
                #expect(recipe.sampler.positives == 1024 && recipe.sampler.negatives == 2048)
                var expected = ScheduleSettings()
                (expected.iterations, expected.batch, expected.warmup) = (iterations, batch, recipe.schedule.warmup)
                switch recipe.model.head {
                case .deeplabv3, .hrnet, .ocrnet:
                    (expected.lr, expected.weightDecay, expected.power) = (lr, 5e-4, 0.9)
                case .segformer:
                    expected.optimizer = .adamw
                    (expected.lr, expected.weightDecay, expected.normWeightDecay) = (6e-5, 0.01, 0)
                    (expected.headLrFactor, expected.power) = (10, 1)
                    (expected.lrWarmup, expected.lrWarmupRatio) = (1500, 1e-6)
                case .segmenter: (expected.lr, expected.minLr, expected.weightDecay) = (0.01, 1e-5, 0)
                case .maskformer where recipe.model.backbone == .resnet101:
                    expected.optimizer = .adamw
                    (expected.lr, expected.weightDecay, expected.normWeightDecay) = (1e-4, 1e-4, 0)
                    (expected.backboneLrFactor, expected.clipNorm) = (0.1, 0.01)
                    expected.frozenNorms = true
                case .maskformer:
                    expected.optimizer = .adamw
                    (expected.lr, expected.weightDecay, expected.normWeightDecay) = (6e-5, 0.01, 0)
                    (expected.clipNorm, expected.lrWarmup, expected.lrWarmupRatio) = (0.01, 1500, 1e-6)
                }
                #expect(recipe.schedule == expected, "\(row)-\(loss)")
            }
        }
    }

    @Test func theTestServersSettingIsTwoOverrides() throws {
        let recipe = try Recipe.resolve(
            path: repositoryRoot + "/Configs/cityscapes/ocrnet-hrnetv2w48-pico.yaml",
            overrides: ["schedule.iterations=100000", "dataset.split=train+val"])
        #expect(recipe.schedule.iterations == 100_000 && recipe.dataset.split == "train+val")
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
        (expected.evaluate.scales, expected.evaluate.flip) = ([0.75, 1, 1.25, 1.5, 1.75, 2], true)
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
