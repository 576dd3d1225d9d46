import Basics
import NN
import Tensors

/// Segmenter's decoders: patches' features `[B, D, h, w]` to class scores `[B, classes, h, w]`.
public protocol SegmenterDecoder: Layer {
    /// Fills what PyTorch's defaults and the transformers' rule do not; under the network's name of it.
    var initialization: InitializationRule { get }
}

/// The mask transformer: class embeddings go through attention together with the patches; a score is the cosine between a
/// patch and a class, normalised over the classes.
public final class MaskTransformer: Module, SegmenterDecoder {
    @Parameter("cls_emb") var classEmbeddings: Tensor
    /// `[D, D]`, multiplied from the right: no linear layer in the published weights.
    @Parameter("proj_patch") var patchProjection: Tensor
    @Parameter("proj_classes") var classProjection: Tensor
    @Child var blocks: [TransformerBlock]
    @Child("proj_dec") var projection: Linear
    @Child("decoder_norm") var norm: LayerNorm
    @Child("mask_norm") var maskNorm: LayerNorm

    /// - Parameters:
    ///   - channels: of the encoder's features.
    ///   - width: of the decoder; the published ones have the encoder's, and its number of heads.
    public init(
        channels: Int, classes: Int, width: Int, depth: Int = 2, heads: Int, hidden: Int? = nil, dropout: Double = 0.1,
        dropPath: Double = 0
    ) throws {
        guard (0..<1).contains(dropout) else { throw UserError("dropout \(dropout): must be in [0, 1)") }
        super.init()
        classEmbeddings = try Tensor.zeros([1, classes, width])
        patchProjection = try Tensor.zeros([width, width])
        classProjection = try Tensor.zeros([width, width])
        blocks = try DropPath.rising(to: dropPath, depth: depth).map {
            try TransformerBlock(
                width, heads: heads, hidden: hidden ?? 4 * width, eps: 1e-5, dropout: dropout, dropPath: $0)
        }
        projection = try Linear(channels, width)
        norm = try LayerNorm(width)
        maskNorm = try LayerNorm(classes)
    }

    public func callAsFunction(_ features: Tensor) throws -> Tensor {
        let grid = [features.size(2), features.size(3)]
        let count = grid[0] * grid[1]
        let patches = try projection(features.permute([0, 2, 3, 1]).flatten(from: 1, to: 2))  // [B, N, D]
        var x = try Tensor.cat([patches, classEmbeddings.expanded(toBatchOf: patches)], dim: 1)
        for block in blocks { x = try block(x) }
        x = try norm(x)  // [B, N + classes, D]
        // No eps below, as in the published code.
        func unit(_ x: Tensor) throws -> Tensor {
            let x = try x.widened()
            return try x / x.norm(dims: [2], keepDim: true)
        }
        let pixels = try unit(x.narrow(dim: 1, start: 0, length: count).matmul(patchProjection))
        let classes = try unit(x.slice(dim: 1, start: count).matmul(classProjection))
        let masks = try maskNorm(pixels.matmul(classes.transpose(1, 2)))  // [B, N, classes]
        return try masks.unflatten(dim: 1, grid).permute([0, 3, 1, 2])
    }

    public override var undecayed: [String] { ["cls_emb"] }

    public var initialization: InitializationRule {
        InitializationRule { module, fill in
            guard let decoder = module as? MaskTransformer else {
                return try InitializationRule.transformer(module, fill)
            }
            let scale = 1 / Double(decoder.patchProjection.size(0)).squareRoot()
            try fill.truncatedNormal(decoder.classEmbeddings, "cls_emb", deviation: 0.02)
            try fill.normal(decoder.patchProjection, "proj_patch", deviation: scale)
            try fill.normal(decoder.classProjection, "proj_classes", deviation: scale)
            return true
        }
    }
}

/// The linear decoder: every patch is classified by itself.
public final class LinearDecoder: Module, SegmenterDecoder {
    @Child var head: Linear

    public init(channels: Int, classes: Int) throws {
        super.init()
        head = try Linear(channels, classes)
    }

    public func callAsFunction(_ features: Tensor) throws -> Tensor {
        try head(features.permute([0, 2, 3, 1])).permute([0, 3, 1, 2])
    }

    public var initialization: InitializationRule { .transformer }
}
