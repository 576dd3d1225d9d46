/// Other shapes of the same elements; views where the memory allows. Negative dimensions count from the end.
extension Tensor {
    /// The elements in another shape, without a copy if possible; one size may be -1 and follows from the rest.
    public func reshape(_ shape: [Int]) throws -> Tensor { try Operator.call("aten::reshape", self, shape) }

    /// Dimension i of the result is dimension `order[i]`.
    public func permute(_ order: [Int]) throws -> Tensor { try Operator.call("aten::permute", self, order) }

    public func transpose(_ a: Int, _ b: Int) throws -> Tensor { try Operator.call("aten::transpose.int", self, a, b) }

    /// Merges the dimensions `from...to` into one.
    public func flatten(from: Int = 0, to: Int = -1) throws -> Tensor {
        try Operator.call("aten::flatten.using_ints", self, from, to)
    }

    public func unflatten(dim: Int, _ sizes: [Int]) throws -> Tensor {
        let axis = dim < 0 ? dim + self.dim : dim
        let shape = shape
        guard shape.indices.contains(axis) else {
            throw TensorError(operation: "unflatten", arguments: [description], reason: "there is no dimension \(dim)")
        }
        var new = Array(shape[..<axis]) + sizes + Array(shape[(axis + 1)...])
        // Where it follows from the rest, the batch is left open: a recorded program then takes any.
        if axis > 0, !new.contains(0), !new.contains(-1) { new[0] = -1 }
        return try reshape(new)
    }

    /// Drops a dimension of size 1.
    public func squeeze(_ dim: Int) throws -> Tensor { try Operator.call("aten::squeeze.dim", self, dim) }
    /// Inserts a dimension of size 1.
    public func unsqueeze(_ dim: Int) throws -> Tensor { try Operator.call("aten::unsqueeze", self, dim) }
    /// Stretches dimensions of size 1 without a copy; -1 keeps a size.
    public func expand(_ shape: [Int]) throws -> Tensor { try Operator.call("aten::expand", self, shape) }
    /// Stretches a first dimension of size 1 to another tensor's without a copy: a recorded program takes the size from
    /// that tensor.
    public func expanded(toBatchOf other: Tensor) throws -> Tensor {
        var first = other
        while first.dim > 1 { first = try first.select(dim: 1, 0) }  // [B]
        let like = try first.reshape([-1] + [Int](repeating: 1, count: dim - 1))
        return try Operator.callForList("aten::broadcast_tensors", Argument.tensors([self, like]))[0]
    }

    /// Moves elements around each dimension's ring, as Swin's shifted windows need it.
    public func roll(_ shifts: [Int], dims: [Int]) throws -> Tensor {
        try Operator.call("aten::roll", self, shifts, dims)
    }
    public func flip(_ dims: [Int]) throws -> Tensor { try Operator.call("aten::flip", self, dims) }

    /// Joins tensors along an existing dimension.
    public static func cat(_ tensors: [Tensor], dim: Int = 0) throws -> Tensor {
        try Operator.call("aten::cat", Argument.tensors(tensors), dim)
    }

    /// Joins tensors of equal shape along a new dimension.
    public static func stack(_ tensors: [Tensor], dim: Int = 0) throws -> Tensor {
        try Operator.call("aten::stack", Argument.tensors(tensors), dim)
    }

    /// At most `count` views of about equal size.
    public func chunk(_ count: Int, dim: Int = 0) throws -> [Tensor] {
        try Operator.callForList("aten::chunk", self, count, dim)
    }

    /// The slices along a dimension, without that dimension.
    public func unbind(dim: Int = 0) throws -> [Tensor] { try Operator.callForList("aten::unbind.int", self, dim) }
}
