import Basics
import Configuration
import NN
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
        let classifiers = ModelSettings.Head.allCases.map(\.classifierWeight)
        guard exported.names.contains(where: classifiers.contains) else {
            throw UserError("\(source): holds no trained network (none of \(classifiers.joined(separator: ", ")))")
        }
        // Hugging Face's loaders ask for the format; torch's own reader does not.
        try Safetensors.write(exported, metadata: ["format": "pt"], to: path)
        return "\(path): \(exported.count) tensors, \(exported.elementCount) values"
            + (state.count > exported.count ? "; projection head left out" : "")
    }
}

extension ExportJob {
    /// Writes what an exported network must compute: a fixed `input` `[1, 3, 129, 97]` (odd sizes, so that padding and
    /// resizing show) and the `logits` at its size, for `tools/check-export` to compare PyTorch's with.
    ///
    /// The file's metadata say how the network was built.
    ///
    /// - Throws: `UserError` that names the checkpoint's file where it does not fit the settings.
    public static func writeReference(_ settings: ModelSettings, checkpoint: String, to path: String) throws -> String {
        let source = Network.weightsFile(checkpoint)
        let classifier = settings.head.classifierWeight
        guard let rows = try SafetensorsFile(path: source).description(of: classifier)?.shape.first else {
            throw UserError("\(source): holds no classifier ('\(classifier)')")
        }
        let classes = settings.head == .maskformer ? rows - 1 : rows
        let network = try Network.trained(settings, classes: classes, checkpoint: checkpoint)
        let shape = [1, 3, 129, 97]
        var random = KeyedRandom(seed: 0, purpose: "export reference")
        let input = try Tensor((0..<shape.reduce(1, *)).map { _ in random.uniform(-2, 2) }, shape: shape)
        let logits = try withoutGradient { try network(input) }
        try Safetensors.write(
            NamedTensors([("input", input), ("logits", logits)]),
            metadata: [
                "backbone": settings.backbone.rawValue, "head": settings.head.rawValue, "classes": "\(classes)",
                "outputStride": "\(settings.outputStride)", "width": "\(settings.width)",
                "auxiliary": "\(settings.auxiliary)",
                "atrousRates": settings.atrousRates.map(String.init).joined(separator: ","),
            ], to: path)
        return "\(path): input \(shape) and logits \(logits.shape)"
    }
}
