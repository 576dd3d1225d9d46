import Basics
import CTorch

extension Tensor {
    /// Elements of any value: for memory that is written next.
    public static func empty(
        _ shape: [Int], dtype: DType = .float32, device: Device = .cpu, format: MemoryFormat = .contiguous
    ) throws -> Tensor {
        try Operator.call("aten::empty.memory_format", shape, dtype, Argument.none, device, Argument.none, format)
    }

    public static func zeros(_ shape: [Int], dtype: DType = .float32, device: Device = .cpu) throws -> Tensor {
        try Operator.call("aten::zeros", shape, dtype, Argument.none, device)
    }

    public static func ones(_ shape: [Int], dtype: DType = .float32, device: Device = .cpu) throws -> Tensor {
        try Operator.call("aten::ones", shape, dtype, Argument.none, device)
    }

    public static func full(_ shape: [Int], _ value: some Scalar, dtype: DType = .float32, device: Device = .cpu) throws
        -> Tensor
    {
        try Operator.call("aten::full", shape, value, dtype, Argument.none, device)
    }

    /// A tensor without dimensions.
    public static func scalar(_ value: some Scalar, dtype: DType = .float32, device: Device = .cpu) throws -> Tensor {
        try full([], value, dtype: dtype, device: device)
    }

    /// 0, 1, … `count` - 1.
    public static func arange(_ count: Int, dtype: DType = .int64, device: Device = .cpu) throws -> Tensor {
        try Operator.call("aten::arange", count, dtype, Argument.none, device)
    }

    /// From, from + step, … below `to`.
    public static func arange(
        from: Double, to: Double, step: Double = 1, dtype: DType = .float32, device: Device = .cpu
    )
        throws -> Tensor
    {
        try Operator.call("aten::arange.start_step", from, to, step, dtype, Argument.none, device)
    }

    public func zerosLike() throws -> Tensor { try Operator.call("aten::zeros_like", self) }
    public func onesLike() throws -> Tensor { try Operator.call("aten::ones_like", self) }

    /// A copy of the array's elements, row-major.
    ///
    /// - Parameter shape: its product is the array's count; `[count]` if left out.
    /// - Throws: `TensorError` if it is not.
    public convenience init<Element: TensorElement>(_ elements: [Element], shape: [Int]? = nil, device: Device = .cpu)
        throws
    {
        let shape = shape ?? [elements.count]
        try Self.checkBytes(elements.count * Element.dtype.size, shape, Element.dtype)
        let handle = try elements.withUnsafeBytes { try Self.copy($0.baseAddress, shape, Element.dtype) }
        try self.init(owning: Self.moved(handle, to: device))
    }

    /// A copy of bytes, row-major in the machine's byte order (little-endian).
    public convenience init(copying bytes: UnsafeRawBufferPointer, dtype: DType, shape: [Int], device: Device = .cpu)
        throws
    {
        try Self.checkBytes(bytes.count, shape, dtype)
        try self.init(owning: Self.moved(Self.copy(bytes.baseAddress, shape, dtype), to: device))
    }

    public convenience init(copying bytes: SharedBytes, dtype: DType, shape: [Int], device: Device = .cpu) throws {
        let handle = try bytes.withUnsafeBytes { buffer in
            try Self.checkBytes(buffer.count, shape, dtype)
            return try Self.copy(buffer.baseAddress, shape, dtype)
        }
        try self.init(owning: Self.moved(handle, to: device))
    }

    /// A tensor on the memory of `bytes`, without a copy; it keeps `bytes` alive.
    ///
    /// Nothing may change such a tensor in place, for others may read the same bytes. Memory that is not aligned for
    /// `dtype` is copied.
    public convenience init(adopting bytes: SharedBytes, dtype: DType, shape: [Int]) throws {
        try Self.checkBytes(bytes.count, shape, dtype)
        let base = bytes.withUnsafeBytes { $0.baseAddress }
        guard let base, Int(bitPattern: base) % dtype.size == 0 else {
            try self.init(copying: bytes, dtype: dtype, shape: shape)
            return
        }
        var out: OpaquePointer?
        let status = ct_adopt_memory(
            UnsafeMutableRawPointer(mutating: base), shape.map(Int64.init), Int32(shape.count), dtype.rawValue,
            { Unmanaged<SharedBytes>.fromOpaque($0!).release() }, Unmanaged.passRetained(bytes).toOpaque(), &out)
        try check(status, "adopt memory", ["\(shape)", "\(dtype)"])
        self.init(owning: out!)
    }

    private static func checkBytes(_ bytes: Int, _ shape: [Int], _ dtype: DType) throws {
        var needed = dtype.size
        var overflow = false
        for size in shape where !overflow {
            (needed, overflow) = needed.multipliedReportingOverflow(by: size)
            overflow = overflow || size < 0
        }
        guard !overflow, needed == bytes else {
            throw TensorError(
                operation: "tensor from memory", arguments: ["\(shape)", "\(dtype)"],
                reason: overflow ? "no such shape" : "\(bytes) bytes given, \(needed) needed")
        }
    }

    private static func copy(_ base: UnsafeRawPointer?, _ shape: [Int], _ dtype: DType) throws -> OpaquePointer {
        var out: OpaquePointer?
        let status = ct_copy_memory(base, shape.map(Int64.init), Int32(shape.count), dtype.rawValue, &out)
        try check(status, "tensor from memory", ["\(shape)", "\(dtype)"])
        return out!
    }

    /// The handle itself on the CPU, else one of a copy on the device. Returns an owned handle.
    private static func moved(_ handle: OpaquePointer, to device: Device) throws -> OpaquePointer {
        guard device != .cpu else { return handle }
        let there = try Tensor(owning: handle).to(device)
        return withExtendedLifetime(there) { ct_retain(there.handle) }
    }
}
