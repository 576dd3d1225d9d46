import Basics
import NN
import Tensors

/// HRNetV2's own head: a convolution as wide as all branches together, and one to the classes. State keys are those of
/// the authors' `last_layer`.
public final class HRNetHead: Module, Layer {
    @Child("0") var conv: Conv2d
    @Child("1") var norm: BatchNorm2d
    @Child("3") var classifier: Conv2d  // 2 is the ReLU, which has no state

    /// - Parameters:
    ///   - channels: of the concatenated branches.
    ///   - kernel: of the last convolution, 1 or 3.
    ///   - momentum: of the norm, as the backbone has it.
    public init(channels: Int, classes: Int, kernel: Int = 1, momentum: Double = 0.1) throws {
        guard [1, 3].contains(kernel) else { throw UserError("HRNet's last convolution is 1x1 or 3x3, not \(kernel)") }
        super.init()
        conv = try Conv2d(channels, channels, kernel: 1)
        norm = try BatchNorm2d(channels, momentum: momentum)
        classifier = try Conv2d(channels, classes, kernel: Size2D(kernel), padding: Size2D(kernel / 2))
    }

    /// `[B, 15 C, h, w] -> [B, classes, h, w]`
    public func callAsFunction(_ features: Tensor) throws -> Tensor {
        try classifier(norm.relu(conv(features)))
    }
}

extension HRNetV2 {
    /// All branches at the finest one's size, one after the other: `[B, 15 C, H/4, W/4]` of the published layouts. What
    /// HRNet's own head and OCRNet read.
    func concatenated(_ branches: [Tensor], alignCorners: Bool) throws -> Tensor {
        let size = Size2D(branches[0].size(2), branches[0].size(3))
        let resized = try branches.dropFirst().map { try $0.interpolate(size, .bilinear(alignCorners: alignCorners)) }
        return try Tensor.cat([branches[0]] + resized, dim: 1)
    }
}
