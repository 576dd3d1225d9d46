import NN
import Tensors

/// MaskFormer's pixel decoder: a feature pyramid (Lin et al., 2017) and a projection of its finest map, with the state
/// keys of transformers' `MaskFormerPixelDecoder`.
public final class PixelDecoder: Module {
    @Child("fpn.stem") var stem: ConvGroupNormReLU
    @Child("fpn.layers") var levels: [PyramidLevel]
    @Child("mask_projection") var projection: Conv2d

    /// - Parameters:
    ///   - channels: of the feature maps it reads, finest first.
    ///   - width: of the pyramid.
    ///   - output: channels of the result.
    init(channels: [Int], width: Int, output: Int) throws {
        super.init()
        stem = try ConvGroupNormReLU(channels[channels.count - 1], width)
        levels = try channels.dropLast().reversed().map { try PyramidLevel(lateral: $0, width: width) }
        projection = try Conv2d(width, output, kernel: 3, padding: 1)
    }

    /// Feature maps, finest first, to per-pixel features at the finest one's size: `[B, output, h, w]`.
    func callAsFunction(_ features: [Tensor]) throws -> Tensor {
        let pyramid = try pyramid(features)
        return try projection(pyramid[pyramid.count - 1])
    }

    /// The pyramid's maps behind its coarsest, each `[B, width, h, w]`, coarsest first.
    func pyramid(_ features: [Tensor]) throws -> [Tensor] {
        var x = try stem(features[features.count - 1])
        if levels.isEmpty { return [x] }
        return try zip(levels, features.dropLast().reversed()).map { level, lateral in
            x = try level(x, lateral)
            return x
        }
    }
}

/// A 3x3 convolution, group normalisation and ReLU.
final class ConvGroupNormReLU: Module, Layer {
    @Child("0") var conv: Conv2d
    @Child("1") var norm: GroupNorm

    init(_ incoming: Int, _ outgoing: Int) throws {
        super.init()
        conv = try Conv2d(incoming, outgoing, kernel: 3, padding: 1, bias: false)
        norm = try GroupNorm(32, outgoing)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor { try norm(conv(x)).relu_() }
}

/// The coarser map at a finer one's size, plus that one.
final class PyramidLevel: Module {
    @Child("proj") var lateral: Sequential
    @Child var block: ConvGroupNormReLU

    init(lateral channels: Int, width: Int) throws {
        super.init()
        lateral = try Sequential(Conv2d(channels, width, kernel: 1, bias: false), GroupNorm(32, width))
        block = try ConvGroupNormReLU(width, width)
    }

    func callAsFunction(_ coarse: Tensor, _ fine: Tensor) throws -> Tensor {
        let left = try lateral(fine)
        return try block(coarse.interpolate(Size2D(left.size(2), left.size(3)), .nearest) + left)
    }
}
