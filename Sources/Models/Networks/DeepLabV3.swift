import Basics
import NN
import Tensors

/// DeepLabV3 on any backbone: `backbone.*`, `classifier.*` and `aux_classifier.*` as in torchvision's `DeepLabV3`,
/// `projection.*` beside them while it is trained by contrast.
public final class DeepLabV3: Module, SegmentationNetwork {
    @Child var backbone: any Backbone
    @Child var classifier: DeepLabV3Head
    /// Reads an earlier feature map; its scores are trained beside the main ones and not used otherwise.
    @Child("aux_classifier") var auxiliary: FCNHead?
    @Child public var projection: ProjectionHead?

    /// Factor of the auxiliary scores' cross-entropy, as PSPNet introduced such a head and most codes train with it
    /// (torchvision's own recipe has 0.5).
    public static let auxiliaryWeight = 0.4

    public let classes: Int
    /// Of the backbone's last feature map: what the head reads, the projection head reads too.
    public let pixelChannels: Int
    public let alignCorners = false
    public var inputNormalization: InputNormalization { backbone.inputNormalization }

    /// - Parameters:
    ///   - rates: dilations of the head's 3x3 branches.
    ///   - auxiliary: whether it has torchvision's auxiliary head.
    ///   - embedding: dimension of the projection head's embeddings; nil for a network without one.
    /// - Throws: `UserError` for rates or a dropout that make no head, or where the backbone has no feature map for an
    ///   auxiliary one.
    public init(
        backbone: any Backbone, classes: Int, rates: [Int] = [12, 24, 36], dropout: Double = 0.5,
        auxiliary hasAuxiliary: Bool = false, auxiliaryDropout: Double = 0.1, embedding: Int? = nil
    ) throws {
        self.classes = classes
        let channels = backbone.featureChannels
        guard !hasAuxiliary || backbone.auxiliaryFeature != nil else {
            throw UserError("\(type(of: backbone)) has no feature map for an auxiliary head")
        }
        let auxiliaryFeature = hasAuxiliary ? backbone.auxiliaryFeature : nil
        leaving = [auxiliaryFeature, channels.count - 1].compactMap { $0 }
        pixelChannels = channels[channels.count - 1]
        super.init()
        self.backbone = backbone
        classifier = try DeepLabV3Head(channels: pixelChannels, classes: classes, rates: rates, dropout: dropout)
        if let auxiliaryFeature {
            auxiliary = try FCNHead(
                channels: channels[auxiliaryFeature], classes: classes, dropout: auxiliaryDropout)
        }
        if let embedding {
            projection = try ProjectionHead(channels: pixelChannels, dimension: embedding)
        }
    }

    /// Which of the backbone's maps a head reads, the auxiliary one's first.
    private let leaving: [Int]

    /// `[B, 3, H, W] -> [[B, C, H / outputStride, W / outputStride]]`, after the auxiliary head's map if there is one.
    public func features(_ images: Tensor) throws -> [Tensor] {
        let maps = try backbone.features(images.channelsLast())
        return leaving.map { maps[$0] }
    }

    /// `-> [B, classes, H / outputStride, W / outputStride]`; auxiliary ones in training only.
    public func decode(_ features: [Tensor]) throws -> Decoded {
        let last = features[features.count - 1]
        var auxiliaryScores: [Scores.Auxiliary] = []
        if isTraining, let auxiliary {
            auxiliaryScores = [try .init(scores: auxiliary(features[0]), weight: Self.auxiliaryWeight)]
        }
        return Decoded(scores: Scores(main: try classifier(last), auxiliary: auxiliaryScores))
    }

    /// The backbone's own rule, and PyTorch's default for the heads, as torchvision and timm do it.
    public func initializeWeights(seed: UInt64) throws {
        try backbone.initialize(seed: seed, backbone.initialization, prefix: "backbone")
        try classifier.initialize(seed: seed, prefix: "classifier")
        try auxiliary?.initialize(seed: seed, prefix: "aux_classifier")
        try projection?.initialize(seed: seed, prefix: "projection")
    }

    public var publishedBackbone: PublishedBackbone? { PublishedBackbone(prefix: "backbone.", backbone) }
}
