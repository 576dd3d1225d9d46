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
