import NN
import Tensors

/// f_PROJ: one embedding per feature pixel, for the contrastive loss. It exists in training only.
///
/// A 1x1 convolution as wide as its input, batch normalisation, ReLU, a 1x1 convolution to D channels, and unit length
/// along the channels (Zhou & Wang, "Cross-Image Pixel Contrasting for Semantic Segmentation").
public final class ProjectionHead: Module, Layer {
    @Child("0") var hidden: Conv2d
    @Child("1") var norm: BatchNorm2d
    @Child("3") var output: Conv2d  // 2 is the ReLU, which has no state

    /// - Parameters:
    ///   - channels: of the feature map it reads.
    ///   - dimension: of the embeddings, D.
    public init(channels: Int, dimension: Int) throws {
        super.init()
        hidden = try Conv2d(channels, channels, kernel: 1, bias: false)
        norm = try BatchNorm2d(channels)
        output = try Conv2d(channels, dimension, kernel: 1)
    }

    /// `[B, C, h, w] -> [B, D, h, w]`, unit vectors along the channels; float32 at least, as memory and miners want them.
    public func callAsFunction(_ features: Tensor) throws -> Tensor {
        try embeddings(of: activations(of: features))
    }

    /// The same in two parts, of which only the first is about a whole map: `[B, C, h, w] -> [B, C, h, w]`.
    public func activations(of features: Tensor) throws -> Tensor { try norm.relu(hidden(features)) }

    /// `[B, C, h, w] -> [B, D, h, w]`, each pixel by itself.
    public func embeddings(of activations: Tensor) throws -> Tensor {
        try output(activations).widened().normalized(dim: 1)
    }
}
