import Basics
import NN
import Tensors

/// Mix Transformer, SegFormer's encoder (Xie et al., "SegFormer: Simple and Efficient Design for Semantic Segmentation
/// with Transformers", 2021), with the state keys of transformers' `SegformerEncoder`.
///
/// Four stages, each of overlapping patches, blocks of attention over a reduced sequence, and a norm. Tokens stay on
/// their grid, `[B, H, W, C]`: one memory order for the linear layers, and, permuted, channels last for convolutions.
public final class MixTransformer: Module, Backbone {
    /// One column of the paper's table 6.
    public struct Config: Sendable, Equatable {
        /// Blocks of each stage.
        public var depths: [Int]
        public var widths: [Int]
        public var heads = [1, 2, 5, 8]
        /// Side of the squares of tokens that each stage's keys and values are made from.
        public var reductions = [8, 4, 2, 1]
        /// Hidden width of each stage's feed-forward network, in widths of the stage.
        public var expansions = [4, 4, 4, 4]
        public var patches = [7, 3, 3, 3]
        public var strides = [4, 2, 2, 2]
        /// Of the last block; it rises to this from 0. The published training's for all sizes.
        public var dropPath = 0.1

        public init(depths: [Int], widths: [Int]) {
            self.depths = depths
            self.widths = widths
        }

        /// The same network with heads of another width.
        public func scaled(_ factor: Double) -> Config {
            var scaled = self
            scaled.widths = zip(widths, heads).map { scaledWidth($0, heads: $1, by: factor) }
            return scaled
        }

        public static let b0 = Config(depths: [2, 2, 2, 2], widths: [32, 64, 160, 256])
        public static let b1 = Config(depths: [2, 2, 2, 2], widths: [64, 128, 320, 512])
        public static let b2 = Config(depths: [3, 4, 6, 3], widths: [64, 128, 320, 512])
        public static let b3 = Config(depths: [3, 4, 18, 3], widths: [64, 128, 320, 512])
        public static let b4 = Config(depths: [3, 8, 27, 3], widths: [64, 128, 320, 512])
        public static let b5 = Config(depths: [3, 6, 40, 3], widths: [64, 128, 320, 512])
    }

    @Child("patch_embeddings") var patchEmbeddings: [PatchEmbedding]
    @Child("block") var stages: [Sequential]
    @Child("layer_norm") var norms: [LayerNorm]

    public let featureChannels: [Int]
    public let inputNormalization = InputNormalization.imageNet

    /// - Throws: `UserError` for lists of different lengths or numbers that are not positive.
    public init(_ config: Config) throws {
        let lists = [
            config.depths, config.widths, config.heads, config.reductions, config.expansions, config.patches,
            config.strides,
        ]
        let stageCount = config.depths.count
        guard stageCount > 0, lists.allSatisfy({ $0.count == stageCount && $0.allSatisfy { $0 > 0 } }) else {
            throw UserError("a Mix Transformer of \(config): each list needs one positive number per stage")
        }
        featureChannels = config.widths
        super.init()
        var drops = DropPath.rising(to: config.dropPath, depth: config.depths.reduce(0, +))[...]
        patchEmbeddings = try (0..<stageCount).map {
            try PatchEmbedding(
                $0 == 0 ? 3 : config.widths[$0 - 1], config.widths[$0], patch: config.patches[$0],
                stride: config.strides[$0])
        }
        stages = try (0..<stageCount).map { stage in
            Sequential(
                try (0..<config.depths[stage]).map { _ in
                    try MixTransformerBlock(
                        config.widths[stage], heads: config.heads[stage], reduction: config.reductions[stage],
                        expansion: config.expansions[stage], dropPath: drops.removeFirst())
                })
        }
        norms = try config.widths.map { try LayerNorm($0) }
    }

    /// `[B, 3, H, W] -> [[B, C₁, H/4, W/4], [B, C₂, H/8, W/8], [B, C₃, H/16, W/16], [B, C₄, H/32, W/32]]`, sizes
    /// rounded up.
    public func features(_ images: Tensor) throws -> [Tensor] {
        var x = images
        var features: [Tensor] = []
        for ((embed, blocks), norm) in zip(zip(patchEmbeddings, stages), norms) {
            x = try norm(blocks(embed(x))).permute([0, 3, 1, 2])  // [B, C, h, w], channels last
            features.append(x)
        }
        return features
    }
}

/// Overlapping patches: a strided convolution and a norm, `[B, C, H, W] -> [B, H/stride, W/stride, C']`.
final class PatchEmbedding: Module, Layer {
    @Child("proj") var projection: Conv2d
    @Child("layer_norm") var norm: LayerNorm

    init(_ incoming: Int, _ outgoing: Int, patch: Int, stride: Int) throws {
        super.init()
        projection = try Conv2d(
            incoming, outgoing, kernel: Size2D(patch), stride: Size2D(stride), padding: Size2D(patch / 2))
        norm = try LayerNorm(outgoing)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor { try norm(projection(x).permute([0, 2, 3, 1])) }
}

/// Attention and a feed-forward network, each behind a norm and beside a shortcut, `[B, H, W, C] -> [B, H, W, C]`.
final class MixTransformerBlock: Module, Layer {
    @Child("layer_norm_1") var attentionNorm: LayerNorm
    @Child var attention: ReducedAttention
    @Child("layer_norm_2") var feedForwardNorm: LayerNorm
    @Child("mlp") var feedForward: MixFeedForward
    private let dropPath: Double

    init(_ width: Int, heads: Int, reduction: Int, expansion: Int, dropPath: Double) throws {
        self.dropPath = dropPath
        super.init()
        attentionNorm = try LayerNorm(width)
        attention = try ReducedAttention(width, heads: heads, reduction: reduction)
        feedForwardNorm = try LayerNorm(width)
        feedForward = try MixFeedForward(width, hidden: width * expansion)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let x = try x + attention(attentionNorm(x)).dropPath(dropPath, training: isTraining)
        return try x + feedForward(feedForwardNorm(x)).dropPath(dropPath, training: isTraining)
    }
}

/// Attention whose keys and values come from squares of `reduction` x `reduction` tokens, merged by a convolution.
final class ReducedAttention: Module, Layer {
    @Child("self.query") var query: Linear
    @Child("self.key") var key: Linear
    @Child("self.value") var value: Linear
    @Child("self.sr") var reduction: Conv2d?
    @Child("self.layer_norm") var reductionNorm: LayerNorm?
    @Child("output.dense") var output: Linear
    private let heads: Int
    private let ratio: Int

    init(_ width: Int, heads: Int, reduction ratio: Int) throws {
        try checkHeads(heads, width, "MixTransformer")
        self.heads = heads
        self.ratio = ratio
        super.init()
        query = try Linear(width, width)
        key = try Linear(width, width)
        value = try Linear(width, width)
        if ratio > 1 {
            reduction = try Conv2d(width, width, kernel: Size2D(ratio), stride: Size2D(ratio))
            reductionNorm = try LayerNorm(width)
        }
        output = try Linear(width, width)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        var context = x
        if let reduction, let reductionNorm {
            // Rows and columns beyond the last whole square are left out, as by the published convolution; a map that holds no
            // square, where that one fails, is filled up to one.
            let (bottom, right) = (max(0, ratio - x.size(1)), max(0, ratio - x.size(2)))
            var map = try x.permute([0, 3, 1, 2])
            if bottom + right > 0 { map = try map.pad2d(left: 0, right: right, top: 0, bottom: bottom) }
            context = try reductionNorm(reduction(map).permute([0, 2, 3, 1]))
        }
        context = try context.flatten(from: 1, to: 2)  // [B, M, C]
        let mixed = try query(x.flatten(from: 1, to: 2)).attending(
            to: key(context), value(context), heads: heads)  // [B, H·W, C]
        return try output(mixed).unflatten(dim: 1, [x.size(1), x.size(2)])
    }
}

/// Mix-FFN: between its two linear layers a depthwise 3x3 convolution tells tokens where they are, by its padding.
final class MixFeedForward: Module, Layer {
    @Child("dense1") var expansion: Linear
    @Child("dwconv.dwconv") var depthwise: Conv2d
    @Child("dense2") var projection: Linear

    init(_ width: Int, hidden: Int) throws {
        super.init()
        expansion = try Linear(width, hidden)
        depthwise = try Conv2d(hidden, hidden, kernel: 3, padding: 1, groups: hidden)
        projection = try Linear(hidden, width)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let mixed = try depthwise(expansion(x).permute([0, 3, 1, 2])).permute([0, 2, 3, 1])  // [B, H, W, 4 C]
        return try projection(mixed.gelu())
    }
}

extension MixTransformer {
    /// The published code's: linear layers as in all vision transformers, convolutions normal by fan-out.
    public var initialization: InitializationRule {
        InitializationRule { module, fill in
            guard let conv = module as? Conv2d else { return try InitializationRule.transformer(module, fill) }
            try fill.kaimingNormalFanOut(conv.weight, "weight", groups: conv.groups)
            try fill.constant(conv.bias, 0)
            return true
        }
    }
}

/// The classifier of images whose encoder is published: transformers' `SegformerForImageClassification`.
public final class MixTransformerClassifier: Module {
    @Child("segformer.encoder") var encoder: MixTransformer
    @Child var classifier: Linear

    public init(_ config: MixTransformer.Config, classes: Int) throws {
        super.init()
        encoder = try MixTransformer(config)
        classifier = try Linear(config.widths[config.widths.count - 1], classes)
    }

    /// `[B, 3, H, W] -> [B, classes]`
    public func callAsFunction(_ images: Tensor) throws -> Tensor {
        let features = try encoder.features(images)
        return try classifier(features[features.count - 1].mean(dims: [2, 3]))
    }
}
