import Basics
import CTorch

/// An n-dimensional array that libtorch owns: its elements, and what autograd recorded about them.
///
/// A reference to a tensor, as in PyTorch: copies of the reference see in-place changes, views share memory. `deinit`
/// gives the reference back; `Tensor.liveHandles` counts those not yet given back.
///
/// Not `Sendable`: tensors can be changed in place and libtorch does not lock them. A tensor belongs to the one that
/// runs the network; between threads and processes travel `SharedBytes`.
public final class Tensor: CustomStringConvertible {
    let handle: OpaquePointer

    /// Takes over one reference.
    init(owning handle: OpaquePointer) { self.handle = handle }

    deinit { ct_release(handle) }

    /// How many tensor references the process holds.
    public static var liveHandles: Int { Int(ct_live_handles()) }

    /// The number of dimensions.
    public var dim: Int { Int(ct_dim(handle)) }

    public var shape: [Int] {
        let dim = dim
        return [Int](unsafeUninitializedCapacity: dim) { buffer, count in
            buffer.withMemoryRebound(to: Int64.self) { ct_sizes(handle, $0.baseAddress) }
            count = dim
        }
    }

    /// The size along one dimension; negative ones count from the end.
    ///
    /// - Precondition: the dimension exists.
    public func size(_ dimension: Int) -> Int {
        let shape = shape
        let index = dimension < 0 ? dimension + shape.count : dimension
        precondition(shape.indices.contains(index), "a tensor of shape \(shape) has no dimension \(dimension)")
        return shape[index]
    }

    /// Elements from one to the next along each dimension.
    public var strides: [Int] {
        let dim = dim
        return [Int](unsafeUninitializedCapacity: dim) { buffer, count in
            buffer.withMemoryRebound(to: Int64.self) { ct_strides(handle, $0.baseAddress) }
            count = dim
        }
    }

    /// The number of elements.
    public var count: Int { Int(ct_numel(handle)) }

    /// - Precondition: one of `DType`'s; nothing here makes others (complex, quantised).
    public var dtype: DType {
        let code = ct_dtype(handle)
        guard let dtype = DType(rawValue: code) else {
            preconditionFailure("c10 element type \(code) has no counterpart")
        }
        return dtype
    }

    public var device: Device {
        var type: Int32 = 0
        var index: Int32 = 0
        ct_device(handle, &type, &index)
        return Device(type: type, index: index)
    }

    public func isContiguous(_ format: MemoryFormat = .contiguous) -> Bool { ct_is_contiguous(handle, format.rawValue) }

    /// Whether both refer to the same tensor, not merely to equal ones.
    public func isSame(as other: Tensor) -> Bool { ct_is_same(handle, other.handle) }

    /// `[2, 3] float32`, with the device if it is not the CPU.
    public var description: String { "\(shape) \(dtype)" + (device == .cpu ? "" : " \(device)") }
}
