import Basics
import Configuration
import Tensors

/// The recipe's names of transformers and what they stand for; constants are those of the published trainings.
extension Network {
    static func segFormer(_ settings: ModelSettings, classes: Int, embedding: Int?) throws -> SegFormer {
        var (config, width): (MixTransformer.Config, Int) =
            switch settings.backbone {
            case .mitb0: (.b0, 256)
            case .mitb1: (.b1, 256)
            case .mitb2: (.b2, 768)
            case .mitb3: (.b3, 768)
            case .mitb4: (.b4, 768)
            case .mitb5: (.b5, 768)
            default: preconditionFailure("\(settings.backbone) got past the check of backbone and head")
            }
        config = config.scaled(Double(settings.width))
        if let rate = settings.dropPath { config.dropPath = Double(rate) }
        return try SegFormer(
            backbone: MixTransformer(config), classes: classes, width: width,
            dropout: settings.dropout.map(Double.init) ?? 0.1, embedding: embedding)
    }

    static func segmenter(_ settings: ModelSettings, classes: Int, embedding: Int?) throws -> Segmenter {
        var config: VisionTransformer.Config =
            switch settings.backbone {
            case .vitt16: .tiny
            case .vits16: .small
            case .vitb16: .base
            case .vitl16: .large
            default: preconditionFailure("\(settings.backbone) got past the check of backbone and head")
            }
        // Segmenter's own constants: timm has an eps of 1e-6 and, for ImageNet, no stochastic depth.
        config.eps = 1e-5
        config.dropPath = settings.dropPath.map(Double.init) ?? 0.1
        // Positions have the grid of what is trained on, in whole patches, as in the paper's code.
        if let size = settings.imageSize {
            config.imageSize = size.map { max(1, ($0 + config.patch - 1) / config.patch) * config.patch }
        }
        return try Segmenter(
            encoder: VisionTransformer(config.scaled(Double(settings.width)), classes: 1000), classes: classes,
            dropout: settings.dropout.map(Double.init) ?? 0.1, embedding: embedding)
    }

    static func maskFormer(_ settings: ModelSettings, classes: Int, embedding: Int?) throws -> MaskFormer {
        var config = MaskFormer.Config()
        if let dropout = settings.dropout { config.dropout = Double(dropout) }
        return try MaskFormer(
            backbone: maskBackbone(settings), classes: classes, config: config, embedding: embedding)
    }

    private static func maskBackbone(_ settings: ModelSettings) throws -> any Backbone {
        let width = Double(settings.width)
        func resNet(_ configuration: ResNet.Configuration) throws -> TransformersResNet {
            TransformersResNet(try ResNet(configuration.scaled(width)))
        }
        func swin(_ config: SwinTransformer.Config) throws -> SwinTransformer {
            var config = config.scaled(width)
            if let rate = settings.dropPath { config.dropPath = Double(rate) }
            return try SwinTransformer(config)
        }
        switch settings.backbone {
        case .resnet50: return try resNet(.resnet50)
        case .resnet101: return try resNet(.resnet101)
        case .swint: return try swin(.tiny)
        case .swins: return try swin(.small)
        case .swinb: return try swin(.base)
        case .swinl: return try swin(.large)
        default: preconditionFailure("\(settings.backbone) got past the check of backbone and head")
        }
    }
}
