import Basics
import Configuration
import Foundation
import NN
import Tensors
import Testing

@testable import Models

/// What holds for every transformer, on small ones.
@Suite struct TransformerNetworksTests {
    /// A network of a recipe, a quarter as wide; where its embedding attaches; what nothing is trained on.
    struct Subject: Sendable, CustomTestStringConvertible {
        let backbone: ModelSettings.Backbone
        let head: ModelSettings.Head
        /// Of the feature maps, that of the embedded pixels last.
        let strides: [Int]
        let pixelChannels: Int
        var pixelStride: Int { strides[strides.count - 1] }
        /// Parameters that published weights have and no loss reaches.
        var untrained: [String] = []

        var testDescription: String { "\(head.rawValue) on \(backbone.rawValue)" }

        func make(classes: Int = 5, seed: UInt64 = 1, dropping: Float = 0) throws -> any SegmentationNetwork {
            var settings = ModelSettings()
            settings.backbone = backbone
            settings.head = head
            settings.width = 0.25
            settings.embedding = 16
            settings.dropout = dropping
            settings.dropPath = dropping
            return try Network.initial(settings, classes: classes, seed: seed, projecting: true)
        }
    }

    static let subjects = [
        Subject(backbone: .mitb0, head: .segformer, strides: [4], pixelChannels: 256),
        Subject(
            backbone: .vitt16, head: .segmenter, strides: [16], pixelChannels: 48,
            untrained: ["encoder.head.weight", "encoder.head.bias"]),
        Subject(
            backbone: .swint, head: .maskformer, strides: [32, 4], pixelChannels: 256,
            untrained: ["weight", "bias"].map { "model.pixel_level_module.encoder.model.layernorm.\($0)" }),
        Subject(backbone: .resnet50, head: .maskformer, strides: [32, 4], pixelChannels: 256),
    ]

    private func images(_ shape: [Int]) throws -> Tensor {
        try Tensor(ParityFormula.input("input", shape: shape), shape: shape).channelsLast()
    }

    private func targets(_ size: [Int], classes: Int) throws -> SegmentationTargets {
        let count = size.reduce(1, *)
        let labels = ParityFormula.labels(count: count, classes: classes + 1).map { $0 == classes ? 255 : $0 }
        return SegmentationTargets(
            labels: try Tensor(labels, shape: size), labelled: labels.count { $0 != 255 })
    }

    @Test(arguments: subjects, [(64, 96), (65, 97), (90, 130), (8, 20)])
    func sizesAreTheInputDividedByTheStrideRoundedUp(_ subject: Subject, _ size: (Int, Int)) throws {
        let network = try subject.make().eval()
        let images = try images([1, 3, size.0, size.1])
        func small(_ stride: Int) -> [Int] { [(size.0 + stride - 1) / stride, (size.1 + stride - 1) / stride] }
        try withoutGradient {
            let features = try network.features(images)
            #expect(features.map { Array($0.shape[2...]) } == subject.strides.map(small))
            let decoded = try network.decode(features)
            #expect(features.last?.size(1) == subject.pixelChannels)
            #expect(network.pixelChannels == subject.pixelChannels)
            #expect(decoded.scores.main.shape == [1, 5] + small(subject.pixelStride))
            #expect(try network.embedding(features).shape == [1, 16] + small(subject.pixelStride))
            #expect(try network(images).shape == [1, 5, size.0, size.1])
            // As an evaluation at another scale resizes in one step.
            let larger = try network.resized(
                decoded.scores.main, from: Size2D(size.0, size.1), to: Size2D(2 * size.0, 2 * size.1))
            #expect(larger.shape == [1, 5, 2 * size.0, 2 * size.1])
            let sums: [Float] = try network.probabilities(larger).sum(dims: [1]).array()
            #expect(sums.allSatisfy { abs($0 - 1) < 1e-4 })
        }
    }

    @Test(arguments: subjects) func embeddingsAreUnitVectors(_ subject: Subject) throws {
        let network = try subject.make()
        let embedding = try network.embedding(network.features(images([2, 3, 64, 96])))
        let lengths: [Float] = try embedding.norm(dims: [1]).array()
        #expect(lengths.allSatisfy { abs($0 - 1) < 1e-5 })
    }

    @Test(arguments: subjects) func memoryStaysChannelsLast(_ subject: Subject) throws {
        let network = try subject.make()
        let features = try network.features(images([2, 3, 64, 96]).contiguous())
        #expect(features.allSatisfy { $0.isContiguous(.channelsLast) })
    }

    /// As a trainer does it: both losses' gradients add up on the detached features, and reach every parameter.
    @Test(arguments: subjects) func gradientsOfBothLossesReachEveryParameter(_ subject: Subject) throws {
        let network = try subject.make()
        let features = try network.features(images([2, 3, 64, 96]))
        let leaves = try features.map { try $0.detach().requiresGrad(true) }
        let decoded = try network.decode(leaves)
        let loss = try network.loss(decoded, targets([2, 64, 96], classes: 5))
        #expect(try loss.main.item().isFinite)
        try loss.total.backward()
        let pixels = leaves[leaves.count - 1]
        let first = try #require(try pixels.grad).clone()
        try (network.embedding(leaves) * Tensor.arange(16, dtype: .float32).reshape([1, 16, 1, 1])).sum().backward()
        #expect(try !#require(try pixels.grad).isEqual(to: first))
        for (feature, leaf) in zip(features, leaves) {
            try feature.backward(gradient: leaf.grad, retainGraph: true)
        }
        for (name, parameter) in network.namedParameters() {
            let gradient = try parameter.grad
            if subject.untrained.contains(name) {
                #expect(gradient == nil, "\(name)")
                continue
            }
            let found = try #require(gradient, "\(name)")
            #expect(try found.isFinite().all(), "\(name)")
            // A constant added to all keys moves no softmax; queries that start from zero have nothing to exchange.
            let isIdle = ["key.bias", "k_proj.bias", "decoder.layers.0.self_attn"].contains { name.contains($0) }
            #expect(try isIdle || found.abs().max().item() > 0, "\(name)")
        }
    }

    @Test(arguments: subjects) func evaluationDoesNotDependOnTheBatch(_ subject: Subject) throws {
        let network = try subject.make().eval()
        let two = try images([2, 3, 64, 96])
        try withoutGradient {
            let together = try network(two).narrow(dim: 0, start: 1, length: 1)
            let alone = try network(two.narrow(dim: 0, start: 1, length: 1).contiguous())
            #expect(try (together - alone).abs().max().item() < 1e-4)
        }
    }

    @Test(arguments: subjects) func weightsDependOnTheSeedAndTheNameOnly(_ subject: Subject) throws {
        let first = try subject.make().stateDict()
        let again = try subject.make().stateDict()
        for (name, tensor) in first { #expect(try tensor.isEqual(to: again[name]!), "\(name)") }
        let other = try subject.make(seed: 2).stateDict()
        let drawn = first.filter { $0.tensor.dim > 1 && $0.tensor.dtype == .float32 }
        #expect(drawn.count > 10)
        for (name, tensor) in drawn { #expect(try !tensor.isEqual(to: other[name]!), "\(name)") }
    }

    /// That draws repeat from a seed is tested where they are made: the generator is the process's, and tests that run
    /// beside this one draw from it.
    @Test(arguments: subjects) func partsAreDroppedInTrainingOnly(_ subject: Subject) throws {
        let images = try images([2, 3, 64, 96])
        func differ(_ network: any SegmentationNetwork) throws -> Bool {
            func scores() throws -> Tensor {
                try withoutGradient { try network.scores(network.features(images)).main }
            }
            return try !scores().isEqual(to: scores())
        }
        let network = try subject.make(dropping: 0.5)
        #expect(try differ(network))
        #expect(try !differ(network.eval()))
        #expect(try !differ(subject.make()))
    }

    // MARK: Initialisation

    private static let swin = "model.pixel_level_module.encoder.model.encoder"

    /// Expected deviations of some weights, from the published code.
    static let deviations: [(ModelSettings.Backbone, ModelSettings.Head, [(String, Double)])] = [
        (
            .mitb0, .segformer,
            [
                ("segformer.encoder.patch_embeddings.0.proj.weight", (2.0 / (49 * 8)).squareRoot()),
                ("segformer.encoder.block.0.0.mlp.dwconv.dwconv.weight", (2.0 / 9).squareRoot()),
                ("segformer.encoder.block.3.1.attention.self.query.weight", 0.02),
                ("segformer.encoder.block.3.0.mlp.dense1.weight", 0.02),
                ("decode_head.linear_c.3.proj.weight", (1.0 / (3 * 64)).squareRoot()),
                ("decode_head.linear_fuse.weight", (2.0 / 256).squareRoot()),
                ("decode_head.classifier.weight", (1.0 / (3 * 256)).squareRoot()),
            ]
        ),
        (
            .vitt16, .segmenter,
            [
                ("encoder.pos_embed", 0.02), ("encoder.blocks.0.attn.qkv.weight", 0.02),
                ("encoder.patch_embed.proj.weight", (1.0 / (3 * 768)).squareRoot()),
                ("decoder.cls_emb", 0.02), ("decoder.proj_patch", (1.0 / 48).squareRoot()),
                ("decoder.blocks.1.mlp.fc2.weight", 0.02),
            ]
        ),
        (
            .swint, .maskformer,
            [
                ("\(swin).layers.2.blocks.3.attention.self.query.weight", 0.02),
                ("\(swin).layers.2.blocks.3.attention.self.relative_position_bias_table", 0.02),
                ("model.pixel_level_module.decoder.fpn.stem.0.weight", (1.0 / (9 * 192)).squareRoot()),
                ("model.pixel_level_module.decoder.mask_projection.weight", (1.0 / (9 * 256)).squareRoot()),
                ("model.transformer_module.queries_embedder.weight", 1),
                ("model.transformer_module.input_projection.weight", (1.0 / 192).squareRoot()),
                // Uniform within ±√(6 / fans) has deviation √(2 / fans): three projections are one matrix of 768 rows.
                ("model.transformer_module.decoder.layers.3.self_attn.k_proj.weight", (2.0 / 1024).squareRoot()),
                ("model.transformer_module.decoder.layers.3.encoder_attn.out_proj.weight", (2.0 / 512).squareRoot()),
                ("model.transformer_module.decoder.layers.3.fc1.weight", (2.0 / 2304).squareRoot()),
                ("class_predictor.weight", (1.0 / (3 * 256)).squareRoot()),
                ("mask_embedder.1.0.weight", (1.0 / (3 * 256)).squareRoot()),
            ]
        ),
    ]

    @Test(arguments: deviations)
    func initialDeviationsAreThePublishedCodes(
        _ backbone: ModelSettings.Backbone, _ head: ModelSettings.Head, _ expected: [(String, Double)]
    ) throws {
        let subject = try #require(Self.subjects.first { $0.backbone == backbone && $0.head == head })
        let state = try subject.make().stateDict()
        for (name, deviation) in expected {
            let tensor = try #require(state[name], "\(name)")
            let found = try tensor.variance(unbiased: false).item().squareRoot()
            // Five standard errors of a deviation estimated from so many draws.
            #expect(abs(found / deviation - 1) < 5 / (2 * Double(tensor.count)).squareRoot(), "\(name)")
        }
        for (name, tensor) in state where name.hasSuffix("norm.bias") || name.hasSuffix("norm1.bias") {
            #expect(try tensor.eq(0).all(), "\(name)")
        }
    }

    // MARK: Published weights

    @Test func mixTransformersComeFromClassifiersAndFromWholeNetworks() throws {
        let config = MixTransformer.Config.b0.scaled(0.25)
        let published = try MixTransformerClassifier(config, classes: 7)
        try published.initialize(seed: 3)
        let network = try SegFormer(backbone: MixTransformer(config), classes: 4, width: 32)
        try network.initializeWeights(seed: 1)
        let before = try #require(network.stateDict()["decode_head.linear_fuse.weight"]).clone()
        try network.loadBackbone(published.stateDict())
        let name = "segformer.encoder.block.2.1.mlp.dense2.weight"
        #expect(try network.stateDict()[name]!.isEqual(to: published.stateDict()[name]!))
        #expect(try network.stateDict()["decode_head.linear_fuse.weight"]!.isEqual(to: before))
        let encoder = try MixTransformer(config)
        try encoder.load(encoder.ownNames(network.stateDict()))
        #expect(throws: StateMismatch.self) { try network.loadBackbone(NamedTensors([("x", Tensor.zeros([1]))])) }
    }

    /// The authors' names: stages from 1, keys and values in one matrix.
    @Test func mixTransformersTakeTheAuthorsNames() throws {
        let config = MixTransformer.Config.b0.scaled(0.25)
        let own = try MixTransformer(config)
        try own.initialize(seed: 3, own.initialization)
        let state = own.stateDict()
        let spelling = [
            "layer_norm_1": "norm1", "layer_norm_2": "norm2", "attention.self.query": "attn.q",
            "attention.output.dense": "attn.proj", "attention.self.sr": "attn.sr",
            "attention.self.layer_norm": "attn.norm", "mlp.dense1": "mlp.fc1", "mlp.dense2": "mlp.fc2",
            "mlp.dwconv.dwconv": "mlp.dwconv.dwconv",
        ]
        var theirs = NamedTensors([("head.weight", try Tensor.zeros([10, 64]))])
        for (name, tensor) in state {
            let parts = name.split(separator: ".").map(String.init)
            let kind = parts[parts.count - 1]
            if parts[0] == "block" {
                let block = "block\(Int(parts[1])! + 1).\(parts[2])"
                let below = parts[3..<parts.count - 1].joined(separator: ".")
                if below == "attention.self.key" {
                    let value = try #require(state[name.replacingOccurrences(of: "self.key", with: "self.value")])
                    theirs["\(block).attn.kv.\(kind)"] = try Tensor.cat([tensor, value])
                } else if below != "attention.self.value" {
                    theirs["\(block).\(try #require(spelling[below])).\(kind)"] = tensor
                }
            } else if parts[0] == "patch_embeddings" {
                let below = parts[2] == "proj" ? "proj" : "norm"
                theirs["patch_embed\(Int(parts[1])! + 1).\(below).\(kind)"] = tensor
            } else {
                theirs["norm\(Int(parts[1])! + 1).\(kind)"] = tensor
            }
        }
        let loaded = try MixTransformer(config)
        try loaded.load(loaded.ownNames(theirs))
        for (name, tensor) in loaded.stateDict() { #expect(try tensor.isEqual(to: state[name]!), "\(name)") }
    }

    /// timm's weights for images of 224 pixels: positions of 14 x 14 patches for our 24 x 24.
    @Test func visionTransformersTakePositionsOfAnotherImageSize() throws {
        var config = VisionTransformer.Config.tiny.scaled(0.25)
        config.depth = 2
        var small = config
        small.imageSize = [224, 224]
        let published = try VisionTransformer(small, classes: 21)
        try published.initialize(seed: 3, published.initialization)
        let network = try Segmenter(encoder: VisionTransformer(config, classes: 1000), classes: 4)
        try network.initializeWeights(seed: 1)
        try network.loadBackbone(published.stateDict())
        let state = network.stateDict()
        #expect(try state["encoder.blocks.1.attn.qkv.weight"]!.isEqual(to: published.blocks[1].attention.fused.weight))
        let found = try #require(state["encoder.pos_embed"])
        #expect(found.shape == [1, 577, 48])
        let corner: [Float] = try found.select(dim: 1, 1).flatten().array()
        #expect(try corner == published.positions.select(dim: 1, 1).flatten().array(of: Float.self))
        #expect(try found.select(dim: 1, 0).isEqual(to: published.positions.select(dim: 1, 0)))
    }

    @Test func linearDecoderClassifiesEachPatchByItself() throws {
        let config = VisionTransformer.Config(width: 24, depth: 1, heads: 3)
        let network = try Segmenter(
            encoder: VisionTransformer(config), decoder: LinearDecoder(channels: 24, classes: 3), classes: 3)
        try network.initializeWeights(seed: 1)
        #expect(network.stateDict().names.suffix(2) == ["decoder.head.weight", "decoder.head.bias"])
        let features = try network.features(images([1, 3, 40, 50]))
        let scores = try network.scores(features).main
        #expect(scores.shape == [1, 3, 3, 4])
        let alone = try network.scores([features[0].narrow(dim: 3, start: 2, length: 1)]).main
        #expect(try (alone - scores.narrow(dim: 3, start: 2, length: 1)).abs().max().item() < 1e-6)
    }

    @Test func sizesThatMakeNoNetworkAreNamed() {
        var config = VisionTransformer.Config.tiny
        config.imageSize = [8, 384]
        #expect(throws: UserError.self) { try VisionTransformer(config) }
        var uneven = MixTransformer.Config.b0
        uneven.heads = [1, 2]
        #expect(throws: UserError.self) { try MixTransformer(uneven) }
        #expect(throws: UserError.self) { try SegFormerHead(channels: [8], classes: 2, width: 8, dropout: 1) }
    }
}
