import Basics
import NN
import Tensors

/// ResNet (He et al., "Deep Residual Learning for Image Recognition", 2016), as torchvision has it, whose state keys it
/// carries: a bottleneck's stride is in its 3x3 convolution.
///
/// Where a stage's stride would pass the output stride, its 3x3 kernels are dilated instead (`StridePlan`).
public final class ResNet: Module, Backbone {
    public struct Configuration: Sendable {
        public enum Block: Sendable { case basic, bottleneck }

        public var block: Block
        /// Blocks of the four stages.
        public var blocks: [Int]
        /// Channels of the stem and of the first stage's 3x3 convolutions; they double from stage to stage.
        public var channels = 64
        /// Bottlenecks only: groups of the 3x3 convolutions, and their width per group where `channels` is 64, as in
        /// ResNeXt and the wide ResNets.
        public var groups = 1
        public var widthPerGroup = 64

        public init(block: Block, blocks: [Int]) {
            self.block = block
            self.blocks = blocks
        }

        public static let resnet18 = Configuration(block: .basic, blocks: [2, 2, 2, 2])
        public static let resnet34 = Configuration(block: .basic, blocks: [3, 4, 6, 3])
        public static let resnet50 = Configuration(block: .bottleneck, blocks: [3, 4, 6, 3])
        public static let resnet101 = Configuration(block: .bottleneck, blocks: [3, 4, 23, 3])
        public static let resnet152 = Configuration(block: .bottleneck, blocks: [3, 8, 36, 3])

        /// The same network with all channel counts multiplied, rounded to multiples of 8.
        public func scaled(_ width: Double) throws -> Configuration {
            try checkWidth(width, "ResNet")
            var scaled = self
            scaled.channels = roundedChannels(Double(channels) * width)
            return scaled
        }
    }

    @Child("conv1") var stem: Conv2d
    @Child("bn1") var stemNorm: BatchNorm2d
    @Child("layer1") var stage1: Sequential
    @Child("layer2") var stage2: Sequential
    @Child("layer3") var stage3: Sequential
    @Child("layer4") var stage4: Sequential
    /// On ImageNet, from the last stage's mean; a feature extractor has none.
    @Child("fc") var classifier: Linear?

    public let featureChannels: [Int]
    /// The third stage, as torchvision's segmentation networks have it.
    public let auxiliaryFeature: Int? = 2
    public let inputNormalization = InputNormalization.imageNet
    public var initialization: InitializationRule { .fanOutConvolutions }

    /// - Parameters:
    ///   - outputStride: input pixels per feature pixel of the last stage: 8, 16 or 32.
    ///   - classes: of the image classifier; nil for the feature extractor alone.
    /// - Throws: `UserError` for another output stride.
    public init(_ configuration: Configuration, outputStride: Int = 32, classes: Int? = nil) throws {
        precondition(configuration.blocks.count == 4 && configuration.blocks.allSatisfy { $0 > 0 }, "four stages")
        var plan = try StridePlan(after: 4, outputStride: outputStride, network: "ResNet")
        let base = configuration.channels
        let expansion = configuration.block == .basic ? 1 : Bottleneck.expansion
        featureChannels = (0..<4).map { (base << $0) * expansion }
        super.init()

        stem = try Conv2d(3, base, kernel: 7, stride: 2, padding: 3, bias: false)
        stemNorm = try BatchNorm2d(base)
        var incoming = base
        func stage(_ index: Int) throws -> Sequential {
            let run = plan.stage(stride: index == 0 ? 1 : 2)
            let width = base << index
            return try Sequential(
                (0..<configuration.blocks[index]).map { block -> Module & Layer in
                    defer { incoming = featureChannels[index] }
                    let stride = block == 0 ? run.stride : 1
                    let dilation = block == 0 ? run.firstDilation : run.dilation
                    switch configuration.block {
                    case .basic:
                        return try BasicBlock(
                            incoming, width, stride: stride, dilation: dilation, secondDilation: run.dilation)
                    case .bottleneck:
                        return try Bottleneck(
                            incoming, width, stride: stride, dilation: dilation, groups: configuration.groups,
                            widthPerGroup: configuration.widthPerGroup)
                    }
                })
        }
        stage1 = try stage(0)
        stage2 = try stage(1)
        stage3 = try stage(2)
        stage4 = try stage(3)
        if let classes { classifier = try Linear(featureChannels[3], classes) }
    }

    /// `[B, 3, H, W] ->` the four stages' maps, `[B, 256, H/4, W/4]` to `[B, 2048, H / outputStride, W / outputStride]`
    /// for bottlenecks, a quarter of the channels for basic blocks; sizes rounded up.
    public func features(_ images: Tensor) throws -> [Tensor] {
        let x1 = try stage1(pooledStem(images))  // [B, 256, H/4, W/4]
        let x2 = try stage2(x1)  // [B, 512, H/8, W/8]
        let x3 = try stage3(x2)  // [B, 1024, H/16, W/16], or H/8 at output stride 8
        let x4 = try stage4(x3)  // [B, 2048, H / outputStride, W / outputStride]
        return [x1, x2, x3, x4]
    }

    /// `[B, 3, H, W] -> [B, 64, H/4, W/4]`
    func pooledStem(_ images: Tensor) throws -> Tensor {
        try stemNorm.relu(stem(images)).maxPool2d(3, stride: 2, padding: 1)
    }

    /// Image classification: `[B, 3, H, W] -> [B, classes]`.
    ///
    /// - Throws: `TensorError` if it was made without classes.
    public func classify(_ images: Tensor) throws -> Tensor {
        guard let classifier else {
            throw TensorError(operation: "classify", reason: "this ResNet was made without a classifier")
        }
        return try classifier(features(images)[3].mean(dims: [2, 3]))
    }

    public func ownNames(_ published: NamedTensors) -> NamedTensors {
        guard classifier == nil else { return published }
        return published.renamed { $0.hasPrefix("fc.") ? nil : $0 }
    }
}

/// Two 3x3 convolutions around which the input is added.
final class BasicBlock: Module, Layer {
    @Child("conv1") var conv1: Conv2d
    @Child("bn1") var norm1: BatchNorm2d
    @Child("conv2") var conv2: Conv2d
    @Child("bn2") var norm2: BatchNorm2d
    @Child("downsample") var shortcut: ConvNormActivation?

    /// - Parameters:
    ///   - dilation: of the first convolution, which also has the stride.
    ///   - secondDilation: of the one behind it, which in a dilated stage already sees the finer grid (timm's rule;
    ///     torchvision dilates no basic block).
    init(
        _ incoming: Int, _ channels: Int, stride: Int = 1, dilation: Int = 1, secondDilation: Int = 1,
        norm: NormConstants = .init()
    ) throws {
        super.init()
        conv1 = try .spatial3x3(incoming, channels, stride: stride, dilation: dilation)
        norm1 = try BatchNorm2d(channels, norm)
        conv2 = try .spatial3x3(channels, channels, dilation: secondDilation)
        norm2 = try BatchNorm2d(channels, norm)
        if stride != 1 || incoming != channels {
            shortcut = try ConvNormActivation(
                incoming, channels, kernel: 1, stride: stride, norm: norm, activation: .none)
        }
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let hidden = try norm1.relu(conv1(x))
        let y = try norm2(conv2(hidden))
        return try y.add_(shortcut.map { try $0(x) } ?? x).relu_()
    }
}

/// A 1x1 convolution to few channels, a 3x3 there, and a 1x1 back to four times as many; the input is added.
final class Bottleneck: Module, Layer {
    static let expansion = 4

    @Child("conv1") var conv1: Conv2d
    @Child("bn1") var norm1: BatchNorm2d
    @Child("conv2") var conv2: Conv2d
    @Child("bn2") var norm2: BatchNorm2d
    @Child("conv3") var conv3: Conv2d
    @Child("bn3") var norm3: BatchNorm2d
    @Child("downsample") var shortcut: ConvNormActivation?

    init(
        _ incoming: Int, _ channels: Int, stride: Int = 1, dilation: Int = 1, groups: Int = 1, widthPerGroup: Int = 64,
        norm: NormConstants = .init()
    ) throws {
        super.init()
        let width = channels * widthPerGroup / 64 * groups
        let outgoing = channels * Self.expansion
        conv1 = try Conv2d(incoming, width, kernel: 1, bias: false)
        norm1 = try BatchNorm2d(width, norm)
        conv2 = try .spatial3x3(width, width, stride: stride, dilation: dilation, groups: groups)
        norm2 = try BatchNorm2d(width, norm)
        conv3 = try Conv2d(width, outgoing, kernel: 1, bias: false)
        norm3 = try BatchNorm2d(outgoing, norm)
        if stride != 1 || incoming != outgoing {
            shortcut = try ConvNormActivation(
                incoming, outgoing, kernel: 1, stride: stride, norm: norm, activation: .none)
        }
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let narrow = try norm1.relu(conv1(x))
        let filtered = try norm2.relu(conv2(narrow))
        let y = try norm3(conv3(filtered))
        return try y.add_(shortcut.map { try $0(x) } ?? x).relu_()
    }
}

extension Conv2d {
    /// A 3x3 convolution without bias, padded so that stride 1 keeps the size.
    static func spatial3x3(_ incoming: Int, _ outgoing: Int, stride: Int = 1, dilation: Int = 1, groups: Int = 1) throws
        -> Conv2d
    {
        try Conv2d(
            incoming, outgoing, kernel: 3, stride: Size2D(stride), padding: Size2D(dilation),
            dilation: Size2D(dilation), groups: groups, bias: false)
    }
}
