import NN
import Tensors

/// OCRNet on HRNetV2, as the authors' HRNet-Semantic-Segmentation has it (`seg_hrnet_ocr.py`), whose state keys it
/// carries: backbone and head without a prefix, and `projection.*` beside them while it is trained by contrast.
public final class OCRNet: Module, SegmentationNetwork {
    @Child("") var backbone: HRNetV2
    @Child("") var head: OCRHead
    @Child public var projection: ProjectionHead?

    public let classes: Int
    public let pixelChannels: Int
    public let alignCorners: Bool
    public var inputNormalization: InputNormalization { backbone.inputNormalization }

    /// - Parameters:
    ///   - backbone: its way of fusing says whether corners are aligned in every other resizing too.
    ///   - middle, key, dropout: of the head.
    ///   - embedding: dimension of the projection head's embeddings; nil for a network without one.
    public init(
        backbone: HRNetV2, classes: Int, middle: Int = 512, key: Int = 256, dropout: Double = 0.05,
        embedding: Int? = nil
    ) throws {
        self.classes = classes
        alignCorners = backbone.configuration.fusing == .bilinear(alignCorners: true)
        let channels = backbone.featureChannels.reduce(0, +)
        pixelChannels = channels
        super.init()
        self.backbone = backbone
        head = try OCRHead(channels: channels, classes: classes, middle: middle, key: key, dropout: dropout)
        if let embedding { projection = try ProjectionHead(channels: channels, dimension: embedding) }
    }

    /// `[B, 3, H, W] -> [[B, 15 C, H/4, W/4]]`: the concatenated branches. The projection head reads them before the
    /// head's 3x3 convolution, as ContrastiveSeg has it.
    public func features(_ images: Tensor) throws -> [Tensor] {
        [try backbone.concatenated(backbone.features(images.channelsLast()), alignCorners: alignCorners)]
    }

    /// `-> [B, classes, H/4, W/4]`; the auxiliary ones are those that the regions are gathered by.
    public func decode(_ features: [Tensor]) throws -> Decoded {
        let (coarse, main) = try head(features[0])
        let scores = Scores(main: main, auxiliary: [.init(scores: coarse, weight: OCRHead.coarseWeight)])
        return Decoded(scores: scores)
    }

    /// The backbone's rule for the backbone; the heads as PyTorch, as the authors do it.
    public func initializeWeights(seed: UInt64) throws {
        try backbone.initialize(seed: seed, backbone.initialization)
        try head.initialize(seed: seed)
        try projection?.initialize(seed: seed, prefix: "projection")
    }

    public var publishedBackbone: PublishedBackbone? { PublishedBackbone(prefix: "", backbone) }
}
