import Basics
import CTorch

extension Tensor {
    /// The elements, row-major, copied to Swift.
    ///
    /// - Throws: `TensorError` if `Element` is not the tensor's dtype; convert with `to(_:)` first.
    public func array<Element: TensorElement>(of type: Element.Type = Element.self) throws -> [Element] {
        try withElements(of: type) { Array($0) }
    }

    /// Calls `body` with the elements, row-major: where they lie, if they lie so on the CPU.
    ///
    /// - Throws: `TensorError` if `Element` is not the tensor's dtype; and what `body` throws.
    public func withElements<Element: TensorElement, R>(
        of type: Element.Type = Element.self, _ body: (UnsafeBufferPointer<Element>) throws -> R
    ) throws -> R {
        guard dtype == Element.dtype else {
            throw TensorError(
                operation: "read as [\(Element.self)]", arguments: [description], reason: "the dtype differs")
        }
        return try withRows { source, _ in try body(source.assumingMemoryBound(to: Element.self)) }
    }

    /// The elements' memory, row-major, as a message carries it. A copy, unless one was made anyway to bring the
    /// elements into order or off a device: later in-place changes never reach it.
    public func bytes() throws -> SharedBytes {
        try withRows { source, isOurs in
            guard let rows = isOurs, let base = source.baseAddress else {
                return SharedBytes(count: source.count) { if !source.isEmpty { $0.copyMemory(from: source) } }
            }
            let keeper = Keeper(rows)
            return SharedBytes(adopting: UnsafeMutableRawPointer(mutating: base), count: source.count) { _ in
                withExtendedLifetime(keeper) {}
            }
        }
    }

    /// The only element of a tensor that has one, as a Double.
    ///
    /// - Throws: `TensorError` for several elements or none.
    public func item() throws -> Double {
        switch try Operator.run("aten::item", [self]).first {
        case .double(let value)?: return value
        case .int(let value)?: return Double(value)
        case .bool(let value)?: return value ? 1 : 0
        default: throw TensorError(operation: "aten::item", arguments: [description], reason: "is no number")
        }
    }

    /// The only element of an integer or Boolean tensor.
    public func itemInt() throws -> Int {
        switch try Operator.run("aten::item", [self]).first {
        case .int(let value)?: return value
        case .bool(let value)?: return value ? 1 : 0
        default: throw TensorError(operation: "aten::item", arguments: [description], reason: "is no integer")
        }
    }

    /// Calls `body` with the elements in row-major order on the CPU; its second argument is the tensor that holds them
    /// if nobody else has it.
    private func withRows<R>(_ body: (UnsafeRawBufferPointer, Tensor?) throws -> R) throws -> R {
        let detached = try detach()
        let rows = try detached.to(Device.cpu).contiguous()
        var base: UnsafeMutableRawPointer?
        try check(ct_data(rows.handle, &base), "read memory", [description])
        var own: UnsafeMutableRawPointer?
        if device == .cpu { try check(ct_data(handle, &own), "read memory", [description]) }
        return try withExtendedLifetime(rows) {
            try body(UnsafeRawBufferPointer(start: base, count: count * dtype.size), own == base ? nil : rows)
        }
    }
}

/// Holds a tensor whose memory `SharedBytes` reads.
///
/// `@unchecked Sendable` is sound because the tensor is reachable from here only and nothing uses it but its release,
/// which libtorch counts atomically.
private final class Keeper: @unchecked Sendable {
    private let tensor: Tensor
    init(_ tensor: Tensor) { self.tensor = tensor }
}

extension Tensor {
    /// Calls `body` with the address of a CPU tensor's first element, in whatever order the others stand.
    func withAddress<R>(_ body: (UnsafeMutableRawPointer?) throws -> R) throws -> R {
        var base: UnsafeMutableRawPointer?
        try check(ct_data(handle, &base), "read memory", [description])
        return try withExtendedLifetime(self) { try body(base) }
    }
}
