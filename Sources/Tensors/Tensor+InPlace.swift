import CTorch

/// Changes of a tensor's own elements; names end in `_` as in PyTorch. All return the tensor itself.
///
/// On a leaf that requires a gradient they are errors outside `withoutGradient`.
extension Tensor {
    /// self + alpha · other
    @discardableResult public func add_(_ other: Tensor, alpha: Double = 1) throws -> Tensor {
        try changed("aten::add_.Tensor", other, alpha)
    }
    @discardableResult public func add_(_ value: some Scalar) throws -> Tensor {
        try changed("aten::add_.Scalar", value)
    }
    @discardableResult public func mul_(_ other: Tensor) throws -> Tensor { try changed("aten::mul_.Tensor", other) }
    @discardableResult public func mul_(_ value: some Scalar) throws -> Tensor {
        try changed("aten::mul_.Scalar", value)
    }
    @discardableResult public func div_(_ other: Tensor) throws -> Tensor { try changed("aten::div_.Tensor", other) }
    @discardableResult public func div_(_ value: some Scalar) throws -> Tensor {
        try changed("aten::div_.Scalar", value)
    }
    /// self + value · a · b
    @discardableResult public func addcmul_(_ a: Tensor, _ b: Tensor, value: Double = 1) throws -> Tensor {
        try changed("aten::addcmul_", a, b, value)
    }
    /// self + value · a / b
    @discardableResult public func addcdiv_(_ a: Tensor, _ b: Tensor, value: Double = 1) throws -> Tensor {
        try changed("aten::addcdiv_", a, b, value)
    }
    /// self + weight · (end - self)
    @discardableResult public func lerp_(_ end: Tensor, weight: Double) throws -> Tensor {
        try changed("aten::lerp_.Scalar", end, weight)
    }
    /// Takes the elements of `source`, converted and broadcast.
    @discardableResult public func copy_(_ source: Tensor) throws -> Tensor { try changed("aten::copy_", source) }
    @discardableResult public func fill_(_ value: some Scalar) throws -> Tensor {
        try changed("aten::fill_.Scalar", value)
    }
    @discardableResult public func relu_() throws -> Tensor { try changed("aten::relu_") }
    /// min(max(x, 0), 6)
    @discardableResult public func relu6_() throws -> Tensor {
        guard dtype == .bfloat16, device == .cpu else { return try changed("aten::hardtanh_", 0.0, 6.0) }
        try check(ct_relu6_(handle), "relu6_", [description])
        return self
    }
    @discardableResult public func clamp_(min: (any Scalar)? = nil, max: (any Scalar)? = nil) throws -> Tensor {
        try changed("aten::clamp_", min?.argument ?? Argument.none, max?.argument ?? Argument.none)
    }

    private func changed(_ name: StaticString, _ arguments: any OperatorArgument...) throws -> Tensor {
        _ = try Operator.run(name, [self] + arguments)
        return self
    }
}
