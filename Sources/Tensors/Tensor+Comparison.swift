/// Comparison and logic, element by element, with broadcasting. Results are `bool` tensors.
extension Tensor {
    // Named as in PyTorch rather than `==`, which a reader takes for one Boolean.
    public func eq(_ other: Tensor) throws -> Tensor { try Operator.call("aten::eq.Tensor", self, other) }
    public func ne(_ other: Tensor) throws -> Tensor { try Operator.call("aten::ne.Tensor", self, other) }
    public func lt(_ other: Tensor) throws -> Tensor { try Operator.call("aten::lt.Tensor", self, other) }
    public func le(_ other: Tensor) throws -> Tensor { try Operator.call("aten::le.Tensor", self, other) }
    public func gt(_ other: Tensor) throws -> Tensor { try Operator.call("aten::gt.Tensor", self, other) }
    public func ge(_ other: Tensor) throws -> Tensor { try Operator.call("aten::ge.Tensor", self, other) }

    public func eq(_ value: Double) throws -> Tensor { try Operator.call("aten::eq.Scalar", self, value) }
    public func ne(_ value: Double) throws -> Tensor { try Operator.call("aten::ne.Scalar", self, value) }
    public func lt(_ value: Double) throws -> Tensor { try Operator.call("aten::lt.Scalar", self, value) }
    public func le(_ value: Double) throws -> Tensor { try Operator.call("aten::le.Scalar", self, value) }
    public func gt(_ value: Double) throws -> Tensor { try Operator.call("aten::gt.Scalar", self, value) }
    public func ge(_ value: Double) throws -> Tensor { try Operator.call("aten::ge.Scalar", self, value) }

    public func logicalNot() throws -> Tensor { try Operator.call("aten::logical_not", self) }
    public func logicalAnd(_ other: Tensor) throws -> Tensor { try Operator.call("aten::logical_and", self, other) }
    public func logicalOr(_ other: Tensor) throws -> Tensor { try Operator.call("aten::logical_or", self, other) }

    public func isNaN() throws -> Tensor { try Operator.call("aten::isnan", self) }
    public func isFinite() throws -> Tensor { try Operator.call("aten::isfinite", self) }

    /// Whether any element is true (or not zero).
    public func any() throws -> Bool { try Operator.call("aten::any", self).itemInt() != 0 }
    /// Whether all elements are true (or not zero).
    public func all() throws -> Bool { try Operator.call("aten::all", self).itemInt() != 0 }

    /// Whether shape and every element are equal.
    public func isEqual(to other: Tensor) throws -> Bool {
        guard case .bool(let equal)? = try Operator.run("aten::equal", [self, other]).first else { return false }
        return equal
    }

    /// Elements of `a` where the condition holds, of `b` elsewhere.
    public static func select(_ condition: Tensor, _ a: Tensor, _ b: Tensor) throws -> Tensor {
        try Operator.call("aten::where.self", condition, a, b)
    }

    /// `value` where the mask holds, the tensor's own elements elsewhere.
    public func maskedFill(_ mask: Tensor, _ value: Double) throws -> Tensor {
        try Operator.call("aten::masked_fill.Scalar", self, mask, value)
    }

    /// The elements where the mask holds, in row-major order: `[count]`.
    public func maskedSelect(_ mask: Tensor) throws -> Tensor { try Operator.call("aten::masked_select", self, mask) }

    /// Row-major coordinates of the elements that are not zero: `[count, dim]` int64.
    public func nonzero() throws -> Tensor { try Operator.call("aten::nonzero", self) }
}
