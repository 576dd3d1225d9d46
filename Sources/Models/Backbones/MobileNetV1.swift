import NN
import Tensors

/// MobileNetV1 (Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
/// 2017), as timm's `mobilenetv1_100` has it, whose state keys it carries.
///
/// Where a stage's stride would pass the output stride, its depthwise kernels are dilated instead (`StridePlan`).
public final class MobileNetV1: Module, Backbone {
    /// Rows of the paper's table 1 that have the same width, the first one strided.
    struct Stage {
        let channels: Int, blocks: Int, stride: Int
    }

    static let stages = [
        Stage(channels: 64, blocks: 1, stride: 1),
        Stage(channels: 128, blocks: 2, stride: 2),
        Stage(channels: 256, blocks: 2, stride: 2),
        Stage(channels: 512, blocks: 6, stride: 2),
        Stage(channels: 1024, blocks: 2, stride: 2),
    ]

    @Child("conv_stem") var stem: Conv2d
    @Child("bn1") var stemNorm: BatchNorm2d
    @Child("blocks") var blocks: [Sequential]
    /// On ImageNet, from the last stage's mean; a feature extractor has none.
    @Child("classifier") var classifier: Linear?

    public let featureChannels: [Int]
    public let inputNormalization = InputNormalization.inception
    /// timm's: convolutions normal by fan-out, with the groups taken into account.
    public var initialization: InitializationRule { .fanOut(dividesByGroups: true) }

    /// - Parameters:
    ///   - width: factor of all channel counts, the paper's α.
    ///   - outputStride: input pixels per feature pixel: 8, 16 or 32.
    ///   - classes: of the image classifier; nil for the feature extractor alone.
    /// - Throws: `UserError` for another output stride or a width that is not positive.
    public init(width: Double = 1, outputStride: Int = 32, classes: Int? = nil) throws {
        var plan = try StridePlan(after: 2, outputStride: outputStride, network: "MobileNetV1")
        try checkWidth(width, "MobileNetV1")
        let channels = Self.stages.map { roundedChannels(Double($0.channels) * width) }
        featureChannels = [channels[channels.count - 1]]
        super.init()

        var incoming = roundedChannels(32 * width)
        stem = try Conv2d(3, incoming, kernel: 3, stride: 2, padding: 1, bias: false)
        stemNorm = try BatchNorm2d(incoming)
        blocks = try zip(Self.stages, channels).map { stage, outgoing in
            let run = plan.stage(stride: stage.stride)
            let row = try (0..<stage.blocks).map { index -> Module & Layer in
                defer { incoming = outgoing }
                return try DepthwiseSeparable(
                    incoming, outgoing, stride: index == 0 ? run.stride : 1,
                    dilation: index == 0 ? run.firstDilation : run.dilation, isLinear: false)
            }
            return Sequential(row)
        }
        if let classes { classifier = try Linear(incoming, classes) }
    }

    /// `[B, 3, H, W] -> [[B, 1024, H / outputStride, W / outputStride]]`, sizes rounded up.
    public func features(_ images: Tensor) throws -> [Tensor] {
        var x = try stemNorm.relu6(stem(images))  // [B, 32, H/2, W/2]
        for stage in blocks { x = try stage(x) }
        return [x]
    }

    /// Image classification: `[B, 3, H, W] -> [B, classes]`.
    ///
    /// - Throws: `TensorError` if it was made without classes.
    public func classify(_ images: Tensor) throws -> Tensor {
        guard let classifier else {
            throw TensorError(operation: "classify", reason: "this MobileNetV1 was made without a classifier")
        }
        return try classifier(features(images)[0].mean(dims: [2, 3]))
    }

    public func ownNames(_ published: NamedTensors) -> NamedTensors {
        guard classifier == nil else { return published }
        return published.renamed { $0.hasPrefix("classifier.") ? nil : $0 }
    }
}
