import NN
import Tensors

/// HRNetV2 with its own head, as the authors' HRNet-Semantic-Segmentation has it (`seg_hrnet.py`), whose state keys it
/// carries: the backbone's without a prefix, `last_layer.*`, and `projection.*` beside them while it is trained by
/// contrast.
public final class HRNet: Module, SegmentationNetwork {
    @Child("") var backbone: HRNetV2
    @Child("last_layer") var classifier: HRNetHead
    @Child public var projection: ProjectionHead?

    public let classes: Int
    public let pixelChannels: Int
    public let alignCorners: Bool
    public var inputNormalization: InputNormalization { backbone.inputNormalization }

    /// - Parameters:
    ///   - backbone: its way of fusing says whether corners are aligned in every other resizing too.
    ///   - lastKernel: of the convolution to the classes, 1 or 3.
    ///   - embedding: dimension of the projection head's embeddings; nil for a network without one.
    public init(backbone: HRNetV2, classes: Int, lastKernel: Int = 1, embedding: Int? = nil) throws {
        self.classes = classes
        alignCorners = backbone.configuration.fusing == .bilinear(alignCorners: true)
        let channels = backbone.featureChannels.reduce(0, +)
        pixelChannels = channels
        super.init()
        self.backbone = backbone
        classifier = try HRNetHead(
            channels: channels, classes: classes, kernel: lastKernel, momentum: backbone.configuration.momentum)
        if let embedding { projection = try ProjectionHead(channels: channels, dimension: embedding) }
    }

    /// `[B, 3, H, W] -> [[B, 15 C, H/4, W/4]]`: the concatenated branches, as both heads read them and nothing
    /// else.
    public func features(_ images: Tensor) throws -> [Tensor] {
        [try backbone.concatenated(backbone.features(images.channelsLast()), alignCorners: alignCorners)]
    }

    /// `-> [B, classes, H/4, W/4]`
    public func decode(_ features: [Tensor]) throws -> Decoded {
        Decoded(scores: Scores(main: try classifier(features[0])))
    }

    /// The backbone's rule for its head too, as the authors do it; the projection head as PyTorch.
    public func initializeWeights(seed: UInt64) throws {
        try backbone.initialize(seed: seed, backbone.initialization)
        try classifier.initialize(seed: seed, backbone.initialization, prefix: "last_layer")
        try projection?.initialize(seed: seed, prefix: "projection")
    }

    public var publishedBackbone: PublishedBackbone? { PublishedBackbone(prefix: "", backbone) }
}
