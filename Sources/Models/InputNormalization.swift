import Basics
import Tensors

/// How images become a network's input: per channel `(value / 255 - mean) / std`.
public struct InputNormalization: Sendable, Equatable {
    /// Red, green, blue, of values in [0, 1].
    public let mean: [Float]
    public let std: [Float]

    public init(mean: [Float], std: [Float]) {
        precondition(
            mean.count == 3 && std.count == 3 && std.allSatisfy { $0 > 0 }, "three channels, positive deviations")
        self.mean = mean
        self.std = std
    }

    /// ImageNet's statistics: those of all weights published by torchvision, and of timm's MobileNetV2.
    public static let imageNet = InputNormalization(mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])

    /// [0, 1] to [-1, 1]: Inception's, and that of timm's MobileNetV1.
    public static let inception = InputNormalization(mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5])

    /// Images of 8 bits, `[B, H, W, 3]`, as a network's input: `[B, 3, H, W]` float32, channels last in memory.
    ///
    /// - Throws: `TensorError` if the tensor is no uint8 tensor of that shape.
    public func callAsFunction(_ images: Tensor) throws -> Tensor {
        guard images.dim == 4, images.size(3) == 3, images.dtype == .uint8 else {
            throw TensorError(
                operation: "normalise", arguments: [images.description], reason: "images are [B, H, W, 3] uint8")
        }
        // (v / 255 - m) / s = v * 1 / (255 s) - m / s; the channel is the last dimension here, so both broadcast.
        let factor = try Tensor(std.map { 1 / (255 * $0) }, device: images.device)
        let offset = try Tensor(zip(mean, std).map { $0 / $1 }, device: images.device)
        return try (images.to(.float32) * factor - offset).permute([0, 3, 1, 2])  // a view: channels last
    }
}
