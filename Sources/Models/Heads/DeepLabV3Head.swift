import Basics
import NN
import Tensors

/// The head of DeepLabV3 (Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017), as
/// torchvision's `DeepLabHead`, whose state keys it carries.
public final class DeepLabV3Head: Module, Layer {
    @Child("0") var pyramid: AtrousPyramid
    @Child("1") var conv: Conv2d
    @Child("2") var norm: BatchNorm2d
    @Child("4") var classifier: Conv2d  // 3 is the ReLU, which has no state

    /// - Parameters:
    ///   - channels: of the feature map it reads.
    ///   - rates: dilations of the 3x3 branches.
    ///   - dropout: behind the pyramid.
    public init(channels: Int, classes: Int, rates: [Int] = [12, 24, 36], dropout: Double = 0.5) throws {
        super.init()
        pyramid = try AtrousPyramid(channels, AtrousPyramid.width, rates: rates, dropout: dropout)
        conv = try Conv2d(AtrousPyramid.width, AtrousPyramid.width, kernel: 3, padding: 1, bias: false)
        norm = try BatchNorm2d(AtrousPyramid.width)
        classifier = try Conv2d(AtrousPyramid.width, classes, kernel: 1)
    }

    /// `[B, C, h, w] -> [B, classes, h, w]`: scores at the features' resolution.
    public func callAsFunction(_ features: Tensor) throws -> Tensor {
        let context = try pyramid(features)  // [B, 256, h, w]
        return try classifier(norm.relu(conv(context)))
    }
}

/// Atrous spatial pyramid pooling: a 1x1 branch, one dilated 3x3 branch per rate, and one of the whole map's mean.
final class AtrousPyramid: Module, Layer {
    /// Channels of each branch and of the result, in the paper and in torchvision.
    static let width = 256

    @Child("convs") var branches: [Module & Layer]
    @Child("project") var projection: ConvNormActivation
    private let dropout: Double

    init(_ incoming: Int, _ outgoing: Int, rates: [Int], dropout: Double) throws {
        guard !rates.isEmpty, rates.allSatisfy({ $0 > 0 }) else {
            throw UserError("atrous rates \(rates): at least one is needed, each above 0")
        }
        guard (0..<1).contains(dropout) else { throw UserError("dropout \(dropout): must be in [0, 1)") }
        self.dropout = dropout
        super.init()
        branches =
            try [ConvNormActivation(incoming, outgoing, kernel: 1)]
            + rates.map { try ConvNormActivation(incoming, outgoing, kernel: 3, dilation: $0) }
            + [PooledBranch(incoming, outgoing)]
        projection = try ConvNormActivation(outgoing * branches.count, outgoing, kernel: 1)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let joined = try Tensor.cat(branches.map { try $0(x) }, dim: 1)  // [B, 256 (rates + 2), h, w]
        return try projection(joined).dropout(dropout, training: isTraining)
    }
}

/// The mean over the whole map, a 1x1 convolution, and the result at every pixel.
final class PooledBranch: Module, Layer {
    @Child("1") var conv: Conv2d  // 0 is the pooling, which has no state
    @Child("2") var norm: BatchNorm2d

    init(_ incoming: Int, _ outgoing: Int) throws {
        super.init()
        conv = try Conv2d(incoming, outgoing, kernel: 1, bias: false)
        norm = try BatchNorm2d(outgoing)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        guard x.size(0) > 1 || !norm.isTraining || (norm.group?.size ?? 1) > 1 else {
            throw TensorError(
                operation: "DeepLabV3's pooled branch", arguments: [x.description],
                reason: "batch statistics of one value per channel; train with batches of at least 2 images")
        }
        let pooled = try norm.relu(conv(x.adaptiveAvgPool2d(1)))  // [B, 256, 1, 1]
        // torchvision resizes bilinearly from 1x1, which is the same constant. Laid out like the other branches, as
        // concatenation falls back to row-major order where its inputs differ.
        return try pooled.expand([-1, -1, x.size(2), x.size(3)]).channelsLast()
    }
}
