import Tensors

extension SwinTransformer {
    /// Takes the backbone's own names, those of classifiers of images (transformers', and those of Microsoft's code and
    /// timm), and those of the backbones that Microsoft publishes for segmentation and detection.
    public func ownNames(_ published: NamedTensors) -> NamedTensors {
        let encoder = published.under("swin.")
        guard encoder.isEmpty else { return encoder.prefixed("model.") }
        guard published.names.contains(where: { $0.hasPrefix("patch_embed.") }) else { return published }
        // Microsoft's code merges behind a stage, newer versions of timm before the next one.
        let mergesBefore = !published.names.contains { $0.hasPrefix("layers.0.downsample.") }
        // What Microsoft's code computes of the image size it keeps, too.
        return published.renamed { $0.hasSuffix("attn_mask") ? nil : $0 }
            .respelled { Self.ownPaths($0, mergesBefore: mergesBefore) }
    }

    /// Below a block.
    private static let blockSpellings = [
        Spelling("norm1", "layernorm_before"), Spelling("norm2", "layernorm_after"),
        Spelling("attn", "attention.self"),
        Spelling("attn.qkv", "attention.self.query", "attention.self.key", "attention.self.value"),
        Spelling("attn.proj", "attention.output.dense"), Spelling("mlp.fc1", "intermediate.dense"),
        Spelling("mlp.fc2", "output.dense"),
    ]

    /// A module's paths here, from its path in Microsoft's code or in timm; nil for their classifier.
    private static func ownPaths(_ path: String, mergesBefore: Bool) -> [String]? {
        let parts = path.split(separator: ".").map(String.init)
        switch parts.first {
        case "head": return nil
        case "norm": return ["model.layernorm"]
        // Behind each stage, in networks for segmentation and detection.
        case "norm0", "norm1", "norm2", "norm3": return ["hidden_states_norms.\(path.dropFirst(4))"]
        case "patch_embed":
            return path.hasSuffix("norm") ? ["model.embeddings.norm"] : ["model.embeddings.patch_embeddings.projection"]
        case "layers" where parts.count > 3 && parts[2] == "blocks":
            let below = parts.dropFirst(4).joined(separator: ".")
            let block = "model.encoder.layers.\(parts[1]).blocks.\(parts[3])"
            return blockSpellings.first { $0.theirs == below }.map { $0.ours.map { "\(block).\($0)" } } ?? [path]
        case "layers" where parts.count > 3 && parts[2] == "downsample":
            guard let stage = Int(parts[1]) else { return [path] }
            return ["model.encoder.layers.\(mergesBefore ? stage - 1 : stage).downsample.\(parts[3])"]
        default: return [path]
        }
    }
}
