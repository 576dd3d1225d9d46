import Basics
import NN
import Tensors

/// DeepLabV3 on any backbone: `backbone.*` and `classifier.*` as in torchvision's `DeepLabV3`, `projection.*` beside
/// them while it is trained by contrast.
public final class DeepLabV3: Module, SegmentationNetwork {
    @Child var backbone: any Backbone
    @Child var classifier: DeepLabV3Head
    @Child public var projection: ProjectionHead?

    public let classes: Int
    /// Of the backbone's last feature map: what the head reads, the projection head reads too.
    public let pixelChannels: Int
    public let alignCorners = false
    public var inputNormalization: InputNormalization { backbone.inputNormalization }

    /// - Parameters:
    ///   - rates: dilations of the head's 3x3 branches.
    ///   - embedding: dimension of the projection head's embeddings; nil for a network without one.
    public init(
        backbone: any Backbone, classes: Int, rates: [Int] = [12, 24, 36], dropout: Double = 0.5, embedding: Int? = nil
    ) throws {
        self.classes = classes
        let channels = backbone.featureChannels
        pixelChannels = channels[channels.count - 1]
        super.init()
        self.backbone = backbone
        classifier = try DeepLabV3Head(channels: pixelChannels, classes: classes, rates: rates, dropout: dropout)
        if let embedding {
            projection = try ProjectionHead(channels: pixelChannels, dimension: embedding)
        }
    }

    /// `[B, 3, H, W] -> […, [B, C, H / outputStride, W / outputStride]]`
    public func features(_ images: Tensor) throws -> [Tensor] { try backbone.features(images.channelsLast()) }

    /// `-> [B, classes, H / outputStride, W / outputStride]`
    public func decode(_ features: [Tensor]) throws -> Decoded {
        let last = features[features.count - 1]
        return Decoded(scores: Scores(main: try classifier(last)), pixels: last)
    }

    /// The backbone's own rule, and PyTorch's default for both heads, as torchvision and timm do it.
    public func initializeWeights(seed: UInt64) throws {
        try backbone.initialize(seed: seed, backbone.initialization, prefix: "backbone")
        try classifier.initialize(seed: seed, prefix: "classifier")
        try projection?.initialize(seed: seed, prefix: "projection")
    }

    public func loadBackbone(_ weights: NamedTensors) throws {
        try backbone.load(backbone.ownNames(weights), allowing: .missingBatchCounts)
    }
}
