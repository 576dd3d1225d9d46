import NN
import Tensors

@testable import Models

extension ParityModels {
    /// Transformers, by what a case says of its reference; nil for what is none.
    static func transformers(_ parity: ParityCase, _ arguments: Arguments) throws -> ParityModel? {
        let reference = parity.reference
        switch (reference.package ?? reference.project, reference.entry) {
        case ("transformers", "SegformerForImageClassification"): return try mixTransformer(arguments)
        case ("transformers", "SegformerForSemanticSegmentation"):
            return try segFormer(arguments, training: parity.train != nil)
        case ("timm", let entry?) where entry.hasPrefix("vit_"): return try visionTransformer(entry, arguments)
        case ("transformers", "MaskFormerForInstanceSegmentation"): return try maskFormer(arguments)
        case ("segmenter", _): return try segmenter(arguments, training: parity.train != nil)
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
                let maps = try network.backbone.features(x.channelsLast())
                var found = tapping ? stages(maps) : [:]
                found["logits"] = try network.scores([network.head.fused(maps)]).main
                return found
            })
    }

    // MARK: Vision transformers

    private static func visionTransformer(_ entry: String, _ arguments: Arguments) throws -> ParityModel? {
        // vit_tiny_patch16_384: size, patch, image size.
        let parts = entry.split(separator: "_").map(String.init)
        let sizes: [String: VisionTransformer.Config] = [
            "tiny": .tiny, "small": .small, "base": .base, "large": .large,
        ]
        guard parts.count == 4, var config = sizes[parts[1]], parts[2].hasPrefix("patch"),
            let patch = Int(parts[2].dropFirst(5)), let side = Int(parts[3]), arguments.isFalsy("pretrained"),
            let classes = arguments.int("num_classes")
        else { return nil }
        config.patch = patch
        config.imageSize = [side, side]
        let network = try VisionTransformer(config, classes: classes)
        return ParityModel(
            module: network, publishedName: { $0 }, tolerance: tolerance,
            run: { x, tapping in
                var found = tapping ? try taps(of: network, x) : [:]
                found["out"] = try network.classify(x)
                return found
            })
    }

    /// Patches, each block's output and the normed tokens.
    private static func taps(of network: VisionTransformer, _ x: Tensor) throws -> [String: Tensor] {
        let map = try network.patchProjection(x)
        let patches = try map.flatten(from: 2).transpose(1, 2)
        var found = ["patch_embed": patches]
        let grid = network.config.grid
        var tokens = try Tensor.cat([network.classToken.expand([x.size(0), -1, -1]), patches], dim: 1)
        tokens =
            try tokens
            + VisionTransformer.resized(network.positions, from: grid, to: Size2D(map.size(2), map.size(3)))
        for (index, block) in network.blocks.enumerated() {
            tokens = try block(tokens)
            found["blocks.\(index)"] = tokens
        }
        found["norm"] = try network.norm(tokens)
        return found
    }

    private static func segmenter(_ arguments: Arguments, training: Bool) throws -> ParityModel? {
        guard let size = arguments.ints("image_size"), let patch = arguments.int("patch_size"),
            let width = arguments.int("d_model"), let heads = arguments.int("n_heads"),
            let depth = arguments.int("n_layers"), let hidden = arguments.int("d_ff"),
            let classes = arguments.int("num_classes"), let imageClasses = arguments.int("encoder_head_classes"),
            let decoder = arguments.string("decoder"), let dropout = arguments.number("dropout"),
            let dropPath = arguments.number("drop_path_rate"), arguments.isFalsy("distilled")
        else { return nil }
        var config = VisionTransformer.Config(width: width, depth: depth, heads: heads, hidden: hidden)
        config.imageSize = size
        config.patch = patch
        config.eps = 1e-5
        config.dropout = training ? 0 : dropout
        config.dropPath = training ? 0 : dropPath
        let head: any SegmenterDecoder
        switch decoder {
        case "linear": head = try LinearDecoder(channels: width, classes: classes)
        case "mask_transformer":
            guard let layers = arguments.int("decoder_layers"), let heads = arguments.int("decoder_heads"),
                let hidden = arguments.int("decoder_d_ff")
            else { return nil }
            head = try MaskTransformer(
                channels: width, classes: classes, width: width, depth: layers, heads: heads, hidden: hidden,
                dropout: training ? 0 : dropout)
        default: return nil
        }
        let network = try Segmenter(
            encoder: VisionTransformer(config, classes: imageClasses), decoder: head, classes: classes)
        return ParityModel(
            module: network, publishedName: { $0 }, tolerance: tolerance,
            run: { x, tapping in
                let features = try network.features(x)
                let scores = try network.scores(features).main
                let size = Size2D(x.size(2), x.size(3))
                var found = ["masks": try network.resized(scores, to: size)]
                guard tapping else { return found }
                let padding = (bottom: -size.height.remainder(patch), right: -size.width.remainder(patch))
                let padded = try x.pad2d(left: 0, right: padding.right, top: 0, bottom: padding.bottom)
                for (name, tensor) in try taps(of: network.encoder, padded) {
                    found[name == "norm" ? "encoder" : "encoder.\(name)"] = tensor
                }
                found["decoder"] = scores
                guard let decoder = head as? MaskTransformer else { return found }
                let patches = try decoder.projection(features[0].flatten(from: 2).transpose(1, 2))
                found["decoder.proj_dec"] = patches
                var tokens = try Tensor.cat(
                    [patches, decoder.classEmbeddings.expand([x.size(0), -1, -1])], dim: 1)
                for (index, block) in decoder.blocks.enumerated() {
                    tokens = try block(tokens)
                    found["decoder.blocks.\(index)"] = tokens
                }
                found["decoder.decoder_norm"] = try decoder.norm(tokens)
                return found
            })
    }

    // MARK: MaskFormer

    private static func maskFormer(_ arguments: Arguments) throws -> ParityModel? {
        var config = MaskFormer.Config()
        guard let classes = arguments.int("num_labels"), let queries = arguments.int("num_queries"),
            let depth = arguments.int("decoder_layers"), let heads = arguments.int("decoder_attention_heads"),
            let hidden = arguments.int("decoder_ffn_dim"), let width = arguments.int("d_model"),
            let pyramidWidth = arguments.int("fpn_feature_size"), let maskWidth = arguments.int("mask_feature_size"),
            let backbone = try maskBackbone(arguments)
        else { return nil }
        (config.queries, config.depth, config.heads, config.width) = (queries, depth, heads, width)
        (config.hidden, config.pyramidWidth, config.maskWidth) = (hidden, pyramidWidth, maskWidth)
        let network = try MaskFormer(backbone: backbone, classes: classes, config: config)
        return ParityModel(
            module: network, publishedName: { $0 }, tolerance: tolerance,
            run: { x, tapping in
                let maps = try network.backbone.features(x.channelsLast())
                let pixels = try network.pixelDecoder(maps)
                let decoded = try network.decode([maps[maps.count - 1], pixels])
                let masks = decoded.masks[decoded.masks.count - 1]
                var found = [
                    "class_queries_logits": masks.classes, "masks_queries_logits": masks.masks,
                    "pixel_decoder_last_hidden_state": pixels,
                ]
                guard tapping else { return found }
                for (index, map) in maps.enumerated() { found["backbone.stage\(index + 1)"] = map }
                for (index, map) in try network.pixelDecoder.pyramid(maps).enumerated() {
                    found["fpn\(index + 1)"] = map
                }
                // transformers lists the last state behind the decoder's norm, the others before it.
                var states = try network.queryDecoder.states(maps[maps.count - 1])
                states.append(try network.queryDecoder.norm(states.removeLast()))
                for (index, state) in states.enumerated() { found["decoder\(index + 1)"] = state }
                return found
            })
    }

    private static func maskBackbone(_ arguments: Arguments) throws -> (any Backbone)? {
        guard let name = arguments.string("backbone"), let depths = arguments.ints("depths") else { return nil }
        if name.hasPrefix("resnet") {
            // The first stage's width says which blocks these are: 64 channels, four times as many behind a bottleneck.
            let blocks: [Int: ResNet.Configuration.Block] = [64: .basic, 256: .bottleneck]
            guard let widths = arguments.ints("hidden_sizes"), widths.count == 4, depths.count == 4,
                let block = blocks[widths[0]], widths == (0..<4).map({ widths[0] << $0 })
            else { return nil }
            return TransformersResNet(try ResNet(.init(block: block, blocks: depths)))
        }
        guard name.hasPrefix("swin"), let width = arguments.int("embed_dim"), let heads = arguments.ints("num_heads"),
            let window = arguments.int("window_size"), let patch = arguments.int("patch_size"),
            let expansion = arguments.number("mlp_ratio"), let biases = arguments.bool("qkv_bias")
        else { return nil }
        var config = SwinTransformer.Config(width: width, depths: depths, heads: heads, window: window)
        (config.patch, config.expansion, config.biases, config.dropPath) = (patch, expansion, biases, 0)
        return try SwinTransformer(config)
    }
}

extension Int {
    /// What is left of a division rounded up: 0 or negative.
    fileprivate func remainder(_ divisor: Int) -> Int { self - (self + divisor - 1) / divisor * divisor }
}
