import Basics

/// Element types that travel. Names are PyTorch's.
public enum WireDType: String, Codable, Sendable, CaseIterable {
    case uint8, int32, int64, float16, bfloat16, float32, float64

    /// Bytes per element.
    public var size: Int {
        switch self {
        case .uint8: 1
        case .float16, .bfloat16: 2
        case .int32, .float32: 4
        case .int64, .float64: 8
        }
    }
}

/// An array beside a header: a name, what it is, and its memory, row-major and little-endian.
public struct WireTensor: Sendable {
    public let name: String
    public let dtype: WireDType
    public let shape: [Int]
    public let bytes: SharedBytes

    /// - Throws: `WireError.sizeMismatch` where the bytes are not what dtype and shape need.
    public init(name: String, dtype: WireDType, shape: [Int], bytes: SharedBytes) throws {
        guard let needed = WireTensor.byteCount(dtype, shape), needed == bytes.count else {
            throw WireError.sizeMismatch(tensor: name, dtype: dtype, shape: shape, bytes: bytes.count)
        }
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.bytes = bytes
    }

    public init(name: String, shape: [Int], floats: [Float]) throws {
        try self.init(name: name, dtype: .float32, shape: shape, bytes: SharedBytes(floats))
    }

    /// The bytes that dtype and shape need, or nil where a dimension is negative or the product overflows.
    static func byteCount(_ dtype: WireDType, _ shape: [Int]) -> Int? {
        var total = dtype.size
        for dimension in shape {
            guard dimension >= 0 else { return nil }
            let (product, overflow) = total.multipliedReportingOverflow(by: dimension)
            guard !overflow else { return nil }
            total = product
        }
        return total
    }
}
