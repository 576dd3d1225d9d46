/// Many elements to few. `keepDim` leaves a size of 1 where a dimension was reduced.
extension Tensor {
    /// The sum of all elements.
    public func sum() throws -> Tensor { try Operator.call("aten::sum", self) }
    public func sum(dims: [Int], keepDim: Bool = false) throws -> Tensor {
        try Operator.call("aten::sum.dim_IntList", self, dims, keepDim)
    }

    /// The mean of all elements.
    public func mean() throws -> Tensor { try Operator.call("aten::mean", self) }
    public func mean(dims: [Int], keepDim: Bool = false) throws -> Tensor {
        try Operator.call("aten::mean.dim", self, dims, keepDim)
    }

    /// The variance; `unbiased` divides by n - 1.
    public func variance(dims: [Int]? = nil, unbiased: Bool = true, keepDim: Bool = false) throws -> Tensor {
        try Operator.call("aten::var.dim", self, dims ?? Array(0..<dim), unbiased, keepDim)
    }

    /// The largest element.
    public func max() throws -> Tensor { try Operator.call("aten::max", self) }
    /// The smallest element.
    public func min() throws -> Tensor { try Operator.call("aten::min", self) }

    /// The largest along a dimension, and where it stands.
    public func max(dim: Int, keepDim: Bool = false) throws -> (values: Tensor, indices: Tensor) {
        try Self.pair("aten::max.dim", [self, dim, keepDim])
    }

    /// The smallest along a dimension, and where it stands.
    public func min(dim: Int, keepDim: Bool = false) throws -> (values: Tensor, indices: Tensor) {
        try Self.pair("aten::min.dim", [self, dim, keepDim])
    }

    /// Where the largest stands along a dimension, int64.
    public func argmax(dim: Int, keepDim: Bool = false) throws -> Tensor {
        try Operator.call("aten::argmax", self, dim, keepDim)
    }

    public func cumsum(dim: Int) throws -> Tensor { try Operator.call("aten::cumsum", self, dim) }

    /// How often each value 0 ..< count occurs in a tensor of non-negative integers: int64.
    ///
    /// - Parameter minLength: the result is at least this long.
    public func bincount(minLength: Int) throws -> Tensor {
        try Operator.call("aten::bincount", self.flatten(), Argument.none, minLength)
    }
}
