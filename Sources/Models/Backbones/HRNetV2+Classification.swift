import NN
import Tensors

/// HRNetV2 for images as a whole, as timm's `hrnet_w48` and the authors' HRNet-Image-Classification have it: the
/// networks whose ImageNet weights the segmentation networks start from.
///
/// The branches are widened, and the finer ones stepwise strided down and added to the coarser.
public final class HRNetV2Classifier: Module {
    @Child("") var backbone: HRNetV2
    @Child("incre_modules") var widening: [Sequential]
    @Child("downsamp_modules") var downsampling: [ConvNormActivation]
    @Child("final_layer") var head: ConvNormActivation
    @Child("classifier") var classifier: Linear

    /// Narrow channels of the widening bottlenecks, which return four times as many.
    private static let widths = [32, 64, 128, 256]
    private static let headChannels = 2048

    public init(_ configuration: HRNetV2.Configuration, classes: Int) throws {
        super.init()
        let norm = NormConstants(momentum: configuration.momentum)
        backbone = try HRNetV2(configuration)
        let wide = Self.widths.map { $0 * Bottleneck.expansion }
        widening = try zip(backbone.featureChannels, Self.widths).map {
            try Sequential([Bottleneck($0, $1, norm: norm)])
        }
        downsampling = try (1..<4).map {
            try ConvNormActivation(wide[$0 - 1], wide[$0], kernel: 3, stride: 2, bias: true, norm: norm)
        }
        head = try ConvNormActivation(wide[3], Self.headChannels, kernel: 1, bias: true, norm: norm)
        classifier = try Linear(Self.headChannels, classes)
    }

    /// `[B, 3, H, W] -> [B, 2048, H/32, W/32]`
    func headFeatures(_ branches: [Tensor]) throws -> Tensor {
        var x = try widening[0](branches[0])  // [B, 128, H/4, W/4]
        for index in 1..<4 { x = try widening[index](branches[index]) + downsampling[index - 1](x) }
        return try head(x)
    }

    /// `[B, 3, H, W] -> [B, classes]`
    public func callAsFunction(_ images: Tensor) throws -> Tensor {
        try classifier(headFeatures(backbone.features(images)).mean(dims: [2, 3]))
    }
}
