import Tensors

/// What Transformers share: scaled dot-product attention in several heads (Vaswani et al., "Attention Is All You Need",
/// 2017). Projections stand with each network, which spell and fuse them differently.
extension Tensor {
    /// softmax(q · kᵀ / √d + bias) · v, in each head; self is q.
    ///
    /// - Parameters:
    ///   - self: `[B, N, heads · d]`.
    ///   - keys, values: `[B, M, heads · d]`.
    ///   - bias: added to the products, broadcast to `[B, heads, N, M]`.
    ///   - dropout: probability of dropping an attention weight, in training.
    /// - Returns: `[B, N, heads · d]`.
    public func attending(
        to keys: Tensor, _ values: Tensor, heads: Int, bias: Tensor? = nil, dropout: Double = 0, training: Bool = false
    ) throws -> Tensor {
        let width = size(2) / heads
        func split(_ x: Tensor) throws -> Tensor { try x.unflatten(dim: 2, [heads, width]).transpose(1, 2) }
        // Scaling the queries rather than the products, which are many more.
        let scaled = try split(self) * (1 / Double(width).squareRoot())  // [B, heads, N, d]
        var products = try scaled.matmul(split(keys).transpose(2, 3))  // [B, heads, N, M]
        if let bias { products = try products + bias }
        let weights = try products.softmax(dim: -1).dropout(dropout, training: training)
        return try weights.matmul(split(values)).transpose(1, 2).flatten(from: 2)
    }
}

/// Attention with a projection each for queries, keys, values and the result; keys `q_proj`, `k_proj`, `v_proj`,
/// `out_proj` as in DETR's decoder.
public final class MultiheadAttention: Module {
    @Child("q_proj") public var query: Linear
    @Child("k_proj") public var key: Linear
    @Child("v_proj") public var value: Linear
    @Child("out_proj") public var output: Linear

    public let heads: Int
    public let dropout: Double

    /// - Parameter heads: a divisor of `width`.
    public init(_ width: Int, heads: Int, dropout: Double = 0) throws {
        try checkHeads(heads, width, "MultiheadAttention")
        self.heads = heads
        self.dropout = dropout
        super.init()
        query = try Linear(width, width)
        key = try Linear(width, width)
        value = try Linear(width, width)
        output = try Linear(width, width)
    }

    /// `[B, N, width]`, `[B, M, width]`, `[B, M, width] -> [B, N, width]`
    public func callAsFunction(_ queries: Tensor, _ keys: Tensor, _ values: Tensor) throws -> Tensor {
        let mixed = try query(queries).attending(
            to: key(keys), value(values), heads: heads, dropout: dropout, training: isTraining)
        return try output(mixed)
    }
}

/// - Throws: `TensorError` if the heads do not divide the width.
public func checkHeads(_ heads: Int, _ width: Int, _ layer: String) throws {
    guard heads > 0, width % heads == 0 else {
        throw TensorError(
            operation: layer, arguments: ["\(width)"], reason: "the width is no multiple of \(heads) heads")
    }
}
