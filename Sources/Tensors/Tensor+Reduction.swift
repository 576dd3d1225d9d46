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

    /// The largest along a dimension, and where it stands.
    public func max(dim: Int, keepDim: Bool = false) throws -> (values: Tensor, indices: Tensor) {
        let results = try Operator.run("aten::max.dim", [self, dim, keepDim])
        guard results.count == 2, case .tensor(let values?) = results[0], case .tensor(let indices?) = results[1] else {
            throw TensorError(
                operation: "aten::max.dim", reason: "has \(results.count) results, two tensors were expected")
        }
        return (values, indices)
    }

    /// Where the largest stands along a dimension, int64.
    public func argmax(dim: Int, keepDim: Bool = false) throws -> Tensor {
        try Operator.call("aten::argmax", self, dim, keepDim)
    }

    /// How often each value 0 ..< count occurs in a tensor of non-negative integers: int64.
    ///
    /// - Parameter minLength: the result is at least this long.
    public func bincount(minLength: Int) throws -> Tensor {
        try Operator.call("aten::bincount", self.flatten(), Argument.none, minLength)
    }
}
