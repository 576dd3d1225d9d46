import Basics
import NN
import Tensors

/// Swin Transformer (Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", 2021), with
/// the state keys of transformers' `MaskFormerSwinBackbone`, which gives each stage's result a norm of its own.
///
/// Tokens stay on their grid, `[B, H, W, C]`; grids are padded with zeros to whole windows in every block.
public final class SwinTransformer: Module, Backbone {
    public struct Config: Sendable, Equatable {
        /// Of the first stage; it doubles from stage to stage.
        public var width: Int
        /// Blocks of each stage.
        public var depths: [Int]
        public var heads: [Int]
        /// Side of a window in tokens.
        public var window: Int
        /// Side of a patch in pixels.
        public var patch = 4
        /// Hidden width of the feed-forward networks, in widths of the stage.
        public var expansion = 4.0
        /// Whether queries, keys and values have biases.
        public var biases = true
        /// Of the last block; it rises to this from 0. MaskFormer's for all sizes.
        public var dropPath = 0.3

        public init(width: Int, depths: [Int], heads: [Int], window: Int = 7) {
            self.width = width
            self.depths = depths
            self.heads = heads
            self.window = window
        }

        /// The same network with heads of another width.
        public func scaled(_ factor: Double) -> Config {
            var scaled = self
            scaled.width = scaledWidth(width, heads: heads[0], by: factor)
            return scaled
        }

        public static let tiny = Config(width: 96, depths: [2, 2, 6, 2], heads: [3, 6, 12, 24])
        public static let small = Config(width: 96, depths: [2, 2, 18, 2], heads: [3, 6, 12, 24])
        /// Of images of 384 pixels, as MaskFormer takes it.
        public static let base = Config(width: 128, depths: [2, 2, 18, 2], heads: [4, 8, 16, 32], window: 12)
        public static let large = Config(width: 192, depths: [2, 2, 18, 2], heads: [6, 12, 24, 48], window: 12)
    }

    @Child("model.embeddings.patch_embeddings.projection") var patchProjection: Conv2d
    @Child("model.embeddings.norm") var patchNorm: LayerNorm
    @Child("model.encoder.layers") var stages: [SwinStage]
    /// Of the image classifier; published weights carry it, and nothing here reads it.
    @Child("model.layernorm") var classifierNorm: LayerNorm
    @Child("hidden_states_norms") var norms: [LayerNorm]

    public let config: Config
    public let featureChannels: [Int]
    public let inputNormalization = InputNormalization.imageNet

    /// - Throws: `UserError` for sizes that make no network.
    public init(_ config: Config) throws {
        let sizes = [config.width, config.window, config.patch] + config.depths + config.heads
        guard sizes.allSatisfy({ $0 > 0 }), !config.depths.isEmpty, config.depths.count == config.heads.count,
            config.expansion.isFinite, config.expansion * Double(config.width) >= 1
        else { throw UserError("a Swin Transformer of \(config): sizes must be positive, heads given per stage") }
        self.config = config
        featureChannels = config.depths.indices.map { config.width << $0 }
        super.init()
        patchProjection = try Conv2d(3, config.width, kernel: Size2D(config.patch), stride: Size2D(config.patch))
        patchNorm = try LayerNorm(config.width)
        var drops = DropPath.rising(to: config.dropPath, depth: config.depths.reduce(0, +))[...]
        stages = try config.depths.indices.map { index in
            let depth = config.depths[index]
            defer { drops = drops.dropFirst(depth) }
            return try SwinStage(
                featureChannels[index], heads: config.heads[index], config, dropPaths: Array(drops.prefix(depth)),
                isLast: index == config.depths.count - 1)
        }
        classifierNorm = try LayerNorm(featureChannels[featureChannels.count - 1])
        norms = try featureChannels.map { try LayerNorm($0) }
    }

    /// `[B, 3, H, W] -> [[B, C, H/4, W/4], [B, 2 C, H/8, W/8], [B, 4 C, H/16, W/16], [B, 8 C, H/32, W/32]]`, sizes
    /// rounded up.
    public func features(_ images: Tensor) throws -> [Tensor] {
        let patch = config.patch
        let bottom = images.size(2).missing(to: patch)
        let right = images.size(3).missing(to: patch)
        let whole = bottom + right == 0 ? images : try images.pad2d(left: 0, right: right, top: 0, bottom: bottom)
        var x = try patchNorm(patchProjection(whole).permute([0, 2, 3, 1]))  // [B, H/4, W/4, C]
        return try zip(stages, norms).map { stage, norm in
            x = try stage(x)
            let feature = try norm(x).permute([0, 3, 1, 2])  // channels last
            if let downsample = stage.downsample { x = try downsample(x) }
            return feature
        }
    }
}

/// Blocks over windows, every second one over shifted windows.
final class SwinStage: Module, Layer {
    @Child var blocks: [SwinBlock]
    /// Behind the stage's result; the last stage has none.
    @Child var downsample: PatchMerging?
    private let window: Int

    init(_ width: Int, heads: Int, _ config: SwinTransformer.Config, dropPaths: [Double], isLast: Bool) throws {
        window = config.window
        super.init()
        blocks = try dropPaths.enumerated().map { index, dropPath in
            try SwinBlock(
                width, heads: heads, config, shift: index % 2 == 0 ? 0 : config.window / 2, dropPath: dropPath)
        }
        if !isLast { downsample = try PatchMerging(width) }
    }

    /// `[B, H, W, C] -> [B, H, W, C]`
    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let padded = Size2D(
            x.size(1) + x.size(1).missing(to: window), x.size(2) + x.size(2).missing(to: window))
        // All shifted blocks of a stage have the same mask.
        let mask = try blocks.contains { $0.shift > 0 } ? shiftMask(padded, x) : nil
        return try blocks.reduce(x) { try $1($0, mask: $1.shift > 0 ? mask : nil) }
    }

    /// What the shift has brought together from opposite edges must not attend to each other: -100 there, 0 elsewhere,
    /// `[windows, N, N]` for a grid of whole windows.
    private func shiftMask(_ grid: Size2D, _ like: Tensor) throws -> Tensor {
        // Along each axis: what keeps its neighbours, the last window's first part, and what came from the other edge.
        func regions(_ length: Int) -> [Float] {
            (0..<length).map { ($0 >= length - window ? 1 : 0) + ($0 >= length - window / 2 ? 1 : 0) }
        }
        let rows = try Tensor(regions(grid.height), shape: [grid.height, 1], device: like.device) * 3
        let map = try rows + Tensor(regions(grid.width), shape: [1, grid.width], device: like.device)
        let windows = try map.reshape([1, grid.height, grid.width, 1]).windows(window).squeeze(2)  // [windows, N]
        let differ = try windows.unsqueeze(1).ne(windows.unsqueeze(2))
        return try differ.to(like.dtype) * -100.0
    }
}

/// Attention within windows and a feed-forward network, each behind a norm and beside a shortcut.
final class SwinBlock: Module {
    @Child("layernorm_before") var attentionNorm: LayerNorm
    @Child var attention: WindowAttention
    @Child("layernorm_after") var feedForwardNorm: LayerNorm
    @Child("intermediate.dense") var expansion: Linear
    @Child("output.dense") var projection: Linear

    /// Tokens by which the windows are moved down and right.
    let shift: Int
    private let window: Int
    private let dropPath: Double

    init(_ width: Int, heads: Int, _ config: SwinTransformer.Config, shift: Int, dropPath: Double) throws {
        self.shift = shift
        window = config.window
        self.dropPath = dropPath
        super.init()
        let hidden = Int(config.expansion * Double(width))
        attentionNorm = try LayerNorm(width)
        attention = try WindowAttention(width, heads: heads, window: config.window, biases: config.biases)
        feedForwardNorm = try LayerNorm(width)
        expansion = try Linear(width, hidden)
        projection = try Linear(hidden, width)
    }

    /// `[B, H, W, C] -> [B, H, W, C]`
    func callAsFunction(_ x: Tensor, mask: Tensor?) throws -> Tensor {
        let (height, width) = (x.size(1), x.size(2))
        var y = try attentionNorm(x).padded(toMultiplesOf: window)
        let grid = Size2D(y.size(1), y.size(2))
        if shift > 0 { y = try y.roll([-shift, -shift], dims: [1, 2]) }
        y = try attention(y.windows(window), mask: mask).joined(window, grid)
        if shift > 0 { y = try y.roll([shift, shift], dims: [1, 2]) }
        y = try y.narrow(dim: 1, start: 0, length: height).narrow(dim: 2, start: 0, length: width)
        let mixed = try x + y.dropPath(dropPath, training: isTraining)
        let fed = try projection(expansion(feedForwardNorm(mixed)).gelu())
        return try mixed + fed.dropPath(dropPath, training: isTraining)
    }
}

/// Attention among the tokens of a window, with a learned bias for every offset between two of them.
final class WindowAttention: Module {
    /// `[(2 window - 1)², heads]`
    @Parameter("self.relative_position_bias_table") var offsetBiases: Tensor
    /// Where each pair of tokens finds its bias, `[window², window²]` int64.
    @Buffer("self.relative_position_index") var offsetIndex: Tensor
    override var undecayed: [String] { ["self.relative_position_bias_table"] }

    @Child("self.query") var query: Linear
    @Child("self.key") var key: Linear
    @Child("self.value") var value: Linear
    @Child("output.dense") var output: Linear
    private let heads: Int

    init(_ width: Int, heads: Int, window: Int, biases: Bool) throws {
        try checkHeads(heads, width, "Swin Transformer")
        self.heads = heads
        super.init()
        let span = 2 * window - 1
        let count = window * window
        offsetBiases = try Tensor.zeros([span * span, heads])
        let index = (0..<count * count).map { pair -> Int64 in
            let (from, to) = (pair / count, pair % count)
            let down = from / window - to / window + window - 1
            let right = from % window - to % window + window - 1
            return Int64(down * span + right)
        }
        offsetIndex = try Tensor(index, shape: [count, count])
        query = try Linear(width, width, bias: biases)
        key = try Linear(width, width, bias: biases)
        value = try Linear(width, width, bias: biases)
        output = try Linear(width, width)
    }

    /// `[B · windows, N, C] -> [B · windows, N, C]`; the mask is `[windows, N, N]`.
    func callAsFunction(_ x: Tensor, mask: Tensor?) throws -> Tensor {
        let count = offsetIndex.size(0)
        var bias = try offsetBiases.indexSelect(dim: 0, offsetIndex.flatten())
            .reshape([count, count, heads]).permute([2, 0, 1]).unsqueeze(0)  // [1, heads, N, N]
        if let mask {
            // The same for every image: [1, windows, heads, N, N] -> [B · windows, heads, N, N]
            let images = try x.unflatten(dim: 0, [-1, mask.size(0)])
            bias = try (bias + mask.unsqueeze(1)).unsqueeze(0).expanded(toBatchOf: images).flatten(from: 0, to: 1)
        }
        return try output(query(x).attending(to: key(x), value(x), heads: heads, bias: bias))
    }
}

/// Four neighbours into one token of twice the width: `[B, H, W, C] -> [B, H/2, W/2, 2 C]`, sizes rounded up.
final class PatchMerging: Module, Layer {
    @Child var reduction: Linear
    @Child var norm: LayerNorm

    init(_ width: Int) throws {
        super.init()
        reduction = try Linear(4 * width, 2 * width, bias: false)
        norm = try LayerNorm(4 * width)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let whole = try x.padded(toMultiplesOf: 2)
        // Column by column, as the published weights have them.
        let parts = try [(0, 0), (1, 0), (0, 1), (1, 1)].map { row, column in
            try whole.slice(dim: 1, start: row, step: 2).slice(dim: 2, start: column, step: 2)
        }
        return try reduction(norm(Tensor.cat(parts, dim: 3)))
    }
}

extension Tensor {
    /// `[B, H, W, C]` with zeros at the bottom and right up to multiples of a size.
    fileprivate func padded(toMultiplesOf size: Int) throws -> Tensor {
        let bottom = self.size(1).missing(to: size)
        let right = self.size(2).missing(to: size)
        guard bottom + right > 0 else { return self }
        return try permute([0, 3, 1, 2]).pad2d(left: 0, right: right, top: 0, bottom: bottom).permute([0, 2, 3, 1])
    }

    /// `[B, H, W, C] -> [B · windows, side², C]`; sizes are multiples of the side.
    fileprivate func windows(_ side: Int) throws -> Tensor {
        let channels = size(3)
        return try reshape([-1, size(1) / side, side, size(2) / side, side, channels])
            .permute([0, 1, 3, 2, 4, 5]).reshape([-1, side * side, channels])
    }

    /// The reverse of `windows` for a grid: `[B · windows, side², C] -> [B, H, W, C]`.
    fileprivate func joined(_ side: Int, _ grid: Size2D) throws -> Tensor {
        let channels = size(2)
        return try reshape([-1, grid.height / side, grid.width / side, side, side, channels])
            .permute([0, 1, 3, 2, 4, 5]).reshape([-1, grid.height, grid.width, channels])
    }
}

extension Int {
    /// What has to be added for a multiple of `size`.
    fileprivate func missing(to size: Int) -> Int { (size - self % size) % size }
}

extension SwinTransformer {
    /// The published code's: as all vision transformers, and biases of offsets normal with deviation 0.02, truncated.
    public var initialization: InitializationRule {
        InitializationRule { module, fill in
            guard let attention = module as? WindowAttention else {
                return try InitializationRule.transformer(module, fill)
            }
            try fill.truncatedNormal(attention.offsetBiases, "self.relative_position_bias_table", deviation: 0.02)
            return true
        }
    }
}
