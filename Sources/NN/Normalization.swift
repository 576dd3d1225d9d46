import Tensors

/// Layer normalisation over the last dimension, `[…, features]`; keys `weight`, `bias`.
public final class LayerNorm: Module, Layer {
    @Parameter public var weight: Tensor
    @Parameter public var bias: Tensor

    public let features: Int
    public let eps: Double
    public override var undecayed: [String] { ["weight", "bias"] }

    public init(_ features: Int, eps: Double = 1e-5) throws {
        self.features = features
        self.eps = eps
        super.init()
        weight = try Tensor.ones([features])
        bias = try Tensor.zeros([features])
    }

    /// In float32 at least: sums of 16 bits would be too coarse, and so would what shortcuts add the result to.
    public func callAsFunction(_ x: Tensor) throws -> Tensor {
        try x.widened().layerNorm([features], weight: weight, bias: bias, eps: eps)
    }

    public override func initializeParameters(_ fill: ParameterFiller) throws {
        try fill.constant(weight, 1)
        try fill.constant(bias, 0)
    }
}

/// Group normalisation of `[N, C, …]`; keys `weight`, `bias`.
public final class GroupNorm: Module, Layer {
    /// `[C]`
    @Parameter public var weight: Tensor
    /// `[C]`
    @Parameter public var bias: Tensor

    public let groups: Int
    public let eps: Double
    public override var undecayed: [String] { ["weight", "bias"] }

    /// - Parameter groups: a divisor of `channels`.
    public init(_ groups: Int, _ channels: Int, eps: Double = 1e-5) throws {
        guard groups > 0, channels % groups == 0 else {
            throw TensorError(
                operation: "GroupNorm", arguments: ["\(channels)"],
                reason: "the channels are no multiple of \(groups) groups")
        }
        self.groups = groups
        self.eps = eps
        super.init()
        weight = try Tensor.ones([channels])
        bias = try Tensor.zeros([channels])
    }

    /// In float32 at least, as `LayerNorm`.
    public func callAsFunction(_ x: Tensor) throws -> Tensor {
        try x.widened().groupNorm(groups: groups, weight: weight, bias: bias, eps: eps)
    }

    public override func initializeParameters(_ fill: ParameterFiller) throws {
        try fill.constant(weight, 1)
        try fill.constant(bias, 0)
    }
}
