import Tensors

/// `x · weightᵀ + bias`, `[…, in] -> […, out]`; keys `weight`, `bias`.
public final class Linear: Module, Layer {
    /// `[out, in]`
    @Parameter public var weight: Tensor
    /// `[out]`
    @Parameter public var bias: Tensor?

    public init(_ input: Int, _ output: Int, bias: Bool = true) throws {
        super.init()
        weight = try Tensor.zeros([output, input])
        if bias { self.bias = try Tensor.zeros([output]) }
    }

    public func callAsFunction(_ x: Tensor) throws -> Tensor { try x.linear(weight, bias: bias) }

    public override func initializeParameters(_ fill: ParameterFiller) throws {
        try fill.kaimingUniform(weight, "weight")
        if let bias { try fill.uniform(bias, "bias", bound: 1 / fill.fanIn(weight).squareRoot()) }
    }
}

/// Layer normalisation over the last dimension, `[…, features]`; keys `weight`, `bias`.
public final class LayerNorm: Module, Layer {
    @Parameter public var weight: Tensor?
    @Parameter public var bias: Tensor?

    public let features: Int
    public let eps: Double

    public init(_ features: Int, eps: Double = 1e-5, affine: Bool = true) throws {
        self.features = features
        self.eps = eps
        super.init()
        if affine {
            weight = try Tensor.ones([features])
            bias = try Tensor.zeros([features])
        }
    }

    public func callAsFunction(_ x: Tensor) throws -> Tensor {
        try x.layerNorm([features], weight: weight, bias: bias, eps: eps)
    }

    public override func initializeParameters(_ fill: ParameterFiller) throws {
        try fill.constant(weight, 1)
        try fill.constant(bias, 0)
    }
}
