import Basics
import Configuration
import Foundation
import NN
import Tensors

extension ExportJob {
    /// What stands beside an exported program, under `picoflow.json`.
    private struct Description: Encodable {
        var head: String
        var backbone: String
        var classes: [String]
        /// Of the images that the program takes, in pixels.
        var height: Int
        var width: Int
        var input = "float32 [N, 3, height, width], RGB, 0 to 1"
        var output = "float32 [N, classes, height, width]; the largest of a pixel is its class"
        /// Of the sides of images as they are, for which the run resizes them before; absent where it takes them as they are.
        var scale: Float?
    }

    /// Writes a trained network as TorchScript: PyTorch runs it without any code of ours, in Python and in C++.
    ///
    /// It takes images as `[N, 3, height, width]` float32, red, green and blue from 0 to 1, normalises them itself, and
    /// returns scores `[N, classes, height, width]`. The batch may have any size. The image size is fixed, for sizes on
    /// the way are recorded as constants; other images are an error, not wrong scores.
    ///
    /// - Parameters:
    ///   - names: of the classes, noted beside the program.
    ///   - size: of the images.
    ///   - scale: noted too: of their sides, where the run sees images resized.
    /// - Returns: one line that says what was written.
    /// - Throws: `UserError` that names the checkpoint's file where it does not fit, or `TensorError` for a size that the
    ///   network cannot take.
    public static func writeScript(
        _ settings: ModelSettings, checkpoint: String, classes names: [String], size: Size2D, scale: Float? = nil,
        to path: String
    ) throws -> String {
        let network = try Network.trained(settings, classes: names.count, checkpoint: checkpoint)
        let script = try script(of: network, size: size)
        let difference: Double
        do {
            difference = try deviation(of: script, from: network, size: size)
        } catch let error as UserError { throw UserError("\(Network.weightsFile(checkpoint)): \(error)") }
        // Where the CPU has a cheaper way to the same sums, the network goes it and the program does not.
        guard difference < 1e-4 else {
            throw UserError(
                "\(path): the recorded program's scores deviate by \(difference) of their spread; not written")
        }
        let description = Description(
            head: settings.head.rawValue, backbone: settings.backbone.rawValue, classes: names, height: size.height,
            width: size.width, scale: scale)
        try script.write(to: path, texts: [("picoflow.json", description.prettyJSON())])
        return "\(path): TorchScript for images of \(size.height) x \(size.width), \(names.count) classes"
    }

    /// Records a network in evaluation mode, its normalisation included.
    static func script(of network: any SegmentationNetwork, size: Size2D) throws -> Script {
        let normalization = network.inputNormalization
        return try withoutGradient {
            // Two images: what holds for one alone would be recorded of one.
            try Script(
                tracing: network.stateDict(), parameters: Set(network.namedParameters().names),
                on: example(2, size)
            ) { images in
                // Changes nothing, and fails for images of another size.
                let checked = try images.expand([-1, 3, size.height, size.width])
                // By numbers: tensors would be constants of the program, on the CPU and float32 wherever it is moved.
                let channels = try (0..<3).map { channel in
                    try (checked.narrow(dim: 1, start: channel, length: 1) - normalization.mean[channel])
                        / normalization.std[channel]
                }
                return try network(Tensor.cat(channels, dim: 1))
            }
        }
    }

    /// The largest difference between the program's scores of one image and the network's, over their standard deviation.
    private static func deviation(
        of script: Script, from network: any SegmentationNetwork, size: Size2D
    ) throws -> Double {
        try withoutGradient {
            let image = try example(1, size)
            let normalization = network.inputNormalization
            let mean = try Tensor(normalization.mean, shape: [1, 3, 1, 1])
            let expected = try network((image - mean) / Tensor(normalization.std, shape: [1, 3, 1, 1]))
            let spread = try expected.variance(unbiased: false).item().squareRoot()
            guard spread.isFinite else { throw UserError("the network's own scores are no finite numbers") }
            return try (script(image) - expected).abs().max().item() / max(spread, 1e-12)
        }
    }

    /// Images of fixed noise.
    private static func example(_ count: Int, _ size: Size2D) throws -> Tensor {
        let shape = [count, 3, size.height, size.width]
        var random = KeyedRandom(seed: 0, purpose: "export example")
        return try Tensor((0..<shape.reduce(1, *)).map { _ in random.uniform() }, shape: shape)
    }
}
