import Foundation
import Testing

@testable import Configuration

/// `--set model=NAME` takes another part.
@Suite struct PartChoiceTests {
    private static let files = [
        "cam/r.yaml": """
        parts:
          dataset: ../parts/data/d.yaml
          model: ../parts/models/small.yaml
        model:
          dropout: 0.25
        """,
        "parts/data/d.yaml": "dataset: {root: data}\n",
        "parts/models/small.yaml": "model: {backbone: resnet18, width: 0.5}\n",
        "parts/models/large.yaml": "model: {backbone: resnet101, dropout: 0.75}\n",
        "own.yaml": "model: {backbone: resnet50}\n",
        "plain.yaml": "dataset: {root: data}\n",
    ]

    @Test func aNameIsSoughtBesideTheRecipesOwnPart() throws {
        try withFiles(Self.files) { folder in
            let recipe = try Recipe.resolve(
                path: folder + "/cam/r.yaml", overrides: ["model=large", "schedule.batch=4"])
            #expect(recipe.model.backbone == .resnet101 && recipe.model.width == 1 && recipe.schedule.batch == 4)
            #expect(recipe.model.dropout == 0.25, "the recipe's own keys hold")
            let changed = try Recipe.resolve(
                path: folder + "/cam/r.yaml", overrides: ["model.dropout=0.5", "model=large"])
            #expect(changed.model.dropout == 0.5, "single keys hold over both, whatever their order")
        }
    }

    @Test func aPathIsTakenAsItIsAndTheLastChoiceHolds() throws {
        try withFiles(Self.files) { folder in
            let recipe = try Recipe.resolve(
                path: folder + "/cam/r.yaml", overrides: ["model=large", "model=\(folder)/own.yaml"])
            #expect(recipe.model.backbone == .resnet50)
        }
    }

    @Test func whatCannotBeChosenIsSaid() throws {
        try withFiles(Self.files) { folder in
            func failure(_ override: String, _ recipe: String = "cam/r.yaml") -> String {
                message { try Recipe.resolve(path: "\(folder)/\(recipe)", overrides: [override]) }
            }
            #expect(failure("model=lrage").hasSuffix("/parts/models; did you mean 'large'?"))
            #expect(failure("model=unlike").hasSuffix("/parts/models; there are large, small"))
            #expect(failure("model=unlike").hasPrefix("--set model=unlike: there is no part 'unlike' in "))
            #expect(failure("model=no/such.yaml") == "--set model=no/such.yaml: there is no file no/such.yaml")
            #expect(failure("loss=ce").contains("names no part 'loss' that another could stand for"))
            #expect(failure("model=large", "plain.yaml").contains("names no part 'model'"))
            #expect(failure("model=").contains("'model' must be a mapping"))
            #expect(failure("model={width: 0.25}") == "")
            #expect(failure("loss={}").contains("unknown key 'loss'"))
        }
    }

    /// The shipped parts fit each other: what the README says of them.
    @Test func theShippedPartsCanBeExchanged() throws {
        let configs = repositoryRoot + "/Configs/"
        let recipe = try Recipe.resolve(
            path: configs + "cityscapes/hrnet-hrnetv2w48-ce.yaml",
            overrides: ["model=segformer-mitb5", "model.backbone=mitb2", "loss=pico", "schedule=cityscapes-segformer"])
        #expect(recipe.model.backbone == .mitb2 && recipe.contrast.enabled && recipe.schedule.optimizer == .adamw)
        let direct = try Recipe.resolve(
            path: configs + "cityscapes/segformer-mitb5-pico.yaml", overrides: ["model.backbone=mitb2"])
        #expect(recipe == direct)
    }
}
