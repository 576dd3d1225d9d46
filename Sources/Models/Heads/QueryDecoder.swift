import NN
import Tensors

/// MaskFormer's transformer decoder: queries that look at the coarsest feature map and at each other (DETR's decoder,
/// Carion et al., 2020), with the state keys of transformers' `MaskFormerTransformerModule`.
public final class QueryDecoder: Module {
    /// `[queries, D]`: what tells queries apart, as they all start from zero.
    @Parameter("queries_embedder.weight") var queries: Tensor
    public override var undecayed: [String] { ["queries_embedder.weight"] }
    @Child("input_projection") var projection: Conv2d?
    @Child("decoder.layers") var layers: [QueryDecoderLayer]
    @Child("decoder.layernorm") var norm: LayerNorm

    /// - Parameters:
    ///   - channels: of the feature map; projected to `width` where it differs.
    ///   - width: of a query, D; a multiple of 4.
    init(channels: Int, queries count: Int, width: Int, depth: Int, heads: Int, hidden: Int, dropout: Double) throws {
        super.init()
        queries = try Tensor.zeros([count, width])
        if channels != width { projection = try Conv2d(channels, width, kernel: 1) }
        layers = try (0..<depth).map { _ in
            try QueryDecoderLayer(width, heads: heads, hidden: hidden, dropout: dropout)
        }
        norm = try LayerNorm(width)
    }

    /// `[B, C, h, w] ->` the queries behind each layer, normed: `[B, queries, D]` each.
    func callAsFunction(_ features: Tensor) throws -> [Tensor] {
        try states(features).dropFirst().map { try norm($0) }
    }

    /// The queries as they enter the first layer (zeros) and as they leave each.
    func states(_ features: Tensor) throws -> [Tensor] {
        let map = try projection?(features) ?? features  // [B, D, h, w]
        let memory = try map.permute([0, 2, 3, 1]).flatten(from: 1, to: 2)  // [B, h·w, D]
        let positions = try Self.sinePositions(height: map.size(2), width: map.size(3), like: memory)
        let keys = try memory + positions
        let zeros = try Tensor.zeros([1, 1, 1], dtype: memory.dtype, device: memory.device)
        var states = [try zeros.expand([1, queries.size(0), queries.size(1)]).expanded(toBatchOf: memory)]
        for layer in layers {
            states.append(try layer(states[states.count - 1], queries: queries, keys: keys, values: memory))
        }
        return states
    }

    /// Where each pixel is, in sines and cosines of its row and column: `[1, h·w, D]`.
    ///
    /// Rows and columns run from 1 and are scaled to 2π; the first half of D tells the row, the second the column.
    private static func sinePositions(height: Int, width: Int, like memory: Tensor) throws -> Tensor {
        let half = memory.size(2) / 2
        // Half precision cannot tell neighbouring pixels apart.
        let dtype: DType = memory.dtype == .float64 ? .float64 : .float32
        func axis(_ length: Int) throws -> Tensor {
            let steps = try Tensor.arange(from: 1, to: Double(length) + 0.5, dtype: dtype, device: memory.device)
            let angle = try steps / (Double(length) + 1e-6) * (2 * Double.pi)  // [length]
            // Pairs of a sine and a cosine share a frequency: 10000^(-2 (i / 2) / half).
            let exponents = try Tensor((0..<half / 2).map { Double(2 * $0) / Double(half) }, device: memory.device)
            let frequencies = try (exponents * -9.210340371976184).exp().to(dtype)  // ln 10000
            let phases = try angle.unsqueeze(1) * frequencies  // [length, half / 2]
            return try Tensor.stack([phases.sin(), phases.cos()], dim: 2).flatten(from: 1)  // [length, half]
        }
        let rows = try axis(height).unsqueeze(1).expand([height, width, half])
        let columns = try axis(width).unsqueeze(0).expand([height, width, half])
        return try Tensor.cat([rows, columns], dim: 2).reshape([1, height * width, 2 * half]).to(memory.dtype)
    }
}

/// Self-attention, attention to the feature map and a feed-forward network, each followed by a norm.
final class QueryDecoderLayer: Module {
    @Child("self_attn") var selfAttention: MultiheadAttention
    @Child("self_attn_layer_norm") var selfAttentionNorm: LayerNorm
    @Child("encoder_attn") var crossAttention: MultiheadAttention
    @Child("encoder_attn_layer_norm") var crossAttentionNorm: LayerNorm
    @Child("fc1") var expansion: Linear
    @Child("fc2") var contraction: Linear
    @Child("final_layer_norm") var feedForwardNorm: LayerNorm
    private let dropout: Double

    init(_ width: Int, heads: Int, hidden: Int, dropout: Double) throws {
        self.dropout = dropout
        super.init()
        selfAttention = try MultiheadAttention(width, heads: heads, dropout: dropout)
        selfAttentionNorm = try LayerNorm(width)
        crossAttention = try MultiheadAttention(width, heads: heads, dropout: dropout)
        crossAttentionNorm = try LayerNorm(width)
        expansion = try Linear(width, hidden)
        contraction = try Linear(hidden, width)
        feedForwardNorm = try LayerNorm(width)
    }

    /// - Parameters:
    ///   - x: `[B, queries, D]`.
    ///   - queries: `[queries, D]`, added to what asks and, among queries, to what is asked.
    ///   - keys, values: of the feature map's pixels, with and without their positions, `[B, h·w, D]`.
    func callAsFunction(_ x: Tensor, queries: Tensor, keys: Tensor, values: Tensor) throws -> Tensor {
        func drop(_ x: Tensor) throws -> Tensor { try x.dropout(dropout, training: isTraining) }
        let placed = try x + queries
        var y = try selfAttentionNorm(x + drop(selfAttention(placed, placed, x)))
        y = try crossAttentionNorm(y + drop(crossAttention(y + queries, keys, values)))
        let fed = try contraction(drop(expansion(y).relu_()))
        return try feedForwardNorm(y + drop(fed))
    }
}
