import CTorch

/// Functions between layers, element by element unless they name a dimension.
extension Tensor {
    public func relu() throws -> Tensor { try Operator.call("aten::relu", self) }
    /// min(max(x, 0), 6)
    public func relu6() throws -> Tensor {
        dtype == .bfloat16 && device == .cpu
            ? try clone().relu6_() : try Operator.call("aten::hardtanh", self, 0.0, 6.0)
    }
    /// x · relu6(x + 3) / 6
    public func hardswish() throws -> Tensor { try Operator.call("aten::hardswish", self) }
    /// relu6(x + 3) / 6
    public func hardsigmoid() throws -> Tensor { try Operator.call("aten::hardsigmoid", self) }
    public func sigmoid() throws -> Tensor { try Operator.call("aten::sigmoid", self) }
    /// x · Φ(x), exact: not by the approximation through tanh.
    public func gelu() throws -> Tensor { try Operator.call("aten::gelu", self, "none") }

    public func softmax(dim: Int) throws -> Tensor { try Operator.call("aten::softmax.int", self, dim) }

    /// Zeroes elements with probability `p` and scales the rest by 1 / (1 - p); nothing when not `training`. Draws are
    /// keyed by libtorch's generator: `Torch.seed(_:)` makes them repeatable.
    public func dropout(_ p: Double, training: Bool) throws -> Tensor {
        guard training && p > 0 else { return self }
        guard device == .cpu, p < 1, [.float32, .float64, .bfloat16].contains(dtype) else {
            return try Operator.call("aten::dropout", self, p, true)
        }
        var noise: OpaquePointer?
        try check(ct_dropout_noise(handle, p, &noise), "dropout", [description])
        return try self * Tensor(owning: noise!)
    }

    /// The same, but whole channels at a time.
    public func dropout2d(_ p: Double, training: Bool) throws -> Tensor {
        training && p > 0 ? try Operator.call("aten::feature_dropout", self, p, true) : self
    }

    /// The same, but whole samples at a time: the branch of a residual block is left out for some images (stochastic
    /// depth, Huang et al., 2016).
    public func dropPath(_ p: Double, training: Bool) throws -> Tensor {
        guard training && p > 0 else { return self }
        let perSample = [size(0)] + [Int](repeating: 1, count: dim - 1)
        // Half precision would round the sum up to 1 too often.
        let uniform = try Operator.call(
            "aten::rand", perSample, dtype.isHalf ? DType.float32 : dtype, Argument.none, device)
        // 1 with probability 1 - p; drawn so by the published code, too.
        return try self * ((uniform + (1 - p)).floor() / (1 - p))
    }
}
