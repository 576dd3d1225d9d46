import NN
import Tensors

/// The head of OCRNet (Yuan et al., "Object-Contextual Representations for Semantic Segmentation", 2020), as the
/// authors' HRNet-Semantic-Segmentation has it (`seg_hrnet_ocr.py`), whose state keys it carries.
///
/// Coarse scores say which pixels belong to which object region; each region's mean representation is gathered, and
/// every pixel attends to the regions.
public final class OCRHead: Module {
    @Child("conv3x3_ocr") var pixels: ConvNormActivation
    @Child("ocr_distri_head") var distribution: ContextDistribution
    @Child("cls_head") var classifier: Conv2d
    @Child("aux_head") var coarse: HRNetHead

    /// Factor of the coarse scores' cross-entropy in the loss, in the paper and in the authors' configurations.
    public static let coarseWeight = 0.4

    /// - Parameters:
    ///   - channels: of the feature map it reads.
    ///   - middle: of the pixels' representation.
    ///   - key: of queries, keys and values of the attention.
    ///   - dropout: of whole channels, before the classifier.
    public init(channels: Int, classes: Int, middle: Int = 512, key: Int = 256, dropout: Double = 0.05) throws {
        super.init()
        pixels = try ConvNormActivation(channels, middle, kernel: 3, bias: true)
        distribution = try ContextDistribution(middle, key: key, dropout: dropout)
        classifier = try Conv2d(middle, classes, kernel: 1)
        coarse = try HRNetHead(channels: channels, classes: classes)
    }

    /// `[B, C, h, w] -> [B, classes, h, w]`: the coarse scores and the final ones.
    public func callAsFunction(_ features: Tensor) throws -> (coarse: Tensor, main: Tensor) {
        let coarseScores = try coarse(features)
        let x = try pixels(features)  // [B, 512, h, w]
        let y = try distribution(x, gather(x, by: coarseScores))  // [B, 512, h, w]
        return (coarseScores, try classifier(y))
    }

    /// What each region looks like: the mean of the pixels, weighed by the softmax over all pixels of its scores.
    ///
    /// `[B, C, h, w], [B, K, h, w] -> [B, C, K, 1]`
    func gather(_ pixels: Tensor, by scores: Tensor) throws -> Tensor {
        let weights = try scores.flatten(from: 2).softmax(dim: 2)  // [B, K, hw]
        let rows = try pixels.flatten(from: 2).transpose(1, 2)  // [B, hw, C]
        return try weights.matmul(rows).transpose(1, 2).unsqueeze(3)
    }
}

/// Gives each pixel the context of the regions that it attends to.
final class ContextDistribution: Module {
    @Child("object_context_block") var attention: ObjectAttention
    @Child("conv_bn_dropout") var fusion: PointwiseChain
    private let dropout: Double

    init(_ channels: Int, key: Int, dropout: Double) throws {
        self.dropout = dropout
        super.init()
        attention = try ObjectAttention(channels, key: key)
        fusion = try PointwiseChain(2 * channels, [channels])
    }

    /// `[B, C, h, w], [B, C, K, 1] -> [B, C, h, w]`
    func callAsFunction(_ pixels: Tensor, _ regions: Tensor) throws -> Tensor {
        let context = try attention(pixels, regions)
        return try fusion(Tensor.cat([context, pixels], dim: 1)).dropout2d(dropout, training: isTraining)
    }
}

/// Attention from pixels (queries) to regions (keys and values).
final class ObjectAttention: Module {
    @Child("f_pixel") var query: PointwiseChain
    @Child("f_object") var key: PointwiseChain
    @Child("f_down") var value: PointwiseChain
    @Child("f_up") var output: PointwiseChain
    private let keyChannels: Int

    init(_ channels: Int, key keyChannels: Int) throws {
        self.keyChannels = keyChannels
        super.init()
        query = try PointwiseChain(channels, [keyChannels, keyChannels])
        key = try PointwiseChain(channels, [keyChannels, keyChannels])
        value = try PointwiseChain(channels, [keyChannels])
        output = try PointwiseChain(keyChannels, [channels])
    }

    func callAsFunction(_ pixels: Tensor, _ regions: Tensor) throws -> Tensor {
        let queries = try query(pixels).flatten(from: 2).transpose(1, 2)  // [B, hw, key]
        let keys = try key(regions).flatten(from: 2)  // [B, key, K]
        let values = try value(regions).flatten(from: 2).transpose(1, 2)  // [B, K, key]
        let similarities = try (queries.matmul(keys) * (1 / Double(keyChannels).squareRoot())).softmax(dim: 2)
        let context = try similarities.matmul(values).transpose(1, 2)  // [B, key, hw]
            .unflatten(dim: 2, [pixels.size(2), pixels.size(3)])  // [B, key, h, w]
        return try output(context.channelsLast())
    }
}

/// 1x1 convolutions without bias, each with batch normalisation and ReLU; the authors nest every norm one level deeper,
/// so keys are "0", "1.0", "2", "3.0", ….
final class PointwiseChain: Module, Layer {
    @Child("") var steps: [Module & Layer]

    /// - Parameter channels: of each convolution's result.
    init(_ incoming: Int, _ channels: [Int]) throws {
        super.init()
        var from = incoming
        steps = try channels.flatMap { width -> [Module & Layer] in
            defer { from = width }
            return [try Conv2d(from, width, kernel: 1, bias: false), try Sequential(BatchNorm2d(width), ReLU())]
        }
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor { try steps.reduce(x) { try $1($0) } }
}
