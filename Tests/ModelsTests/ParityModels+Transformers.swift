import NN
import Tensors

@testable import Models

extension ParityModels {
    /// The kit's advice for float32, as a share of an output's std.
    private static let tolerance = 2e-5

    /// Transformers, by what a case says of its reference; nil for what is none.
    static func transformers(_ parity: ParityCase, _ arguments: Arguments) throws -> ParityModel? {
        let reference = parity.reference
        switch (reference.package, reference.entry) {
        case ("transformers", "SegformerForImageClassification"): return try mixTransformer(arguments)
        case ("transformers", "SegformerForSemanticSegmentation"):
            return try segFormer(arguments, training: parity.train != nil)
        default: return nil
        }
    }

    // MARK: SegFormer

    private static func mixTransformerConfig(_ arguments: Arguments) -> MixTransformer.Config? {
        guard let depths = arguments.ints("depths"), let widths = arguments.ints("hidden_sizes"),
            let heads = arguments.ints("num_attention_heads"), let reductions = arguments.ints("sr_ratios"),
            let expansions = arguments.ints("mlp_ratios"), let patches = arguments.ints("patch_sizes"),
            let strides = arguments.ints("strides")
        else { return nil }
        var config = MixTransformer.Config(depths: depths, widths: widths)
        config.heads = heads
        config.reductions = reductions
        config.expansions = expansions
        config.patches = patches
        config.strides = strides
        config.dropPath = 0
        return config
    }

    private static func stages(_ features: [Tensor]) -> [String: Tensor] {
        Dictionary(uniqueKeysWithValues: features.enumerated().map { ("stage\($0.offset + 1)", $0.element) })
    }

    private static func mixTransformer(_ arguments: Arguments) throws -> ParityModel? {
        guard let config = mixTransformerConfig(arguments), arguments.int("decoder_hidden_size") != nil,
            let classes = arguments.int("num_labels")
        else { return nil }
        let network = try MixTransformerClassifier(config, classes: classes)
        return ParityModel(
            module: network, publishedName: { $0 }, tolerance: tolerance,
            run: { x, tapping in
                var found = tapping ? stages(try network.encoder.features(x)) : [:]
                found["logits"] = try network(x)
                return found
            })
    }

    private static func segFormer(_ arguments: Arguments, training: Bool) throws -> ParityModel? {
        guard let config = mixTransformerConfig(arguments), let width = arguments.int("decoder_hidden_size"),
            let classes = arguments.int("num_labels")
        else { return nil }
        let network = try SegFormer(
            backbone: MixTransformer(config), classes: classes, width: width, dropout: training ? 0 : 0.1)
        return ParityModel(
            module: network, publishedName: { $0 }, tolerance: tolerance,
            run: { x, tapping in
                let features = try network.features(x)
                var found = tapping ? stages(features) : [:]
                found["logits"] = try network.scores(features).main
                return found
            })
    }
}
