/// Element-wise arithmetic with NumPy's broadcasting: shapes are aligned at their ends, sizes of 1 stretch.
extension Tensor {
    public static func + (a: Tensor, b: Tensor) throws -> Tensor { try Operator.call("aten::add.Tensor", a, b) }
    public static func - (a: Tensor, b: Tensor) throws -> Tensor { try Operator.call("aten::sub.Tensor", a, b) }
    public static func * (a: Tensor, b: Tensor) throws -> Tensor { try Operator.call("aten::mul.Tensor", a, b) }
    public static func / (a: Tensor, b: Tensor) throws -> Tensor { try Operator.call("aten::div.Tensor", a, b) }

    public static func + (a: Tensor, b: some Scalar) throws -> Tensor { try Operator.call("aten::add.Scalar", a, b) }
    public static func - (a: Tensor, b: some Scalar) throws -> Tensor { try Operator.call("aten::sub.Scalar", a, b) }
    public static func * (a: Tensor, b: some Scalar) throws -> Tensor { try Operator.call("aten::mul.Scalar", a, b) }
    public static func / (a: Tensor, b: some Scalar) throws -> Tensor { try Operator.call("aten::div.Scalar", a, b) }

    public static func + (a: some Scalar, b: Tensor) throws -> Tensor { try b + a }
    public static func - (a: some Scalar, b: Tensor) throws -> Tensor { try Operator.call("aten::rsub.Scalar", b, a) }
    public static func * (a: some Scalar, b: Tensor) throws -> Tensor { try b * a }
    public static func / (a: some Scalar, b: Tensor) throws -> Tensor { try b.reciprocal() * a }

    /// self + alpha · other, rounded as PyTorch rounds it.
    public func add(_ other: Tensor, alpha: Double) throws -> Tensor {
        try Operator.call("aten::add.Tensor", self, other, alpha)
    }

    public static prefix func - (a: Tensor) throws -> Tensor { try Operator.call("aten::neg", a) }

    public func reciprocal() throws -> Tensor { try Operator.call("aten::reciprocal", self) }
    public func exp() throws -> Tensor { try Operator.call("aten::exp", self) }
    public func sqrt() throws -> Tensor { try Operator.call("aten::sqrt", self) }
    public func square() throws -> Tensor { try Operator.call("aten::square", self) }
    public func abs() throws -> Tensor { try Operator.call("aten::abs", self) }
    public func sin() throws -> Tensor { try Operator.call("aten::sin", self) }
    public func cos() throws -> Tensor { try Operator.call("aten::cos", self) }
    public func floor() throws -> Tensor { try Operator.call("aten::floor", self) }

    /// Each element brought into `min...max`; a bound left out does not bind.
    public func clamp(min: (any Scalar)? = nil, max: (any Scalar)? = nil) throws -> Tensor {
        try Operator.call("aten::clamp", self, min?.argument ?? Argument.none, max?.argument ?? Argument.none)
    }

    // MARK: Products

    /// The matrix product over the last two dimensions; leading ones broadcast.
    ///
    /// `[…, n, k] · […, k, m] -> […, n, m]`
    public func matmul(_ other: Tensor) throws -> Tensor { try Operator.call("aten::matmul", self, other) }
}
