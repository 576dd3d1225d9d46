import Basics
import NN
import Tensors

/// MobileNetV3-Large (Howard et al., "Searching for MobileNetV3", 2019), as the `features` of torchvision's
/// `mobilenet_v3_large`, whose state keys it carries: layers are numbered, "0" the stem, "16" the last convolution.
///
/// Where a block's stride would pass the output stride, it runs at stride 1 and its own depthwise kernel is dilated with
/// those behind it, as torchvision does it (its DeepLabV3 has output stride 16).
public final class MobileNetV3: Module, Backbone {
    /// One row of the paper's table 1.
    struct Block {
        let kernel: Int, expanded: Int, channels: Int
        let squeezes: Bool
        let activation: Activation
        let stride: Int

        init(_ kernel: Int, _ expanded: Int, _ channels: Int, _ squeezes: Bool, _ activation: Activation, _ stride: Int)
        {
            self.kernel = kernel
            self.expanded = expanded
            self.channels = channels
            self.squeezes = squeezes
            self.activation = activation
            self.stride = stride
        }
    }

    static let blocks = [
        Block(3, 16, 16, false, .relu, 1),
        Block(3, 64, 24, false, .relu, 2),
        Block(3, 72, 24, false, .relu, 1),
        Block(5, 72, 40, true, .relu, 2),
        Block(5, 120, 40, true, .relu, 1),
        Block(5, 120, 40, true, .relu, 1),
        Block(3, 240, 80, false, .hardswish, 2),
        Block(3, 200, 80, false, .hardswish, 1),
        Block(3, 184, 80, false, .hardswish, 1),
        Block(3, 184, 80, false, .hardswish, 1),
        Block(3, 480, 112, true, .hardswish, 1),
        Block(3, 672, 112, true, .hardswish, 1),
        Block(5, 672, 160, true, .hardswish, 2),
        Block(5, 960, 160, true, .hardswish, 1),
        Block(5, 960, 160, true, .hardswish, 1),
    ]

    /// The layer whose output torchvision's auxiliary head reads: the last strided block but one, at output stride 8.
    static let auxiliaryLayer = 4

    /// Those of all its norms; the heads behind it have PyTorch's.
    static let norm = NormConstants(eps: 1e-3, momentum: 0.01)

    @Child("") var layers: [Module & Layer]

    public let featureChannels: [Int]
    public let auxiliaryFeature: Int? = 0
    public let inputNormalization = InputNormalization.imageNet
    public var initialization: InitializationRule { .fanOut() }

    /// - Parameters:
    ///   - width: factor of all channel counts, 1 in the paper's main network.
    ///   - outputStride: input pixels per feature pixel: 8, 16 or 32.
    /// - Throws: `UserError` for another output stride or a width that is not positive.
    public init(width: Double = 1, outputStride: Int = 32) throws {
        var plan = try StridePlan(after: 2, outputStride: outputStride, network: "MobileNetV3")
        try checkWidth(width, "MobileNetV3")
        func scaled(_ channels: Int) -> Int { roundedChannels(Double(channels) * width) }
        let last = scaled(Self.blocks[Self.blocks.count - 1].channels)
        featureChannels = [scaled(Self.blocks[Self.auxiliaryLayer - 1].channels), 6 * last]
        super.init()

        var incoming = scaled(16)
        let stem = try ConvNormActivation(
            3, incoming, kernel: 3, stride: 2, norm: Self.norm, activation: .hardswish)
        let blocks = try Self.blocks.map { row in
            let run = plan.stage(stride: row.stride)
            defer { incoming = scaled(row.channels) }
            return try SqueezedResidual(
                incoming, row, expanded: scaled(row.expanded), outgoing: scaled(row.channels), stride: run.stride,
                dilation: run.dilation)
        }
        let head = try ConvNormActivation(last, 6 * last, kernel: 1, norm: Self.norm, activation: .hardswish)
        layers = [stem] + blocks + [head]
    }

    /// `[B, 3, H, W] -> [[B, 40, H/8, W/8], [B, 960, H / outputStride, W / outputStride]]`, sizes rounded up.
    public func features(_ images: Tensor) throws -> [Tensor] {
        var x = images
        var auxiliary: [Tensor] = []
        for (index, layer) in layers.enumerated() {
            x = try layer(x)
            if index == Self.auxiliaryLayer { auxiliary = [x] }
        }
        return auxiliary + [x]
    }

    /// Names without `features.`, and without the classifier on ImageNet.
    public func ownNames(_ published: NamedTensors) -> NamedTensors {
        guard published.names.contains(where: { $0.hasPrefix("features.") }) else { return published }
        return published.under("features.")
    }
}

/// A pointwise expansion, a depthwise convolution, squeeze and excitation, and a linear pointwise projection; those that
/// a row does not have are missing, and what follows moves up. The input is added where shapes allow it.
final class SqueezedResidual: Module, Layer {
    @Child("block") var steps: [Module & Layer]
    private let isResidual: Bool

    init(
        _ incoming: Int, _ row: MobileNetV3.Block, expanded: Int, outgoing: Int, stride: Int, dilation: Int
    ) throws {
        // Also of dilated blocks: the published rule looks at the stride that the row asks for.
        isResidual = row.stride == 1 && incoming == outgoing
        super.init()
        let norm = MobileNetV3.norm
        var steps: [Module & Layer] = []
        if expanded != incoming {
            steps.append(
                try ConvNormActivation(incoming, expanded, kernel: 1, norm: norm, activation: row.activation))
        }
        steps.append(
            try ConvNormActivation(
                expanded, expanded, kernel: row.kernel, stride: stride, dilation: dilation, groups: expanded,
                norm: norm, activation: row.activation))
        if row.squeezes {
            steps.append(try SqueezeExcitation(expanded, squeezed: roundedChannels(Double(expanded / 4))))
        }
        steps.append(try ConvNormActivation(expanded, outgoing, kernel: 1, norm: norm, activation: .none))
        self.steps = steps
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let y = try steps.reduce(x) { try $1($0) }  // [B, C', h / stride, w / stride]
        return isResidual ? try y.add_(x) : y
    }
}

/// Scales each channel by what a small network makes of all channels' means (Hu et al., "Squeeze-and-Excitation
/// Networks", 2018), with a hard sigmoid at its end.
final class SqueezeExcitation: Module, Layer {
    @Child("fc1") var squeeze: Conv2d
    @Child("fc2") var excite: Conv2d

    init(_ channels: Int, squeezed: Int) throws {
        super.init()
        squeeze = try Conv2d(channels, squeezed, kernel: 1)
        excite = try Conv2d(squeezed, channels, kernel: 1)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let means = try x.adaptiveAvgPool2d(1)  // [B, C, 1, 1]
        return try excite(squeeze(means).relu_()).hardsigmoid() * x
    }
}

/// torchvision's `mobilenet_v3_large`: the backbone and its classifier on ImageNet.
public final class MobileNetV3Classifier: Module {
    @Child("features") var backbone: MobileNetV3
    @Child("classifier") var classifier: Sequential

    public init(width: Double = 1, classes: Int) throws {
        super.init()
        backbone = try MobileNetV3(width: width)
        let channels = backbone.featureChannels[1]
        let hidden = roundedChannels(1280 * width)
        classifier = try Sequential(Linear(channels, hidden), Hardswish(), Dropout(0.2), Linear(hidden, classes))
    }

    /// `[B, 3, H, W] -> [B, classes]`
    public func callAsFunction(_ images: Tensor) throws -> Tensor {
        try classifier(backbone.features(images)[1].mean(dims: [2, 3]))
    }
}
