import Basics
import Configuration
import Contrast
import Models
import Tensors
import TestSupport
import Testing

@testable import ComputeStage

/// The parts of a step against what plain autograd says of the whole.
@Suite(.serialized) struct TrainerTests {
    private static func recipe(contrast: Bool = true) -> Recipe {
        var recipe = Recipe()
        recipe.seed = 5
        recipe.contrast.enabled = contrast
        recipe.contrast.lambda = 0.5
        recipe.model.embedding = 16
        recipe.model.dropout = 0
        recipe.model.atrousRates = [1, 2, 3]
        recipe.augmentation.crop = [32, 48]
        recipe.schedule.batch = 2
        recipe.schedule.iterations = 10
        recipe.schedule.warmup = 1
        return recipe
    }

    /// Two images of noise; labels in blocks, every seventh pixel ignored unless told otherwise.
    private static func batch(labels: ((Int) -> UInt8)? = nil) throws -> Batch {
        let samples = (0..<2).map { row in
            var random = KeyedRandom(seed: 9, purpose: "test", index: UInt64(row))
            let pixels = (0..<32 * 48 * 3).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let values = (0..<32 * 48).map { labels?($0) ?? ($0 % 7 == 0 ? 255 : UInt8(($0 / 200 + row) % 4)) }
            return Sample(image: ImageID(row), pixels: SharedBytes(pixels), labels: SharedBytes(values))
        }
        return try Batch(samples, height: 32, width: 48)
    }

    /// One leaf, two of which both losses read one each, and one that both heads and an auxiliary loss share.
    static let models: [ModelSettings] = [
        model(.mobilenetv2, .deeplabv3, 1), model(.resnet18, .deeplabv3, 0.25), model(.hrnetv2w18, .ocrnet, 0.25),
    ]

    static func model(_ backbone: ModelSettings.Backbone, _ head: ModelSettings.Head, _ width: Float) -> ModelSettings {
        var model = recipe().model
        (model.backbone, model.head, model.width) = (backbone, head, width)
        model.auxiliary = backbone == .resnet18
        return model
    }

    @Test(arguments: models) func cutAtTheFeaturesChangesNoGradient(_ model: ModelSettings) throws {
        var recipe = Self.recipe()
        recipe.model = model
        let batch = try Self.batch()
        let anchors = [0, 3, 4]
        let gradient = (0..<3 * 16).map { Float($0 % 5) / 10 - 0.2 }

        let cut = try Trainer(recipe: recipe, classes: 4, device: .cpu)
        cut.stopAuxiliaryDropout()
        let pass = try cut.forward(batch, learnsEmbedding: true)
        let loss = try cut.backwardFromScores(pass, batch: batch).main
        try cut.backwardFromAnchors(pass, at: anchors, gradient)
        try cut.backwardThroughBackbone(pass)

        let whole = try Trainer(recipe: recipe, classes: 4, device: .cpu)
        whole.stopAuxiliaryDropout()
        let features = try whole.network.features(batch.input(whole.network.inputNormalization, device: .cpu))
        let scores = try whole.network.scores(features)
        let targets = try batch.targets(device: .cpu)
        func crossEntropy(_ scores: Tensor) throws -> Tensor {
            try whole.network.resized(scores, to: Size2D(32, 48)).crossEntropy(targets, ignoring: 255)
        }
        let ce = try crossEntropy(scores.main)
        let auxiliary = try scores.auxiliary.map { try crossEntropy($0.scores) * 0.4 }
        #expect(auxiliary.count == (model.backbone == .mobilenetv2 ? 0 : 1))
        let rows = try whole.network.embedding(features).permute([0, 2, 3, 1]).reshape([-1, 16])
        let picked = try rows.indexSelect(dim: 0, Tensor(anchors.map(Int64.init)))
        let pull = try (picked * Tensor(gradient, shape: [3, 16])).sum() * 0.5
        try auxiliary.reduce(ce + pull) { try $0 + $1 }.backward()

        #expect(abs(loss - (try ce.item())) < 1e-5)
        // Rounding is judged against the whole gradient: some of its parts cancel to almost nothing.
        var difference = 0.0
        var total = 0.0
        let parameters = cut.network.namedParameters()
        for (name, parameter) in whole.network.namedParameters() {
            let expected: [Float] = try #require(try parameter.grad).array()
            let found: [Float] = try #require(try parameters[name]?.grad).array()
            difference += zip(expected, found).reduce(0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
            total += expected.reduce(0) { $0 + Double($1 * $1) }
        }
        #expect((difference / total).squareRoot() < 1e-5)
    }

    /// Networks that make the embedded pixels' map in the head, and those with several feature maps.
    static let transformers: [(ModelSettings.Backbone, ModelSettings.Head)] = [
        (.mitb0, .segformer), (.vitt16, .segmenter), (.swint, .maskformer), (.resnet50, .maskformer),
    ]

    @Test(arguments: transformers)
    func cutAndOneBackwardPassAgree(_ backbone: ModelSettings.Backbone, _ head: ModelSettings.Head) throws {
        var recipe = Self.recipe()
        (recipe.model.backbone, recipe.model.head) = (backbone, head)
        (recipe.model.width, recipe.model.dropPath) = (0.25, 0)
        let batch = try Self.batch()
        let anchors = [0, 3, 4]
        let gradient = (0..<3 * 16).map { Float($0 % 5) / 10 - 0.2 }

        let cut = try Trainer(recipe: recipe, classes: 4, device: .cpu)
        let pass = try cut.forward(batch, learnsEmbedding: true)
        let loss = try cut.backwardFromScores(pass, batch: batch).main
        try cut.backwardFromAnchors(pass, at: anchors, gradient)
        try cut.backwardThroughBackbone(pass)

        let whole = try Trainer(recipe: recipe, classes: 4, device: .cpu).network
        let features = try whole.features(batch.input(whole.inputNormalization, device: .cpu))
        let decoded = try whole.decode(features)
        let targets = SegmentationTargets(labels: try batch.targets(device: .cpu), labelled: batch.labelled)
        let expected = try whole.loss(decoded, targets)
        let rows = try whole.embedding(features).permute([0, 2, 3, 1]).reshape([-1, 16])
        let picked = try rows.indexSelect(dim: 0, Tensor(anchors.map(Int64.init)))
        try (expected.total + (picked * Tensor(gradient, shape: [3, 16])).sum() * 0.5).backward()

        #expect(abs(loss - (try expected.main.item())) < 1e-5 * loss)
        var difference = 0.0
        var total = 0.0
        for (name, parameter) in whole.namedParameters() {
            guard let gradient = try parameter.grad else { continue }
            let found = try #require(try cut.network.namedParameters()[name]?.grad, "\(name)")
            difference += try (found - gradient).square().sum().item()
            total += try gradient.square().sum().item()
        }
        #expect(total > 0 && (difference / total).squareRoot() < 1e-5)
    }

    @Test func warmUpLeavesTheProjectionHeadAlone() throws {
        let trainer = try Trainer(recipe: Self.recipe(), classes: 4, device: .cpu)
        let batch = try Self.batch()
        func weights(_ prefix: String) throws -> [[Float]] {
            try trainer.network.namedParameters().filter { $0.name.hasPrefix(prefix) }.map { try $0.tensor.array() }
        }
        let projection = try weights("projection.")
        let classifier = try weights("classifier.")
        #expect(!projection.isEmpty)
        let pass = try trainer.forward(batch, learnsEmbedding: false)
        _ = try trainer.backwardFromScores(pass, batch: batch)
        try trainer.backwardThroughBackbone(pass)
        _ = try trainer.update(step: 1, embedding: false)
        #expect(try weights("projection.") == projection)
        #expect(try weights("classifier.") != classifier)
    }

    @Test func imagesThatAreAllIgnoredTrainNothingAndBreakNothing() throws {
        let trainer = try Trainer(recipe: Self.recipe(), classes: 4, device: .cpu)
        let batch = try Self.batch { _ in 255 }
        let pass = try trainer.forward(batch, learnsEmbedding: true)
        #expect(try trainer.backwardFromScores(pass, batch: batch).main == 0)
        try trainer.backwardThroughBackbone(pass)
        _ = try trainer.update(step: 2, embedding: true)
        let grid = try EmbeddingGrid(
            embedding: pass.embedding!, scores: pass.scores.main, alignCorners: false, labels: batch.labels)
        let anchors = try Ranks.single.anchors(
            of: grid, settings: trainer.recipe.contrast, seed: 1, step: 2)
        #expect(anchors.isEmpty)
    }

    @Test func stateGoesOnBitForBit() throws {
        let batch = try Self.batch()
        func step(_ trainer: Trainer, _ number: UInt64) throws {
            try Torch.seed(number)
            let pass = try trainer.forward(batch, learnsEmbedding: true)
            _ = try trainer.backwardFromScores(pass, batch: batch)
            try trainer.backwardThroughBackbone(pass)
            _ = try trainer.update(step: number, embedding: true)
        }
        let folder = try TemporaryFolder()
        let straight = try Trainer(recipe: Self.recipe(), classes: 4, device: .cpu)
        for number in 1...2 as ClosedRange<UInt64> { try step(straight, number) }
        let saved = try CheckpointFiles.write(step: 2, trainer: straight, runDirectory: folder.path, memory: nil)
        try step(straight, 3)

        let resumed = try Trainer(recipe: Self.recipe(), classes: 4, device: .cpu)
        #expect(try CheckpointFiles.load(saved, into: resumed).step == 2)
        try step(resumed, 3)
        for (name, tensor) in straight.modelState() {
            #expect(try tensor.isEqual(to: resumed.modelState()[name]!), "\(name)")
        }
    }

    /// The head's are trained as ever; and so are a random backbone's.
    @Test(arguments: [true, false]) func frozenNormsAreThoseOfAPretrainedBackbone(isPretrained: Bool) throws {
        let folder = try TemporaryFolder("frozen")
        var recipe = Self.recipe(contrast: false)
        recipe.schedule.frozenNorms = true
        if isPretrained {
            recipe.model.pretrained = folder("weights.safetensors")
            var other = recipe
            (other.seed, other.model.pretrained) = (6, nil)
            let weights = try Trainer(recipe: other, classes: 4, device: .cpu).modelState()
            try Safetensors.write(weights, to: folder("weights.safetensors"))
        }
        let trainer = try Trainer(recipe: recipe, classes: 4, device: .cpu)
        /// What a step may move, by name: all but counts of batches.
        func values() throws -> [String: [Float]] {
            Dictionary(
                uniqueKeysWithValues: try trainer.modelState().filter { $0.tensor.dtype == .float32 }.map {
                    ($0.name, try $0.tensor.detach().array())
                })
        }
        let before = try values()
        let batch = try Self.batch()
        let pass = try trainer.forward(batch, learnsEmbedding: false)
        _ = try trainer.backwardFromScores(pass, batch: batch)
        try trainer.backwardThroughBackbone(pass)
        _ = try trainer.update(step: 1, embedding: false)
        let after = try values()
        let moved = Set(before.keys.filter { before[$0] != after[$0] })
        let norms = before.keys.filter { $0.hasSuffix("running_var") }.map { String($0.dropLast(11)) }
        let ofNorms = moved.filter { name in norms.contains { name.hasPrefix($0) } }
        #expect(ofNorms.contains { $0.hasPrefix("backbone.") } == !isPretrained, "\(ofNorms)")
        #expect(ofNorms.contains { $0.hasPrefix("classifier.") })
        #expect(moved.subtracting(ofNorms).contains { $0.hasPrefix("backbone.") })
    }

    /// Plain descent moves all parameters together by rate times length.
    @Test func aClippedGradientMovesTheNetworkByNoMoreThanItsLength() throws {
        var recipe = Self.recipe(contrast: false)
        (recipe.schedule.momentum, recipe.schedule.weightDecay, recipe.schedule.clipNorm) = (0, 0, 0.01)
        let trainer = try Trainer(recipe: recipe, classes: 4, device: .cpu)
        let before = try trainer.network.namedParameters().map {
            (name: $0.name, tensor: try $0.tensor.detach().clone())
        }
        let batch = try Self.batch()
        let pass = try trainer.forward(batch, learnsEmbedding: false)
        _ = try trainer.backwardFromScores(pass, batch: batch)
        try trainer.backwardThroughBackbone(pass)
        let rate = try trainer.update(step: 1, embedding: false)
        let parameters = trainer.network.namedParameters()
        let moved = try before.reduce(0.0) { sum, entry in
            sum + (try (parameters[entry.name]!.detach() - entry.tensor).square().sum().item())
        }
        #expect(abs(moved.squareRoot() / (rate * 0.01) - 1) < 1e-3)
    }
}

extension Trainer {
    /// What libtorch draws depends on the other tests that run meanwhile, whatever the seed. Recipes can do without dropout; the
    /// auxiliary heads have one of their own.
    func stopAuxiliaryDropout() {
        for (_, module) in network.namedModules() where module is FCNHead { module.train(false) }
    }
}
