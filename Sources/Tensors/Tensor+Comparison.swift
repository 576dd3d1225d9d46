/// Comparison, element by element, with broadcasting. Results are `bool` tensors.
extension Tensor {
    // Named as in PyTorch rather than `==`, which a reader takes for one Boolean.
    public func eq(_ other: Tensor) throws -> Tensor { try Operator.call("aten::eq.Tensor", self, other) }
    public func ne(_ other: Tensor) throws -> Tensor { try Operator.call("aten::ne.Tensor", self, other) }

    public func eq(_ value: some Scalar) throws -> Tensor { try Operator.call("aten::eq.Scalar", self, value) }
    public func ne(_ value: some Scalar) throws -> Tensor { try Operator.call("aten::ne.Scalar", self, value) }
    public func gt(_ value: some Scalar) throws -> Tensor { try Operator.call("aten::gt.Scalar", self, value) }

    public func isFinite() throws -> Tensor { try Operator.call("aten::isfinite", self) }

    /// Whether all elements are true (or not zero).
    public func all() throws -> Bool { try Operator.call("aten::all", self).itemInt() != 0 }

    /// Whether shape and every element are equal.
    public func isEqual(to other: Tensor) throws -> Bool {
        guard case .bool(let equal)? = try Operator.run("aten::equal", [self, other]).first else { return false }
        return equal
    }
}
