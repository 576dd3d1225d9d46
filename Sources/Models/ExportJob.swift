import Basics
import Tensors

/// Writes a trained network as PyTorch loads it: the checkpoint's weights without the projection head.
public enum ExportJob {
    /// - Parameters:
    ///   - checkpoint: the folder that holds `model.safetensors`.
    ///   - path: the file to write; one that exists is replaced whole.
    /// - Returns: one line that says what was written.
    /// - Throws: `UserError` that names the file: missing, damaged, no network's, or not writable.
    public static func run(checkpoint: String, to path: String) throws -> String {
        let source = Network.weightsFile(checkpoint)
        let state = try Safetensors.read(source)
        let exported = state.withoutProjection
        guard exported.names.contains(where: { $0.hasPrefix("backbone.") }) else {
            throw UserError("\(source): holds no trained network (no name begins with 'backbone.')")
        }
        // Hugging Face's loaders ask for the format; torch's own reader does not.
        try Safetensors.write(exported, metadata: ["format": "pt"], to: path)
        return "\(path): \(exported.count) tensors, \(exported.elementCount) values"
            + (state.count > exported.count ? "; projection head left out" : "")
    }
}
