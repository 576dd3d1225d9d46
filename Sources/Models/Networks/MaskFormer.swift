import Basics
import NN
import Tensors

/// MaskFormer (Cheng et al., "Per-Pixel Classification is Not All You Need for Semantic Segmentation", 2021): a set of
/// queries each predicts a mask and the class of what it covers; with the state keys of transformers'
/// `MaskFormerForInstanceSegmentation`. Masks have a quarter of the input's size.
public final class MaskFormer: Module, SegmentationNetwork {
    public struct Config: Sendable, Equatable {
        public var queries = 100
        /// Of the transformer decoder.
        public var depth = 6
        public var heads = 8
        public var width = 256
        public var hidden = 2048
        public var dropout = 0.1
        /// Channels of the feature pyramid.
        public var pyramidWidth = 256
        /// Channels of the per-pixel features that masks are made from.
        public var maskWidth = 256
        public var weights = SetCriterion.Weights()
        /// Whether the predictions behind every decoder layer are trained, not only the last one's.
        public var deepSupervision = true

        public init() {}
    }

    @Child("model.pixel_level_module.encoder") var backbone: any Backbone
    @Child("model.pixel_level_module.decoder") var pixelDecoder: PixelDecoder
    @Child("model.transformer_module") var queryDecoder: QueryDecoder
    @Child("class_predictor") var classPredictor: Linear
    @Child("mask_embedder") var maskEmbedder: [Sequential]
    @Child var criterion: SetCriterion
    @Child public var projection: ProjectionHead?

    public let classes: Int
    public let config: Config
    public let alignCorners = false
    public var inputNormalization: InputNormalization { backbone.inputNormalization }
    /// The pixel decoder's result, which the masks are made from: the projection head reads it, too.
    public var pixelChannels: Int { config.maskWidth }

    /// - Parameters:
    ///   - backbone: with several feature maps, finest first.
    ///   - embedding: dimension of the projection head's embeddings; nil for a network without one.
    /// - Throws: `UserError` for sizes that make no network.
    public init(backbone: any Backbone, classes: Int, config: Config = .init(), embedding: Int? = nil) throws {
        guard (0..<1).contains(config.dropout) else { throw UserError("dropout \(config.dropout): must be in [0, 1)") }
        guard config.queries > 0, config.depth > 0, config.width > 0, config.width % 4 == 0 else {
            throw UserError(
                "a MaskFormer of \(config.queries) queries, \(config.depth) decoder layers and width \(config.width): "
                    + "each must be above 0, the width a multiple of 4")
        }
        self.classes = classes
        self.config = config
        super.init()
        self.backbone = backbone
        let channels = backbone.featureChannels
        pixelDecoder = try PixelDecoder(channels: channels, width: config.pyramidWidth, output: config.maskWidth)
        queryDecoder = try QueryDecoder(
            channels: channels[channels.count - 1], queries: config.queries, width: config.width, depth: config.depth,
            heads: config.heads, hidden: config.hidden, dropout: config.dropout)
        classPredictor = try Linear(config.width, classes + 1)
        let widths = [config.width, config.width, config.maskWidth]
        maskEmbedder = try widths.map { Sequential(try Linear(config.width, $0)) }
        criterion = try SetCriterion(classes: classes, weights: config.weights)
        if let embedding { projection = try ProjectionHead(channels: config.maskWidth, dimension: embedding) }
    }

    /// `[B, 3, H, W] ->` the backbone's deepest map `[B, C, H/32, W/32]` and the pixel decoder's `[B, maskWidth, H/4, W/4]`
    public func features(_ images: Tensor) throws -> [Tensor] {
        let maps = try backbone.features(images.channelsLast())
        return [maps[maps.count - 1], try pixelDecoder(maps)]
    }

    /// `-> [B, classes, H/4, W/4]` by semantic inference, without its history: masks and their classes are what is
    /// trained.
    public func decode(_ features: [Tensor]) throws -> Decoded {
        let states = try queryDecoder(features[0])  // per layer [B, Q, D]
        let used = config.deepSupervision && isTraining ? states[...] : states.suffix(1)
        let masks = try used.map { try predict($0, features[1]) }
        let scores = try withoutGradient { try masks[masks.count - 1].semantic() }
        return Decoded(scores: Scores(main: scores), masks: masks)
    }

    /// Queries `[B, Q, D]` to their masks and classes.
    private func predict(_ queries: Tensor, _ pixels: Tensor) throws -> MaskPrediction {
        var embedding = queries
        for (index, layer) in maskEmbedder.enumerated() {
            embedding = try layer(embedding)
            if index < maskEmbedder.count - 1 { embedding = try embedding.relu_() }
        }
        // As the pixels lie in memory: channels last.
        let rows = try pixels.permute([0, 2, 3, 1]).flatten(from: 1, to: 2)  // [B, h·w, maskWidth]
        let masks = try embedding.matmul(rows.transpose(1, 2))  // [B, Q, h·w]
        return try MaskPrediction(
            classes: classPredictor(queries), masks: masks.unflatten(dim: 2, [pixels.size(2), pixels.size(3)])
        ).widened()
    }

    /// The set criterion of the last prediction, and in total of those behind the earlier layers.
    public func loss(_ decoded: Decoded, _ targets: SegmentationTargets) throws -> SegmentationLoss {
        guard let last = decoded.masks.last else {
            throw TensorError(operation: "MaskFormer's loss", reason: "what was decoded holds no masks")
        }
        let masks = try MaskTarget.all(in: targets, classes: classes, dtype: last.masks.dtype)
        let counts = try criterion.counts(masks, queries: config.queries, sum: targets.sum)
        let main = try criterion(last, masks, counts)
        return SegmentationLoss(
            main: main, total: try decoded.masks.dropLast().reduce(main) { try $0 + criterion($1, masks, counts) })
    }

    /// Each class's share of what the masks say of a pixel.
    public func probabilities(_ scores: Tensor) throws -> Tensor {
        // A pixel that nothing covers has no share to give: 0 for all.
        try scores / scores.sum(dims: [1], keepDim: true).clamp(min: 1e-12)
    }

    /// As the published code: the pixel decoder's convolutions and the input projection uniform by fan-in, the
    /// transformer's matrices uniform by both fans, queries standard normal, and PyTorch's default for the predictors.
    public func initializeWeights(seed: UInt64) throws {
        try backbone.initialize(seed: seed, backbone.initialization, prefix: "model.pixel_level_module.encoder")
        try pixelDecoder.initialize(seed: seed, Self.decoderRule, prefix: "model.pixel_level_module.decoder")
        try queryDecoder.initialize(seed: seed, Self.decoderRule, prefix: "model.transformer_module")
        try classPredictor.initialize(seed: seed, prefix: "class_predictor")
        for (index, layer) in maskEmbedder.enumerated() {
            try layer.initialize(seed: seed, prefix: "mask_embedder.\(index)")
        }
        try projection?.initialize(seed: seed, prefix: "projection")
    }

    private static let decoderRule = InitializationRule { module, fill in
        switch module {
        case let conv as Conv2d:
            // detectron2's c2_xavier_fill: Kaiming's uniform for a linear layer behind it.
            try fill.uniform(conv.weight, "weight", bound: (3 / fill.fanIn(conv.weight)).squareRoot())
            try fill.constant(conv.bias, 0)
        case let linear as Linear:
            try linear.initializeParameters(fill)
            // The published code keeps the three projections of attention in one matrix.
            let isFused = ["q_proj", "k_proj", "v_proj"].contains { fill.path.hasSuffix($0) }
            try fill.xavierUniform(linear.weight, "weight", fused: isFused ? 3 : 1)
            if fill.path.contains("_attn.") { try fill.constant(linear.bias, 0) }
        case let decoder as QueryDecoder:
            try fill.normal(decoder.queries, "queries_embedder.weight", deviation: 1)
        default: return false
        }
        return true
    }

    /// Swin's last norm is the image classifier's, which Swins published for segmentation lack; classifiers lack the norms
    /// behind the stages. ResNets have neither.
    public var publishedBackbone: PublishedBackbone? {
        PublishedBackbone(
            prefix: "model.pixel_level_module.encoder.", backbone, unused: "model.layernorm.",
            optional: "hidden_states_norms.")
    }
}
