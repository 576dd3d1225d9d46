import Basics
import NN
import Tensors

/// SegFormer's decoder of linear layers only, as transformers' `SegformerDecodeHead`, whose state keys it carries.
public final class SegFormerHead: Module {
    @Child("linear_c") var projections: [StageProjection]
    @Child("linear_fuse") var fuse: Conv2d
    @Child("batch_norm") var norm: BatchNorm2d
    @Child var classifier: Conv2d
    private let dropout: Double

    /// - Parameters:
    ///   - channels: of the feature maps it reads, finest first.
    ///   - width: of the projected maps and of the fused one.
    ///   - dropout: of the fused map before it is classified.
    public init(channels: [Int], classes: Int, width: Int, dropout: Double = 0.1) throws {
        guard (0..<1).contains(dropout) else { throw UserError("dropout \(dropout): must be in [0, 1)") }
        self.dropout = dropout
        super.init()
        projections = try channels.map { try StageProjection($0, width) }
        fuse = try Conv2d(width * channels.count, width, kernel: 1, bias: false)
        norm = try BatchNorm2d(width)
        classifier = try Conv2d(width, classes, kernel: 1)
    }

    /// All feature maps in one, at the finest one's size: `[[B, C₁, h, w], …] -> [B, width, h, w]`.
    public func fused(_ features: [Tensor]) throws -> Tensor {
        // Published: resize all, concatenate them, fuse. Resizing and mixing channels commute, so each map's share of the
        // fusing convolution runs at that map's own size: a third of the products, and no 4 · width channels at the
        // finest size. The weights have the deepest map first.
        let shares = try fuse.weight.chunk(features.count, dim: 1).reversed()  // [width, width, 1, 1] each
        let size = Size2D(features[0].size(2), features[0].size(3))
        let parts = try zip(zip(projections, features), shares).enumerated().map { index, part in
            let mixed = try part.0.0(part.0.1).conv2d(part.1)  // [B, width, hᵢ, wᵢ]
            return index == 0 ? mixed : try mixed.interpolate(size, .bilinear(alignCorners: false))
        }
        let sum = try parts.dropFirst().reduce(parts[0]) { try $0 + $1 }  // [B, width, h, w]
        return try norm.relu(sum)
    }

    /// `[B, width, h, w] -> [B, classes, h, w]`
    public func scores(_ fused: Tensor) throws -> Tensor {
        try classifier(fused.dropout(dropout, training: isTraining))
    }
}

/// One feature map's channels to the decoder's width, pixel by pixel.
final class StageProjection: Module, Layer {
    @Child("proj") var projection: Linear

    init(_ incoming: Int, _ width: Int) throws {
        super.init()
        projection = try Linear(incoming, width)
    }

    /// `[B, C, h, w] -> [B, width, h, w]`, channels last.
    func callAsFunction(_ x: Tensor) throws -> Tensor {
        try projection(x.permute([0, 2, 3, 1])).permute([0, 3, 1, 2])
    }
}
