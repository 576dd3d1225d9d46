import Basics
import NN
import Tensors

/// SegFormer (Xie et al., 2021): a Mix Transformer and a decoder of linear layers, with the state keys of transformers'
/// `SegformerForSemanticSegmentation`. Scores have a quarter of the input's size.
public final class SegFormer: Module, SegmentationNetwork {
    @Child("segformer.encoder") var backbone: MixTransformer
    @Child("decode_head") var head: SegFormerHead
    @Child public var projection: ProjectionHead?

    public let classes: Int
    /// The fused map: what the classifier reads, the projection head reads too.
    public let pixelChannels: Int
    public let alignCorners = false
    public var inputNormalization: InputNormalization { backbone.inputNormalization }

    /// - Parameters:
    ///   - width: of the decoder: 256 for B0 and B1, 768 for the others.
    ///   - embedding: dimension of the projection head's embeddings; nil for a network without one.
    public init(
        backbone: MixTransformer, classes: Int, width: Int, dropout: Double = 0.1, embedding: Int? = nil
    ) throws {
        self.classes = classes
        pixelChannels = width
        super.init()
        self.backbone = backbone
        head = try SegFormerHead(channels: backbone.featureChannels, classes: classes, width: width, dropout: dropout)
        if let embedding { projection = try ProjectionHead(channels: width, dimension: embedding) }
    }

    /// `[B, 3, H, W] -> [[B, width, H/4, W/4]]`: the fused map, as both heads read it and nothing else.
    public func features(_ images: Tensor) throws -> [Tensor] {
        [try head.fused(backbone.features(images.channelsLast()))]
    }

    /// `-> [B, classes, H/4, W/4]`
    public func decode(_ features: [Tensor]) throws -> Decoded {
        Decoded(scores: Scores(main: try head.scores(features[0])))
    }

    /// As the published code: in the head the fusing convolution normal by fan-out, and PyTorch's default for the rest.
    public func initializeWeights(seed: UInt64) throws {
        try backbone.initialize(seed: seed, backbone.initialization, prefix: "segformer.encoder")
        let rule = InitializationRule { module, fill in
            guard let conv = module as? Conv2d, fill.path.hasSuffix("linear_fuse") else { return false }
            try fill.kaimingNormalFanOut(conv.weight, "weight")
            return true
        }
        try head.initialize(seed: seed, rule, prefix: "decode_head")
        try projection?.initialize(seed: seed, prefix: "projection")
    }

    public var publishedBackbone: PublishedBackbone? { PublishedBackbone(prefix: "segformer.encoder.", backbone) }
}
