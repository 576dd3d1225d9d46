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
        let size = Size2D(features[0].size(2), features[0].size(3))
        let resized = try zip(projections, features).map { project, feature in
            let projected = try project(feature)
            // The finest one has the size already.
            return feature.isSame(as: features[0])
                ? projected : try projected.interpolate(size, .bilinear(alignCorners: false))
        }
        // The published weights have the deepest first.
        let joined = try Tensor.cat(resized.reversed(), dim: 1)  // [B, 4 width, h, w]
        return try norm(fuse(joined)).relu_()
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
