import NN
import Tensors

/// f_EXT: images to feature maps.
public protocol Backbone: Module {
    /// Channels of each feature map it returns.
    var featureChannels: [Int] { get }

    /// How its published weights want their input.
    var inputNormalization: InputNormalization { get }

    /// How its parameters start where no weights are given.
    var initialization: InitializationRule { get }

    /// `[B, 3, H, W]` to feature maps, finest first.
    func features(_ images: Tensor) throws -> [Tensor]

    /// Published weights under this network's own names, without the image classifier that the file also holds.
    func ownNames(_ published: NamedTensors) -> NamedTensors
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
