import Basics
import NN
import Tensors

/// f_EXT: images to feature maps.
public protocol Backbone: Module {
    /// Channels of each feature map it returns.
    var featureChannels: [Int] { get }

    /// Which of them the published networks read an auxiliary head from; nil if none of them does.
    var auxiliaryFeature: Int? { get }

    /// How its published weights want their input.
    var inputNormalization: InputNormalization { get }

    /// How its parameters start where no weights are given.
    var initialization: InitializationRule { get }

    /// `[B, 3, H, W]` to feature maps, finest first.
    func features(_ images: Tensor) throws -> [Tensor]

    /// Published weights under this network's own names, without the image classifier that the file also holds.
    func ownNames(_ published: NamedTensors) -> NamedTensors

    /// The same of a file that holds the backbone alone, as it is published.
    func ownNames(ofBackbone published: NamedTensors) -> NamedTensors
}

extension Backbone {
    public func ownNames(ofBackbone published: NamedTensors) -> NamedTensors { ownNames(published) }
    public var auxiliaryFeature: Int? { nil }
}

/// Keeps a backbone at an output stride: stages that would pass it run at stride 1 and dilate their kernels instead.
///
/// A strided stage's first convolution still has the dilation before it, as it would have had before its stride; those
/// behind it have the new one. timm and torchvision's ResNets do it so.
struct StridePlan {
    /// Input pixels per feature pixel so far.
    private(set) var stride: Int
    private(set) var dilation = 1
    let outputStride: Int

    /// How one stage runs.
    struct Stage {
        /// Of its first block.
        let stride: Int
        let firstDilation: Int
        /// Of all that follows.
        let dilation: Int
    }

    /// - Parameters:
    ///   - stride: of the layers before the first stage.
    ///   - network: for messages.
    /// - Throws: `UserError` for an output stride that is none of 8, 16 and 32.
    init(after stride: Int, outputStride: Int, network: String) throws {
        guard [8, 16, 32].contains(outputStride) else {
            throw UserError("\(network) has output stride 8, 16 or 32, not \(outputStride)")
        }
        self.stride = stride
        self.outputStride = outputStride
    }

    mutating func stage(stride asked: Int) -> Stage {
        let before = dilation
        if stride * asked > outputStride {
            dilation *= asked
            return Stage(stride: 1, firstDilation: before, dilation: dilation)
        }
        stride *= asked
        return Stage(stride: asked, firstDilation: before, dilation: before)
    }
}

/// A positive, finite factor of channel counts.
///
/// - Throws: `UserError` that names the network.
func checkWidth(_ width: Double, _ network: String) throws {
    guard width.isFinite, width > 0 else { throw UserError("\(network) of width \(width): must be above 0") }
}

/// The nearest multiple of 8, but never less than nine tenths of the value: how the MobileNets and EfficientNets round
/// channels (`make_divisible` in timm and torchvision).
func roundedChannels(_ value: Double) -> Int {
    let rounded = max(8, Int(value + 4) / 8 * 8)
    return Double(rounded) < 0.9 * value ? rounded + 8 : rounded
}

/// A width that keeps the number of heads, each with at least one channel.
func scaledWidth(_ width: Int, heads: Int, by factor: Double) -> Int {
    max(1, Int((Double(width / heads) * factor).rounded())) * heads
}
