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
            default: throw UserError(settings.mismatch ?? "model.backbone is no Mix Transformer")
            }
        config = config.scaled(Double(settings.width))
        if let rate = settings.dropPath { config.dropPath = Double(rate) }
        return try SegFormer(
            backbone: MixTransformer(config), classes: classes, width: width,
            dropout: settings.dropout.map(Double.init) ?? 0.1, embedding: embedding)
    }
}
