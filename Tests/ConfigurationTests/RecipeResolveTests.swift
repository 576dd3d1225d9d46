import Basics
import Foundation
import Testing

@testable import Configuration

@Suite struct RecipeResolveTests {
    private let files = [
        "recipes/r.yaml": """
        parts: {dataset: ../parts/d.yaml, model: ../parts/m.yaml}
        model: {dropout: 0.2}
        schedule: {batch: 4}
        """,
        "parts/d.yaml": "dataset: {root: data}\nschedule: {batch: 2}\n",
        "parts/m.yaml": "model: {dropout: 0.3, embedding: 32}\n",
    ]

    /// As some editors of Windows write it.
    @Test func aByteOrderMarkIsNoPartOfTheFirstKey() throws {
        try withFiles(["r.yaml": "\u{feff}seed: 3\r\ndataset: {kind: camvid, root: data}\r\n"]) { folder in
            let recipe = try Recipe.resolve(path: folder + "/r.yaml")
            #expect(recipe.seed == 3 && recipe.dataset.root.hasSuffix("data"))
        }
    }

    @Test func ownKeysOverridePartsAndOverridesBoth() throws {
        try withFiles(files) { folder in
            let path = folder + "/recipes/r.yaml"
            let recipe = try Recipe.resolve(path: path)
            #expect(recipe.dataset.root == "data")
            #expect(recipe.model.embedding == 32)  // the part's, though the recipe has other keys of its section
            #expect(recipe.model.dropout == 0.2)
            #expect(recipe.schedule.batch == 4)
            #expect(recipe.schedule.iterations == 6000)

            let overridden = try Recipe.resolve(
                path: path, overrides: ["model.dropout=0.4", "schedule={batch: 6, lr: 0.1}", "schedule.batch=7"])
            #expect(overridden.model.dropout == 0.4 && overridden.model.embedding == 32)
            #expect(overridden.schedule.batch == 7 && overridden.schedule.lr == 0.1)
        }
    }

    @Test func nullTakesAnOptionalKeyBack() throws {
        let yaml = minimal + "contrast: {pixelQueue: 100}\n"
        #expect(try Recipe.resolve(yaml: yaml, path: "r.yaml").contrast.pixelQueue == 100)
        #expect(
            try Recipe.resolve(yaml: yaml, path: "r.yaml", overrides: ["contrast.pixelQueue=null"]).contrast.pixelQueue
                == nil)
    }

    @Test func partsNameNoPartsOfTheirOwn() throws {
        var nested = files
        nested["parts/m.yaml"] = "model: {embedding: 32}\nparts: {loss: l.yaml}\n"
        try withFiles(nested) { folder in
            let path = folder + "/recipes/r.yaml"
            #expect(
                message { try Recipe.resolve(path: path) }
                    == "\(folder)/recipes/../parts/m.yaml:2: a part names no parts of its own; name them all in \(path)"
            )
        }
    }

    @Test func twoPartsMayNotSetTheSameKey() throws {
        var twice = files
        twice["parts/m.yaml"] = "model:\n  embedding: 32\nschedule: {batch: 3}\n"
        try withFiles(twice) { folder in
            let parts = "\(folder)/recipes/../parts"
            #expect(
                message { try Recipe.resolve(path: folder + "/recipes/r.yaml") }
                    == "\(parts)/m.yaml:3: 'schedule.batch' is already set by another part at \(parts)/d.yaml:2")
        }
    }

    @Test func partsThatAreNoneAreNamed() throws {
        #expect(
            recipeMessage("parts: {modle: x}\n") == "r.yaml:1: unknown key 'parts.modle'; did you mean 'parts.model'?")
        #expect(recipeMessage("parts: [x]\n") == "r.yaml:1: 'parts' must be a mapping of part to file, not [x]")
        #expect(recipeMessage("parts: {model: [x]}\n") == "r.yaml:1: 'parts.model' must be text, or null, not [x]")
        #expect(
            recipeMessage("seed: 1\nparts:\n  model: nowhere/x.yaml\n")
                == "r.yaml:3: there is no file nowhere/x.yaml for part 'model'; paths start at the recipe's folder")
        var typo = files
        typo["parts/m.yaml"] = "model:\n  embeding: 32\n"
        try withFiles(typo) { folder in
            #expect(
                message { try Recipe.resolve(path: folder + "/recipes/r.yaml") }
                    == "\(folder)/recipes/../parts/m.yaml:2: unknown key 'model.embeding'; did you mean 'model.embedding'?"
            )
        }
    }

    /// The recipe that a run saves is the recipe it runs, whatever the values.
    @Test(arguments: 0..<200 as Range<UInt64>)
    func printedRecipesReadBackEqual(seed: UInt64) throws {
        let recipe = randomRecipe(seed)
        let yaml = try recipe.yaml()
        #expect(try Recipe.resolve(yaml: yaml, path: "saved.yaml") == recipe, "seed \(seed):\n\(yaml)")
    }

    @Test func printedRecipeHasEveryKeyInTheTablesOrder() throws {
        let lines = try randomRecipe(1).yaml().split(separator: "\n")
        let keys = lines.filter { $0.contains(": ") }.map {
            $0.split(separator: ":")[0].trimmingCharacters(in: .whitespaces)
        }
        #expect(keys == Recipe.keys.map { String($0.path.split(separator: ".").last!) })
    }

    /// Tickets carry the structs as JSON.
    @Test func settingsSurviveJSON() throws {
        let recipe = randomRecipe(7)
        #expect(try JSONDecoder().decode(Recipe.self, from: JSONEncoder().encode(recipe)) == recipe)
    }

    @Test func runsAreNamedAfterTheirRecipe() {
        #expect(RunName.next(recipePath: "Configs/camvid/quick-pico.yaml", existing: []) == "quick-pico-1")
        let existing = [
            "quick-pico-2", "quick-pico-10", "quick-pico-07", "quick-pico-x", "quick-pico-plus-30", "quick-pico-+11",
            "other-99",
        ]
        #expect(RunName.next(recipePath: "quick-pico.yaml", existing: existing) == "quick-pico-11")
        #expect(
            RunName.next(recipePath: "quick-pico.yaml", existing: ["quick-pico-9223372036854775807"]) == "quick-pico-1")
        #expect(RunName.next(recipePath: "/tmp/mine & yours.yml", existing: []) == "mine---yours-1")
    }
}

/// A valid recipe with random values in every key.
private func randomRecipe(_ seed: UInt64) -> Recipe {
    var random = KeyedRandom(seed: seed, purpose: "recipe")
    func text() -> String {
        let samples = [
            "data", "5", "null", "~", "true", "a: b", "- x", "#x", " spaced ", "é/ü", "\"q\"", "it's", "line\nbreak",
            "[1]", "*a", "0x1", "tab\t",
        ]
        return samples[random.below(samples.count)]
            + (random.below(8) == 0 ? String(repeating: " word", count: 40) : "")
    }
    func optional<Value>(_ value: Value) -> Value? { random.below(2) == 0 ? nil : value }
    func any<Case: CaseIterable>(_: Case.Type) -> Case where Case.AllCases == [Case] {
        Case.allCases[random.below(Case.allCases.count)]
    }
    func double() -> Double { Double(random.next() >> 11) * 0x1p-53 * pow(10, Double(random.below(12)) - 8) + 1e-12 }
    func unit() -> Float { random.uniform() * pow(10, -Float(random.below(6))) }
    func count() -> Int { 1 + random.below(1 << random.below(16)) }

    var recipe = Recipe()
    recipe.seed = random.next()
    recipe.dataset.kind = any(DatasetSettings.Kind.self)
    recipe.dataset.root = text()
    recipe.dataset.split = text()
    recipe.dataset.evaluationSplit = text()
    recipe.dataset.description = recipe.dataset.kind == .folder ? text() : optional(text())
    recipe.augmentation.crop = [1 + random.below(16384), 1 + random.below(4096)]
    recipe.augmentation.scale = [unit() + 1e-9, unit() + 1e-9].sorted()
    recipe.augmentation.flip = unit()
    recipe.augmentation.brightness = unit()
    recipe.augmentation.contrast = unit()
    recipe.augmentation.saturation = unit()
    recipe.augmentation.hue = unit() / 2
    recipe.model.head = any(ModelSettings.Head.self)
    recipe.model.backbone = recipe.model.head.backbones[random.below(recipe.model.head.backbones.count)]
    recipe.model.width = unit() + 0.05
    recipe.model.auxiliary = random.below(2) == 0
    if recipe.model.auxiliaryMismatch != nil { recipe.model.auxiliary = false }
    recipe.model.outputStride = [8, 16][random.below(2)]
    recipe.model.atrousRates = (0...random.below(5)).map { _ in 1 + random.below(1024) }
    recipe.model.embedding = count()
    recipe.model.dropout = optional(unit())
    recipe.model.dropPath = optional(unit())
    recipe.model.pretrained = optional(text())
    recipe.model.imageSize = optional([1 + random.below(16384), 1 + random.below(16384)])
    if recipe.model.head == .segmenter { recipe.model.imageSize = recipe.model.imageSize ?? recipe.augmentation.crop }
    recipe.contrast.enabled = random.below(2) == 0
    recipe.contrast.lambda = unit() * 1e10
    recipe.contrast.temperature = unit() + 1e-12
    recipe.contrast.anchors = count()
    recipe.contrast.hardAnchors = random.below(recipe.contrast.anchors + 1)
    recipe.contrast.memory = any(ContrastSettings.Memory.self)
    recipe.contrast.pixelsPerImage = count()
    recipe.contrast.pixelQueue = optional(count())
    recipe.contrast.regionCap = optional(count())
    recipe.contrast.lag = count()
    recipe.sampler.strategy = any(SamplerSettings.Strategy.self)
    recipe.sampler.positives = count()
    recipe.sampler.negatives = count()
    recipe.sampler.pool = unit() / 2 + 1e-12
    recipe.sampler.candidates = optional(count())
    recipe.synthesis.enabled = random.below(2) == 0
    recipe.synthesis.hardest = count()
    recipe.synthesis.pairs = count() - 1
    recipe.synthesis.anchorMixes = count() - 1
    recipe.schedule.iterations = count()
    recipe.schedule.batch = 1 + count()
    recipe.schedule.optimizer = any(ScheduleSettings.Optimizer.self)
    recipe.schedule.lr = double()
    recipe.schedule.momentum = double() * 1e-5
    recipe.schedule.weightDecay = double()
    recipe.schedule.power = double()
    recipe.schedule.warmup = count() - 1
    recipe.schedule.lrWarmup = count() - 1
    recipe.schedule.lrWarmupRatio = optional(Double(unit()))
    recipe.schedule.normWeightDecay = optional(double())
    recipe.schedule.backboneLrFactor = double()
    recipe.schedule.headLrFactor = double()
    let isTransformer =
        [.segformer, .segmenter].contains(recipe.model.head) || "\(recipe.model.backbone)".hasPrefix("swin")
    recipe.schedule.frozenNorms = !isTransformer && random.below(2) == 0
    recipe.schedule.clipNorm = optional(double())
    recipe.schedule.minLr = recipe.schedule.lr / 2
    recipe.checkpoints.every = count()
    recipe.checkpoints.keep = count()
    recipe.evaluate.every = recipe.contrast.lag > 1 ? nil : optional(count())
    recipe.evaluate.scales = (0...random.below(4)).map { _ in unit() + 1e-9 }
    recipe.evaluate.flip = random.below(2) == 0
    recipe.evaluate.window = any(EvaluationSettings.Window.self)
    recipe.determinism = any(Determinism.self)
    return recipe
}
