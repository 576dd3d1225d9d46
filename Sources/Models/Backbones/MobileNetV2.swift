import Basics
import NN
import Tensors

/// MobileNetV2 (Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018), as timm's
/// `mobilenetv2_100` has it, whose state keys it carries.
///
/// Where a stage's stride would pass the output stride, its depthwise kernels are dilated instead (`StridePlan`).
public final class MobileNetV2: Module, Backbone {
    /// What the paper's table 2 says of one row: blocks with the same expansion and width, the first one strided.
    struct Stage {
        let expansion: Int, channels: Int, blocks: Int, stride: Int
    }

    static let stages = [
        Stage(expansion: 1, channels: 16, blocks: 1, stride: 1),
        Stage(expansion: 6, channels: 24, blocks: 2, stride: 2),
        Stage(expansion: 6, channels: 32, blocks: 3, stride: 2),
        Stage(expansion: 6, channels: 64, blocks: 4, stride: 2),
        Stage(expansion: 6, channels: 96, blocks: 3, stride: 1),
        Stage(expansion: 6, channels: 160, blocks: 3, stride: 2),
        Stage(expansion: 6, channels: 320, blocks: 1, stride: 1),
    ]

    @Child("conv_stem") var stem: Conv2d
    @Child("bn1") var stemNorm: BatchNorm2d
    @Child("blocks") var blocks: [Sequential]
    // The classifier on ImageNet; a feature extractor has none of these.
    @Child("conv_head") var headConv: Conv2d?
    @Child("bn2") var headNorm: BatchNorm2d?
    @Child("classifier") var classifier: Linear?

    public let featureChannels: [Int]
    public let inputNormalization = InputNormalization.imageNet
    /// timm's: convolutions normal by fan-out, with the groups taken into account.
    public var initialization: InitializationRule { .fanOut(dividesByGroups: true) }

    /// - Parameters:
    ///   - width: factor of all channel counts, 1 in the paper's main network.
    ///   - outputStride: input pixels per feature pixel: 8, 16 or 32.
    ///   - classes: of the image classifier; nil for the feature extractor alone.
    /// - Throws: `UserError` for another output stride or a width that is not positive.
    public init(width: Double = 1, outputStride: Int = 32, classes: Int? = nil) throws {
        var plan = try StridePlan(after: 2, outputStride: outputStride, network: "MobileNetV2")
        try checkWidth(width, "MobileNetV2")
        let channels = Self.stages.map { roundedChannels(Double($0.channels) * width) }
        featureChannels = [channels[channels.count - 1]]
        super.init()

        var incoming = roundedChannels(32 * width)
        stem = try Conv2d(3, incoming, kernel: 3, stride: 2, padding: 1, bias: false)
        stemNorm = try BatchNorm2d(incoming)

        blocks = try zip(Self.stages, channels).map { stage, outgoing in
            let run = plan.stage(stride: stage.stride)
            let row = try (0..<stage.blocks).map { index -> Module & Layer in
                let blockStride = index == 0 ? run.stride : 1
                let blockDilation = index == 0 ? run.firstDilation : run.dilation
                defer { incoming = outgoing }
                if stage.expansion == 1 {
                    return try DepthwiseSeparable(incoming, outgoing, stride: blockStride, dilation: blockDilation)
                }
                return try InvertedResidual(
                    incoming, outgoing, expansion: stage.expansion, stride: blockStride, dilation: blockDilation)
            }
            return Sequential(row)
        }

        if let classes {
            let head = max(1280, roundedChannels(1280 * width))
            headConv = try Conv2d(incoming, head, kernel: 1, bias: false)
            headNorm = try BatchNorm2d(head)
            classifier = try Linear(head, classes)
        }
    }

    /// `[B, 3, H, W] -> [[B, 320, H / outputStride, W / outputStride]]`, sizes rounded up.
    public func features(_ images: Tensor) throws -> [Tensor] {
        var x = try stemNorm.relu6(stem(images))  // [B, 32, H/2, W/2]
        for stage in blocks { x = try stage(x) }
        return [x]
    }

    /// Image classification: `[B, 3, H, W] -> [B, classes]`.
    ///
    /// - Throws: `TensorError` if it was made without classes.
    public func classify(_ images: Tensor) throws -> Tensor {
        guard let headConv, let headNorm, let classifier else {
            throw TensorError(operation: "classify", reason: "this MobileNetV2 was made without a classifier")
        }
        let x = try headNorm.relu6(headConv(features(images)[0]))  // [B, 1280, H/32, W/32]
        return try classifier(x.mean(dims: [2, 3]))
    }
}

/// A depthwise 3x3 and a pointwise convolution: MobileNetV2's block without expansion, linear and residual where shapes
/// allow it, and MobileNetV1's block, which ends in a nonlinearity and is never residual.
final class DepthwiseSeparable: Module, Layer {
    @Child("conv_dw") var depthwise: Conv2d
    @Child("bn1") var depthwiseNorm: BatchNorm2d
    @Child("conv_pw") var projection: Conv2d
    @Child("bn2") var projectionNorm: BatchNorm2d

    private let isLinear: Bool
    private let isResidual: Bool

    init(_ incoming: Int, _ outgoing: Int, stride: Int, dilation: Int, isLinear: Bool = true) throws {
        self.isLinear = isLinear
        isResidual = isLinear && stride == 1 && incoming == outgoing
        super.init()
        depthwise = try .depthwise3x3(incoming, stride: stride, dilation: dilation)
        depthwiseNorm = try BatchNorm2d(incoming)
        projection = try Conv2d(incoming, outgoing, kernel: 1, bias: false)
        projectionNorm = try BatchNorm2d(outgoing)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let filtered = try depthwiseNorm.relu6(depthwise(x))
        guard isLinear else { return try projectionNorm.relu6(projection(filtered)) }
        let y = try projectionNorm(projection(filtered))
        return isResidual ? try y.add_(x) : y
    }
}

/// A pointwise expansion, a depthwise 3x3, and a linear pointwise projection; the input is added where shapes allow it.
final class InvertedResidual: Module, Layer {
    @Child("conv_pw") var expansion: Conv2d
    @Child("bn1") var expansionNorm: BatchNorm2d
    @Child("conv_dw") var depthwise: Conv2d
    @Child("bn2") var depthwiseNorm: BatchNorm2d
    @Child("conv_pwl") var projection: Conv2d
    @Child("bn3") var projectionNorm: BatchNorm2d

    private let isResidual: Bool

    init(_ incoming: Int, _ outgoing: Int, expansion factor: Int, stride: Int, dilation: Int) throws {
        isResidual = stride == 1 && incoming == outgoing
        super.init()
        // Block widths are multiples of 8 already, so the expanded ones are too and need no rounding.
        let expanded = incoming * factor
        expansion = try Conv2d(incoming, expanded, kernel: 1, bias: false)
        expansionNorm = try BatchNorm2d(expanded)
        depthwise = try .depthwise3x3(expanded, stride: stride, dilation: dilation)
        depthwiseNorm = try BatchNorm2d(expanded)
        projection = try Conv2d(expanded, outgoing, kernel: 1, bias: false)
        projectionNorm = try BatchNorm2d(outgoing)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let expanded = try expansionNorm.relu6(expansion(x))  // [B, 6 C, h, w]
        let filtered = try depthwiseNorm.relu6(depthwise(expanded))  // [B, 6 C, h / stride, w / stride]
        let y = try projectionNorm(projection(filtered))  // [B, C', h / stride, w / stride]
        return isResidual ? try y.add_(x) : y
    }
}

extension Conv2d {
    /// One 3x3 kernel per channel, padded so that stride 1 keeps the size.
    fileprivate static func depthwise3x3(_ channels: Int, stride: Int, dilation: Int) throws -> Conv2d {
        try Conv2d(
            channels, channels, kernel: 3, stride: Size2D(stride), padding: Size2D(dilation),
            dilation: Size2D(dilation), groups: channels, bias: false)
    }
}
