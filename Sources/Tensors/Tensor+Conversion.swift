import Basics

extension Tensor {
    /// The tensor with elements of another type; itself if that is its type. Differentiable.
    public func to(_ dtype: DType) throws -> Tensor {
        self.dtype == dtype ? self : try Operator.call("aten::to.dtype", self, dtype)
    }

    /// The tensor as float32 if its elements are of 16 bits; itself otherwise. Differentiable.
    public func widened() throws -> Tensor { dtype.isHalf ? try to(.float32) : self }

    /// The tensor on a device; itself if it is there. Differentiable.
    public func to(_ device: Device) throws -> Tensor {
        if self.device == device { return self }
        return try Operator.call("aten::to.dtype_layout", self, Argument.none, Argument.none, device)
    }

    /// The tensor with its elements in an order in memory; itself if they are.
    public func contiguous(_ format: MemoryFormat = .contiguous) throws -> Tensor {
        isContiguous(format) ? self : try Operator.call("aten::contiguous", self, format)
    }

    /// `contiguous(.channelsLast)`: how convolutions on the CPU want their input. `[N, C, H, W]` only.
    public func channelsLast() throws -> Tensor { try contiguous(.channelsLast) }

    /// A copy with memory of its own. Differentiable.
    public func clone() throws -> Tensor { try Operator.call("aten::clone", self) }
}
