/// Parts of a tensor, chosen by position. Indices are int64 tensors.
extension Tensor {
    /// A view of `length` slices from `start` along a dimension.
    public func narrow(dim: Int, start: Int, length: Int) throws -> Tensor {
        try Operator.call("aten::narrow", self, dim, start, length)
    }

    /// A view of every `step`th slice in `start..<end`; bounds beyond the tensor are cut to it, as in Python.
    public func slice(dim: Int, start: Int? = nil, end: Int? = nil, step: Int = 1) throws -> Tensor {
        try Operator.call("aten::slice.Tensor", self, dim, start, end, step)
    }

    /// A view of one slice, without that dimension.
    public func select(dim: Int, _ index: Int) throws -> Tensor {
        try Operator.call("aten::select.int", self, dim, index)
    }

    /// The slices at `indices` `[n]` along a dimension, copied.
    public func indexSelect(dim: Int, _ indices: Tensor) throws -> Tensor {
        try Operator.call("aten::index_select", self, dim, indices)
    }

    /// One element per element of `indices`: out[i][j] = self[indices[i][j]][j] for dimension 0.
    public func gather(dim: Int, _ indices: Tensor) throws -> Tensor {
        try Operator.call("aten::gather", self, dim, indices)
    }

    /// The tensor with the slices of `source` added at `indices`, which may repeat.
    public func indexAdd(dim: Int, _ indices: Tensor, _ source: Tensor) throws -> Tensor {
        try Operator.call("aten::index_add", self, dim, indices, source)
    }

    /// The tensor with the elements of `source` added where `indices` says; the reverse of `gather`.
    public func scatterAdd(dim: Int, _ indices: Tensor, _ source: Tensor) throws -> Tensor {
        try Operator.call("aten::scatter_add", self, dim, indices, source)
    }

    /// Advanced indexing: one index tensor (or nil for all) per dimension, as `x[a, :, b]`.
    public func index(_ indices: [Tensor?]) throws -> Tensor {
        try Operator.call("aten::index.Tensor", self, Argument.tensors(indices))
    }

    /// 1 at each int64 element's value along a new last dimension of size `classes`: `[…] -> […, classes]` int64.
    public func oneHot(_ classes: Int) throws -> Tensor { try Operator.call("aten::one_hot", self, classes) }

    /// The `k` largest (or smallest) along a dimension, sorted, and where they stand.
    public func topK(_ k: Int, dim: Int = -1, largest: Bool = true) throws -> (values: Tensor, indices: Tensor) {
        try Self.pair("aten::topk", [self, k, dim, largest, true])
    }

    /// The result of an operator that returns values and where they stood.
    static func pair(_ name: StaticString, _ arguments: [any OperatorArgument]) throws -> (Tensor, Tensor) {
        let results = try Operator.run(name, arguments)
        guard results.count == 2, case .tensor(let a?) = results[0], case .tensor(let b?) = results[1] else {
            throw TensorError(operation: "\(name)", reason: "has \(results.count) results, two tensors were expected")
        }
        return (a, b)
    }
}
