import CTorch

/// Differentiation. Operations on tensors that require a gradient are recorded; `backward` walks the record.
extension Tensor {
    /// Whether operations on this tensor are recorded.
    public var requiresGrad: Bool { ct_requires_grad(handle) }

    /// Switches recording for a leaf of a floating-point type: a tensor that no recorded operation made, for only such
    /// collect gradients. Returns the tensor itself.
    @discardableResult public func requiresGrad(_ on: Bool) throws -> Tensor {
        try check(ct_set_requires_grad(handle, on), "requires_grad", [description])
        return self
    }

    /// The gradient collected so far; nil before the first backward pass.
    public var grad: Tensor? {
        get throws {
            var out: OpaquePointer?
            try check(ct_grad(handle, &out), "grad", [description])
            return out.map(Tensor.init(owning:))
        }
    }

    /// Replaces the collected gradient; nil drops it, so that the next backward pass starts anew.
    public func setGrad(_ gradient: Tensor?) throws {
        try check(ct_set_grad(handle, gradient?.handle), "set grad", [description, gradient?.description ?? "nil"])
    }

    /// Adds the derivatives of this tensor with respect to every leaf behind it to those leaves' `grad`.
    ///
    /// - Parameters:
    ///   - gradient: the derivative of the final value with respect to this tensor, of its shape; may be left out for a
    ///     single element.
    ///   - retainGraph: keep the record for another backward pass over the same operations.
    public func backward(gradient: Tensor? = nil, retainGraph: Bool = false) throws {
        try check(
            ct_backward(handle, gradient?.handle, retainGraph), "backward",
            [description] + (gradient.map { [$0.description] } ?? []))
    }

    /// Does so from several tensors in one walk, so that what they share behind them is passed once: the gradients add
    /// up as if the roots' values, weighed by their gradients, had been summed.
    ///
    /// - Parameter roots: each with the derivative of the final value with respect to it, of its shape. None is no work.
    public static func backward(_ roots: [(tensor: Tensor, gradient: Tensor)], retainGraph: Bool = false) throws {
        guard !roots.isEmpty else { return }
        let tensors: [OpaquePointer?] = roots.map(\.tensor.handle)
        let gradients: [OpaquePointer?] = roots.map(\.gradient.handle)
        try withExtendedLifetime(roots) {
            try check(
                ct_backward_many(tensors, gradients, Int32(roots.count), retainGraph), "backward",
                roots.flatMap { [$0.tensor.description, $0.gradient.description] })
        }
    }

    /// The same elements, cut off from the record.
    public func detach() throws -> Tensor { try Operator.call("aten::detach", self) }

    /// Makes this tensor hold the values, type, device and memory order of another and keep its identity, so that an
    /// optimiser that refers to it sees the change. The gradient is dropped.
    public func setData(_ data: Tensor) throws {
        try setGrad(nil)
        try check(ct_set_data(handle, data.handle), "set data", [description, data.description])
    }
}

/// Runs `body` without recording operations on this thread: for evaluation and for updates of parameters.
public func withoutGradient<R>(_ body: () throws -> R) rethrows -> R {
    let before = ct_grad_mode()
    ct_set_grad_mode(false)
    defer { ct_set_grad_mode(before) }
    return try body()
}
