import Configuration
import NN
import Tensors

/// What a network costs and whose weights it takes.
public struct NetworkSummary: Encodable, Sendable {
    public let head: ModelSettings.Head
    public let backbone: ModelSettings.Backbone
    /// Trained values, without the projection head, which exists in training only.
    public let parameters: Int
    /// Those of the backbone alone.
    public let backboneParameters: Int
    /// Of one image's forward pass, in convolutions and matrix products.
    public let multiplyAdds: Int
    /// Input pixels per score, along a side.
    public let outputStride: Int
    /// Input pixels per embedding, along a side, and channels of what the projection head reads.
    public let embeddingStride: Int
    public let embeddingChannels: Int
    /// Whose names the backbone's and the whole network's weights have.
    public let backboneNames: String
    public let networkNames: String

    /// Builds the network and runs it once, on zeros.
    ///
    /// - Parameter size: of the image, in pixels.
    /// - Throws: `UserError` for settings of no network, `TensorError` for an image too small for it.
    public init(_ settings: ModelSettings, classes: Int, size: Size2D) throws {
        let network = try Network.make(settings, classes: classes).eval()
        try network.to(.channelsLast)
        let images = try Tensor.zeros([1, 3, size.height, size.width]).contiguous(.channelsLast)
        let ((pixels, scores), count) = try Operator.countingMultiplyAdds {
            try withoutGradient {
                let features = try network.features(images)
                return (features[features.count - 1], try network.scores(features).main)
            }
        }
        let backbone = network.namedModules().lazy.compactMap { $0.module as? any Backbone }.first
        head = settings.head
        self.backbone = settings.backbone
        parameters = network.parameterCount
        backboneParameters = backbone?.parameterCount ?? 0
        multiplyAdds = count
        outputStride = Self.stride(of: scores.size(3), from: size.width)
        embeddingStride = Self.stride(of: pixels.size(3), from: size.width)
        embeddingChannels = network.pixelChannels
        backboneNames = settings.backbone.weightNames(under: settings.head)
        networkNames = settings.head.weightNames
    }

    /// The power of two that makes a map of this width, rounded up where the image's is no multiple.
    static func stride(of map: Int, from width: Int) -> Int {
        var stride = 1
        while (width + stride - 1) / stride > map { stride *= 2 }
        return stride
    }
}

extension ModelSettings.Backbone {
    /// The implementations whose ImageNet weights load as they are.
    public func weightNames(under head: ModelSettings.Head) -> String {
        switch self {
        case .mobilenetv1: "timm mobilenetv1_100"
        case .mobilenetv2: "timm mobilenetv2_100, torchvision mobilenet_v2"
        case .mobilenetv3: "torchvision mobilenet_v3_large"
        case .resnet18, .resnet34, .resnet50, .resnet101:
            head == .maskformer ? "transformers ResNet, torchvision \(rawValue)" : "torchvision \(rawValue)"
        case .hrnetv2w18: "HRNet's authors, timm hrnet_w18"
        case .hrnetv2w48: "HRNet's authors, timm hrnet_w48"
        case .mitb0, .mitb1, .mitb2, .mitb3, .mitb4, .mitb5:
            "transformers Segformer, its authors' mit_b\(rawValue.suffix(1))"
        case .vitt16: "timm vit_tiny_patch16_384"
        case .vits16: "timm vit_small_patch16_384"
        case .vitb16: "timm vit_base_patch16_384"
        case .vitl16: "timm vit_large_patch16_384"
        case .swint: "transformers Swin, Microsoft's and timm's swin_tiny_patch4_window7_224"
        case .swins: "transformers Swin, Microsoft's and timm's swin_small_patch4_window7_224"
        case .swinb: "transformers Swin, Microsoft's and timm's swin_base_patch4_window12_384"
        case .swinl: "transformers Swin, Microsoft's and timm's swin_large_patch4_window12_384"
        }
    }
}

extension ModelSettings.Head {
    /// The implementation whose names the whole network's weights have.
    public var weightNames: String {
        switch self {
        case .deeplabv3: "torchvision DeepLabV3"
        case .hrnet, .ocrnet: "HRNet-Semantic-Segmentation"
        case .segformer: "transformers SegformerForSemanticSegmentation"
        case .segmenter: "Segmenter's authors"
        case .maskformer: "transformers MaskFormerForInstanceSegmentation"
        }
    }
}
