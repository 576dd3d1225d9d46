extension Tensor {
    /// Batch normalisation over all dimensions but the second (Ioffe & Szegedy, 2015).
    ///
    /// - Parameters:
    ///   - weight, bias: `[C]`.
    ///   - runningMean, runningVariance: `[C]`; updated in place when `training`.
    ///   - training: normalise by the batch's statistics, else by the running ones.
    ///   - momentum: the batch's share in the updated running statistics.
    public func batchNorm(
        weight: Tensor?, bias: Tensor?, runningMean: Tensor?, runningVariance: Tensor?, training: Bool,
        momentum: Double = 0.1, eps: Double = 1e-5
    ) throws -> Tensor {
        try Operator.call(
            "aten::batch_norm", self, weight, bias, runningMean, runningVariance, training, momentum, eps, true)
    }

    /// Layer normalisation over the last dimensions, whose sizes are `shape` (Ba, Kiros & Hinton, 2016).
    public func layerNorm(_ shape: [Int], weight: Tensor? = nil, bias: Tensor? = nil, eps: Double = 1e-5) throws
        -> Tensor
    {
        try Operator.call("aten::layer_norm", self, shape, weight, bias, eps)
    }

    /// Group normalisation of `[N, C, …]` (Wu & He, 2018).
    public func groupNorm(groups: Int, weight: Tensor? = nil, bias: Tensor? = nil, eps: Double = 1e-5) throws -> Tensor
    {
        try Operator.call("aten::group_norm", self, groups, weight, bias, eps)
    }

    /// The Euclidean length along dimensions.
    public func norm(dims: [Int]? = nil, keepDim: Bool = false) throws -> Tensor {
        try Operator.call("aten::linalg_vector_norm", self, 2, dims, keepDim)
    }

    /// Scales vectors along a dimension to unit length; those shorter than `eps` are divided by `eps`.
    public func normalized(dim: Int = 1, eps: Double = 1e-12) throws -> Tensor {
        try self / norm(dims: [dim], keepDim: true).clamp(min: eps)
    }
}
