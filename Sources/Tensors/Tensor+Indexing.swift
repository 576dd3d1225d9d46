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
}
