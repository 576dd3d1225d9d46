import Tensors

extension MixTransformer {
    /// Takes the encoder's own names, those of a whole network of transformers, for images or for pixels, and those of the
    /// authors' code; heads are left out.
    public func ownNames(_ published: NamedTensors) -> NamedTensors {
        let encoder = published.under("segformer.encoder.")
        if !encoder.isEmpty { return encoder }
        let isAuthors = published.names.contains { $0.hasPrefix("patch_embed1.") }
        return isAuthors ? published.respelled(Self.ownPaths) : published
    }

    /// Below a block.
    private static let blockSpellings = [
        Spelling("norm1", "layer_norm_1"), Spelling("norm2", "layer_norm_2"),
        Spelling("attn.q", "attention.self.query"),
        Spelling("attn.kv", "attention.self.key", "attention.self.value"),
        Spelling("attn.proj", "attention.output.dense"), Spelling("attn.sr", "attention.self.sr"),
        Spelling("attn.norm", "attention.self.layer_norm"), Spelling("mlp.fc1", "mlp.dense1"),
        Spelling("mlp.dwconv.dwconv", "mlp.dwconv.dwconv"), Spelling("mlp.fc2", "mlp.dense2"),
    ]

    /// A module's paths here, from its path in the authors' code, which counts stages from 1; nil for the classifier.
    private static func ownPaths(_ path: String) -> [String]? {
        let parts = path.split(separator: ".").map(String.init)
        guard let first = parts.first, first != "head" else { return nil }
        guard let number = first.last?.wholeNumberValue else { return [path] }
        let below = parts.dropFirst(first.hasPrefix("block") ? 2 : 1).joined(separator: ".")
        switch first.dropLast() {
        case "patch_embed":
            return ["patch_embeddings.\(number - 1).\(below == "norm" ? "layer_norm" : below)"]
        case "norm": return ["layer_norm.\(number - 1)"]
        case "block" where parts.count > 2:
            let block = "block.\(number - 1).\(parts[1])"
            return blockSpellings.first { $0.theirs == below }.map { $0.ours.map { "\(block).\($0)" } } ?? [path]
        default: return [path]
        }
    }
}
