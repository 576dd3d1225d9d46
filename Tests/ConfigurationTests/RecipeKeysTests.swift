import Testing

@testable import Configuration

/// A valid value other than the default for every key.
private let otherValues: [String: String] = [
    "seed": "18446744073709551615",
    "dataset.kind": "folder", "dataset.root": "\"/somewhere else/é\"", "dataset.split": "trainval",
    "dataset.evaluationSplit": "test", "dataset.description": "data/mine.yaml", "dataset.unreadable": "ignore",
    "augmentation.crop": "[240, 320]", "augmentation.scale": "[0.75, 1.25]", "augmentation.flip": "0",
    "augmentation.brightness": "0.25", "augmentation.contrast": "1", "augmentation.saturation": "0.125",
    "augmentation.hue": "0.5",
    "model.backbone": "resnet50", "model.width": "0.5", "model.auxiliary": "true",
    "model.outputStride": "8", "model.atrousRates": "[6, 12, 18]", "model.embedding": "64", "model.dropout": "0.1",
    "model.dropPath": "0.2",
    "model.pretrained": "weights/m.safetensors", "model.imageSize": "[512, 768]", "model.precision": "bf16",
    "contrast.enabled": "false", "contrast.lambda": "0", "contrast.temperature": "0.07", "contrast.anchors": "100",
    "contrast.hardAnchors": "0", "contrast.memory": "regions", "contrast.pixelsPerImage": "5",
    "contrast.pixelQueue": "10000",
    "contrast.regionCap": "2000", "contrast.lag": "4",
    "sampler.strategy": "hardest", "sampler.positives": "1", "sampler.negatives": "1", "sampler.pool": "1",
    "sampler.candidates": "20480",
    "synthesis.enabled": "true", "synthesis.hardest": "512", "synthesis.pairs": "0", "synthesis.anchorMixes": "0",
    "schedule.iterations": "550", "schedule.batch": "8", "schedule.optimizer": "adamw", "schedule.lr": "6e-5",
    "schedule.momentum": "0", "schedule.weightDecay": "0.01", "schedule.power": "1", "schedule.warmup": "0",
    "schedule.lrWarmup": "20", "schedule.lrWarmupRatio": "1e-6", "schedule.normWeightDecay": "0",
    "schedule.backboneLrFactor": "0.1", "schedule.headLrFactor": "10", "schedule.clipNorm": "0.01",
    "schedule.minLr": "1e-5", "schedule.frozenNorms": "true",
    "checkpoints.every": "1", "checkpoints.keep": "1",
    "evaluate.every": "2000", "evaluate.scales": "[0.75, 1, 1.25]", "evaluate.flip": "true", "evaluate.window": "whole",
    "determinism": "relaxed",
]

/// Keys whose other values need another one to change too; tests of combinations have them.
private let onlyValues = ["model.head": "deeplabv3"]

/// What a setting needs beside it to make a valid recipe.
private let companions = ["dataset.kind": "dataset.description=d.yaml", "model.auxiliary": "model.backbone=resnet50"]

@Suite struct RecipeKeysTests {
    @Test func defaultsAreThePapers() {
        let recipe = Recipe()
        #expect(recipe.contrast.lambda == 1)
        #expect(recipe.contrast.temperature == 0.1)
        #expect(recipe.contrast.anchors == 50 && recipe.contrast.hardAnchors == 25)
        #expect(recipe.contrast.pixelsPerImage == 10)
        #expect(recipe.contrast.pixelQueue == nil && recipe.contrast.regionCap == nil)
        #expect(recipe.contrast.lag == 1)
        #expect(recipe.sampler.strategy == .semiHard && recipe.sampler.pool == 0.1)
        #expect(recipe.sampler.positives == 1024 && recipe.sampler.negatives == 2048)
        #expect(recipe.sampler.candidates == nil)
        #expect(!recipe.synthesis.enabled && recipe.synthesis.hardest == 1024)
        #expect(recipe.synthesis.pairs == 256 && recipe.synthesis.anchorMixes == 128)
        #expect(recipe.model.embedding == 256)
        #expect(recipe.schedule.warmup == 5000 && recipe.schedule.power == 0.9)
        #expect(recipe.schedule.momentum == 0.9 && recipe.schedule.weightDecay == 5e-4)
        #expect(recipe.augmentation.scale == [0.5, 2] && recipe.augmentation.flip == 0.5)
        #expect(recipe.augmentation.brightness == 0.5 && recipe.augmentation.contrast == 0.5)
        #expect(recipe.augmentation.saturation == 0.5 && recipe.augmentation.hue == 18.0 / 255)
    }

    /// A member that somebody adds to a struct and forgets in the table would be neither readable nor saved.
    @Test func everyMemberHasAKey() {
        func names(_ value: Any) -> [String] { Mirror(reflecting: value).children.compactMap(\.label).sorted() }
        func keys<Root>(_ fields: [Field<Root>]) -> [String] { fields.map(\.key).sorted() }
        #expect(keys(Recipe.fields) == names(Recipe()))
        #expect(keys(DatasetSettings.fields) == names(DatasetSettings()))
        #expect(keys(AugmentationSettings.fields) == names(AugmentationSettings()))
        #expect(keys(ModelSettings.fields) == names(ModelSettings()))
        #expect(keys(ContrastSettings.fields) == names(ContrastSettings()))
        #expect(keys(SamplerSettings.fields) == names(SamplerSettings()))
        #expect(keys(SynthesisSettings.fields) == names(SynthesisSettings()))
        #expect(keys(ScheduleSettings.fields) == names(ScheduleSettings()))
        #expect(keys(CheckpointSettings.fields) == names(CheckpointSettings()))
        #expect(keys(EvaluationSettings.fields) == names(EvaluationSettings()))
    }

    @Test func theTableOfValuesCoversEveryKey() {
        let tested = Array(otherValues.keys) + Array(onlyValues.keys)
        #expect(tested.sorted() == Recipe.keys.map(\.path).sorted())
    }

    /// Each key can be set by `--set` and in a file, to the same effect, and lands in the printed recipe.
    @Test(arguments: Recipe.keys.map(\.path))
    func keyCanBeSet(path: String) throws {
        let value = try #require(otherValues[path] ?? onlyValues[path])
        let base = try Recipe.resolve(yaml: minimal, path: "r.yaml", overrides: [companions[path]].compactMap { $0 })
        let overrides = ["\(path)=\(value)"] + [companions[path]].compactMap { $0 }
        let set = try Recipe.resolve(yaml: minimal, path: "r.yaml", overrides: overrides)
        #expect((set == base) == (onlyValues[path] != nil))

        let parts = path.split(separator: ".")
        let own = parts.count == 1 ? "\(path): \(value)\n" : "\(parts[0]):\n  \(parts[1]): \(value)\n"
        let root = path.hasPrefix("dataset.") ? "dataset.root=data" : "dataset={root: data}"
        let rest = [path == "dataset.root" ? nil : root, companions[path]].compactMap { $0 }
        #expect(try Recipe.resolve(yaml: own, path: "r.yaml", overrides: rest) == set)
        #expect(try Recipe.resolve(yaml: set.yaml(), path: "saved.yaml") == set)
    }

    @Test func descriptionsNameTypeRulesAndDefault() throws {
        let pool = try #require(Recipe.keys.first { $0.path == "sampler.pool" })
        #expect(pool.shape == .number && pool.rules == ["above 0 and at most 1"] && pool.defaultValue == "0.1")
        let crop = try #require(Recipe.keys.first { $0.path == "augmentation.crop" })
        #expect(crop.shape == .list(.integer) && crop.defaultValue == "[360, 480]")
        #expect(Recipe.keys.allSatisfy { !$0.summary.isEmpty && !$0.summary.hasSuffix(".") })
    }
}
