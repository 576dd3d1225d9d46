import NN
import Tensors

/// What a convolution with its norm ends in.
enum Activation {
    case none, relu, relu6, hardswish

    /// The norm and the activation of what it returns.
    func apply(_ norm: BatchNorm2d, _ x: Tensor) throws -> Tensor {
        switch self {
        case .none: try norm(x)
        case .relu: try norm.relu(x)
        case .relu6: try norm.relu6(x)
        // Its derivative needs the input, so changing it in place would cost a copy instead of saving one.
        case .hardswish: try norm(x).hardswish()
        }
    }
}

/// The constants of a network's batch normalisation; PyTorch's unless given.
struct NormConstants {
    var eps = 1e-5
    var momentum = 0.1
}

extension BatchNorm2d {
    convenience init(_ channels: Int, _ constants: NormConstants) throws {
        try self.init(channels, eps: constants.eps, momentum: constants.momentum)
    }
}

/// A convolution padded so that stride 1 keeps the size, batch normalisation and an activation: what torchvision calls
/// `Conv2dNormActivation`, and HRNet and DeepLabV3 spell out.
final class ConvNormActivation: Module, Layer {
    @Child("0") var conv: Conv2d
    @Child("1") var norm: BatchNorm2d
    private let activation: Activation

    /// - Parameter bias: of the convolution; one before a norm has no effect, yet some published networks have it.
    init(
        _ incoming: Int, _ outgoing: Int, kernel: Int, stride: Int = 1, dilation: Int = 1, groups: Int = 1,
        bias: Bool = false, norm constants: NormConstants = .init(), activation: Activation = .relu
    ) throws {
        self.activation = activation
        super.init()
        conv = try Conv2d(
            incoming, outgoing, kernel: Size2D(kernel), stride: Size2D(stride),
            padding: Size2D(dilation * (kernel / 2)),
            dilation: Size2D(dilation), groups: groups, bias: bias)
        norm = try BatchNorm2d(outgoing, constants)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor { try activation.apply(norm, conv(x)) }
}
