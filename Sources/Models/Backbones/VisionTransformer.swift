import Basics
import NN
import Tensors

/// Vision Transformer (Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020), with the state keys of timm's
/// `vit_*_patch16_384`, which Segmenter shares.
///
/// Position embeddings belong to a grid of patches; images of another size get them resized.
public final class VisionTransformer: Module, Backbone {
    public struct Config: Sendable, Equatable {
        public var width: Int
        public var depth: Int
        public var heads: Int
        /// Hidden width of the feed-forward networks; four widths if left out.
        public var hidden: Int
        /// Side of a patch in pixels.
        public var patch = 16
        /// `[height, width]` in pixels that the position embeddings are for: those of the published weights.
        public var imageSize = [384, 384]
        /// Of the layer norms: timm's.
        public var eps = 1e-6
        /// Of the sums of patch and position, of attention weights and of both branches' results.
        public var dropout = 0.0
        /// Of the last block; it rises to this from 0.
        public var dropPath = 0.0

        public init(width: Int, depth: Int, heads: Int, hidden: Int? = nil) {
            self.width = width
            self.depth = depth
            self.heads = heads
            self.hidden = hidden ?? 4 * width
        }

        /// The same network with heads of another width.
        public func scaled(_ factor: Double) -> Config {
            var scaled = self
            scaled.width = scaledWidth(width, heads: heads, by: factor)
            scaled.hidden = 4 * scaled.width
            return scaled
        }

        public static let tiny = Config(width: 192, depth: 12, heads: 3)
        public static let small = Config(width: 384, depth: 12, heads: 6)
        public static let base = Config(width: 768, depth: 12, heads: 12)
        public static let large = Config(width: 1024, depth: 24, heads: 16)
    }

    @Parameter("cls_token") var classToken: Tensor
    @Parameter("pos_embed") var positions: Tensor
    public override var undecayed: [String] { ["cls_token", "pos_embed"] }
    /// 144 positions may be of 9 x 16 patches or of 12 x 12.
    public override var stateMetadata: [String: String] { [Self.gridKey: "\(config.grid)"] }
    @Child("patch_embed.proj") var patchProjection: Conv2d
    @Child var blocks: [TransformerBlock]
    @Child var norm: LayerNorm
    /// The classifier on ImageNet; Segmenter's networks carry it, too, though they do not use it.
    @Child("head") var classifier: Linear?

    public let config: Config
    public var featureChannels: [Int] { [config.width] }
    /// Of timm's ViT: not ImageNet's.
    public let inputNormalization = InputNormalization(mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5])

    /// - Parameter classes: of the image classifier; nil for a network without one.
    /// - Throws: `UserError` for sizes that make no network.
    public init(_ config: Config, classes: Int? = nil) throws {
        guard config.width > 0, config.depth > 0, config.hidden > 0, config.patch > 0, config.imageSize.count == 2,
            config.imageSize.allSatisfy({ $0 >= config.patch })
        else { throw UserError("a Vision Transformer of \(config): sizes must be positive, images hold a patch") }
        self.config = config
        super.init()
        let grid = config.grid
        classToken = try Tensor.zeros([1, 1, config.width])
        positions = try Tensor.zeros([1, 1 + grid.height * grid.width, config.width])
        patchProjection = try Conv2d(3, config.width, kernel: Size2D(config.patch), stride: Size2D(config.patch))
        blocks = try DropPath.rising(to: config.dropPath, depth: config.depth).map {
            try TransformerBlock(
                config.width, heads: config.heads, hidden: config.hidden, eps: config.eps, dropout: config.dropout,
                dropPath: $0)
        }
        norm = try LayerNorm(config.width, eps: config.eps)
        if let classes { classifier = try Linear(config.width, classes) }
    }

    /// `[B, 3, H, W] -> [B, 1 + H/16 · W/16, D]`, the class token first. Sizes are multiples of the patch.
    public func tokens(_ images: Tensor) throws -> Tensor {
        let patches = try patchProjection(images)  // [B, D, H/16, W/16]
        let grid = Size2D(patches.size(2), patches.size(3))
        let row = try patches.permute([0, 2, 3, 1]).flatten(from: 1, to: 2)  // [B, N, D]
        let joined = try Tensor.cat([classToken.expanded(toBatchOf: row), row], dim: 1)  // [B, 1 + N, D]
        var x = try joined + Self.resized(positions, from: config.grid, to: grid)
        x = try x.dropout(config.dropout, training: isTraining)
        for block in blocks { x = try block(x) }
        return try norm(x)
    }

    /// `[B, 3, H, W] -> [[B, D, H/16, W/16]]`: the patches' tokens. Sizes are multiples of the patch.
    public func features(_ images: Tensor) throws -> [Tensor] {
        let tokens = try tokens(images).slice(dim: 1, start: 1)
        let grid = [images.size(2) / config.patch, images.size(3) / config.patch]
        return [try tokens.unflatten(dim: 1, grid).permute([0, 3, 1, 2]).channelsLast()]
    }

    /// Image classification, by the class token: `[B, 3, H, W] -> [B, classes]`.
    ///
    /// - Throws: `TensorError` if it was made without classes.
    public func classify(_ images: Tensor) throws -> Tensor {
        guard let classifier else {
            throw TensorError(operation: "classify", reason: "this Vision Transformer was made without a classifier")
        }
        return try classifier(tokens(images).select(dim: 1, 0))
    }

    /// Position embeddings `[1, 1 + N, D]` for another grid: the class token's stays, the patches' are resized
    /// bilinearly, as Segmenter does it.
    public static func resized(_ positions: Tensor, from old: Size2D, to new: Size2D) throws -> Tensor {
        guard old != new else { return positions }
        let token = try positions.slice(dim: 1, end: 1)
        let map = try positions.slice(dim: 1, start: 1).unflatten(dim: 1, old.list).permute([0, 3, 1, 2])
        let resized = try map.interpolate(new, .bilinear(alignCorners: false))  // [1, D, h, w]
        return try Tensor.cat([token, resized.permute([0, 2, 3, 1]).flatten(from: 1, to: 2)], dim: 1)
    }
}

extension VisionTransformer.Config {
    /// Patches of the image size.
    var grid: Size2D { Size2D(imageSize[0] / patch, imageSize[1] / patch) }
}

/// Attention and a feed-forward network, each behind a norm and beside a shortcut, `[B, N, D] -> [B, N, D]`.
final class TransformerBlock: Module, Layer {
    @Child("norm1") var attentionNorm: LayerNorm
    @Child("attn") var attention: FusedSelfAttention
    @Child("norm2") var feedForwardNorm: LayerNorm
    @Child("mlp") var feedForward: FeedForward
    private let dropPath: Double

    init(_ width: Int, heads: Int, hidden: Int, eps: Double, dropout: Double, dropPath: Double) throws {
        self.dropPath = dropPath
        super.init()
        attentionNorm = try LayerNorm(width, eps: eps)
        attention = try FusedSelfAttention(width, heads: heads, dropout: dropout)
        feedForwardNorm = try LayerNorm(width, eps: eps)
        feedForward = try FeedForward(width, hidden: hidden, dropout: dropout)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let x = try x + attention(attentionNorm(x)).dropPath(dropPath, training: isTraining)
        return try x + feedForward(feedForwardNorm(x)).dropPath(dropPath, training: isTraining)
    }
}

/// Self-attention with one matrix for queries, keys and values.
final class FusedSelfAttention: Module, Layer {
    @Child("qkv") var fused: Linear
    @Child("proj") var output: Linear
    private let heads: Int
    private let dropout: Double

    init(_ width: Int, heads: Int, dropout: Double) throws {
        try checkHeads(heads, width, "Vision Transformer")
        self.heads = heads
        self.dropout = dropout
        super.init()
        fused = try Linear(width, 3 * width)
        output = try Linear(width, width)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let parts = try fused(x).chunk(3, dim: 2)  // 3 of [B, N, D]
        let mixed = try parts[0].attending(
            to: parts[1], parts[2], heads: heads, dropout: dropout, training: isTraining)
        return try output(mixed).dropout(dropout, training: isTraining)
    }
}

/// Two linear layers with a GELU between.
final class FeedForward: Module, Layer {
    @Child("fc1") var expansion: Linear
    @Child("fc2") var projection: Linear
    private let dropout: Double

    init(_ width: Int, hidden: Int, dropout: Double) throws {
        self.dropout = dropout
        super.init()
        expansion = try Linear(width, hidden)
        projection = try Linear(hidden, width)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let hidden = try expansion(x).gelu().dropout(dropout, training: isTraining)
        return try projection(hidden).dropout(dropout, training: isTraining)
    }
}

extension VisionTransformer {
    /// Segmenter's: as all vision transformers, and token and positions normal with deviation 0.02, truncated.
    public var initialization: InitializationRule {
        InitializationRule { module, fill in
            guard let transformer = module as? VisionTransformer else {
                return try InitializationRule.transformer(module, fill)
            }
            try fill.truncatedNormal(transformer.classToken, "cls_token", deviation: 0.02)
            try fill.truncatedNormal(transformer.positions, "pos_embed", deviation: 0.02)
            return true
        }
    }
}
