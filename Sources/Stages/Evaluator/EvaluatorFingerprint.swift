import Basics
import Configuration
import Imaging
import Models
import StageKit
import Tensors

/// What this host's decoder, resizing and libtorch make of a fixed image: evaluators whose kernels differ count a few
/// pixels differently.
public enum EvaluatorFingerprint {
    /// - Throws: `UserError` or `TensorError` where a library does not work at all.
    public static func compute() throws -> Fingerprint {
        // One thread: the number that the topology sets comes later, and must not show here.
        try Torch.setThreads(1)
        let versions = ["libtorch": Torch.version, Fingerprint.bf16: try String(narrow().prefix(12))]
        return try Fingerprint.compute(versions: versions) { hash in
            let jpeg = try JPEG.encode(picture(), quality: 90)
            let image = try JPEG.decode(SharedBytes(jpeg), name: "the built-in image")
            hash.update(image.pixels)
            let pixels = try Tensor(adopting: image.pixels, dtype: .uint8, shape: [1, image.height, image.width, 3])
            let weight = try drawn([16, 3, 3, 3])
            let features = try InputNormalization.imageNet(pixels).conv2d(weight, stride: 2, padding: 1)
            let probabilities = try features.interpolate(Size2D(48, 64), .bilinear(alignCorners: false)).softmax(dim: 1)
            hash.update(try probabilities.bytes())
        }
    }

    /// SHA-256 of what a convolution in bf16 gives here: processors with and without instructions for it round differently.
    private static func narrow() throws -> String {
        let output = try ModelSettings.Precision.bf16.compute(on: .cpu) {
            try drawn([1, 16, 12, 16]).channelsLast().conv2d(drawn([16, 16, 3, 3]), padding: 1).widened()
        }
        return try SHA256.hex(output.bytes())
    }

    private static func picture() -> Image {
        Image(width: 64, height: 48) { target in
            for i in 0..<target.count { target[i] = UInt8(truncatingIfNeeded: i * i / 97 + i / 3) }
        }
    }

    private static func drawn(_ shape: [Int]) throws -> Tensor {
        var random = KeyedRandom(seed: 1, purpose: "evaluator fingerprint")
        return try Tensor((0..<shape.reduce(1, *)).map { _ in random.uniform(-1, 1) }, shape: shape)
    }
}
