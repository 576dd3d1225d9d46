import Tensors

/// Batch normalisation of `[N, C, H, W]` per channel; keys `weight`, `bias`, `running_mean`, `running_var`,
/// `num_batches_tracked`.
public final class BatchNorm2d: Module, Layer {
    /// γ, `[C]`
    @Parameter public var weight: Tensor
    /// β, `[C]`
    @Parameter public var bias: Tensor
    @Buffer("running_mean") public var runningMean: Tensor
    @Buffer("running_var") public var runningVariance: Tensor
    /// Batches seen in training, int64 without dimensions.
    @Buffer("num_batches_tracked") public var batchesTracked: Tensor

    public let eps: Double
    public override var undecayed: [String] { ["weight", "bias"] }
    /// The batch's share in the updated running statistics.
    public let momentum: Double
    /// The ranks whose batches are normalised together in training; nil normalises this process's alone.
    public var group: ProcessGroup?

    public init(_ channels: Int, eps: Double = 1e-5, momentum: Double = 0.1) throws {
        self.eps = eps
        self.momentum = momentum
        super.init()
        weight = try Tensor.ones([channels])
        bias = try Tensor.zeros([channels])
        runningMean = try Tensor.zeros([channels])
        runningVariance = try Tensor.ones([channels])
        batchesTracked = try Tensor.zeros([], dtype: .int64)
    }

    public func callAsFunction(_ x: Tensor) throws -> Tensor { try normalized(x, -.infinity, .infinity) }

    /// The same and max(y, 0), in one pass over memory where that is possible.
    public func relu(_ x: Tensor) throws -> Tensor { try normalized(x, 0, .infinity) }

    /// The same and min(max(y, 0), 6), in one pass over memory where that is possible.
    public func relu6(_ x: Tensor) throws -> Tensor { try normalized(x, 0, 6) }

    /// What is normalised, brought into `least...most`, which are -∞ or 0, and 6 or ∞.
    private func normalized(_ x: Tensor, _ least: Double, _ most: Double) throws -> Tensor {
        if isTraining, group == nil,
            let y = try x.batchNormInTraining(
                weight: weight, bias: bias, runningMean: runningMean, runningVariance: runningVariance,
                momentum: momentum, eps: eps, least: least, most: most)
        {
            try batchesTracked.add_(1)
            return y
        }
        let y = try normalized(x)
        return least < 0 ? y : most == 6 ? try y.relu6_() : try y.relu_()
    }

    private func normalized(_ x: Tensor) throws -> Tensor {
        if isTraining { try batchesTracked.add_(1) }
        if isTraining, let group {
            return try x.batchNorm(
                over: group, weight: weight, bias: bias, runningMean: runningMean, runningVariance: runningVariance,
                momentum: momentum, eps: eps)
        }
        return try x.batchNorm(
            weight: weight, bias: bias, runningMean: runningMean, runningVariance: runningVariance,
            training: isTraining, momentum: momentum, eps: eps)
    }

    /// γ to 1, β to 0, statistics to those of standard normal values.
    public override func initializeParameters(_ fill: ParameterFiller) throws {
        try fill.constant(weight, 1)
        try fill.constant(bias, 0)
        try fill.constant(runningMean, 0)
        try fill.constant(runningVariance, 1)
        try fill.constant(batchesTracked, 0)
    }
}

extension Module {
    /// Has every batch normalisation of this module and all below it normalise over the batches of all ranks.
    public func synchronizeBatchNorm(over group: ProcessGroup?) {
        for case (_, let norm as BatchNorm2d) in namedModules() { norm.group = group }
    }
}
