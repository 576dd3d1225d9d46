/// The type of a tensor's elements in a file of `torch.save`; the raw values are c10's `ScalarType`, as everywhere here.
public enum ElementType: Int32, Sendable, CaseIterable {
    case uint8 = 0
    case int8 = 1
    case int16 = 2
    case int32 = 3
    case int64 = 4
    case float16 = 5
    case float32 = 6
    case float64 = 7
    case bool = 11
    case bfloat16 = 15

    /// Bytes per element.
    public var size: Int {
        switch self {
        case .uint8, .int8, .bool: 1
        case .int16, .float16, .bfloat16: 2
        case .int32, .float32: 4
        case .int64, .float64: 8
        }
    }

    /// By the Python class of the storage.
    init?(storage name: String) {
        switch name {
        case "ByteStorage": self = .uint8
        case "CharStorage": self = .int8
        case "ShortStorage": self = .int16
        case "IntStorage": self = .int32
        case "LongStorage": self = .int64
        case "HalfStorage": self = .float16
        case "FloatStorage": self = .float32
        case "DoubleStorage": self = .float64
        case "BoolStorage": self = .bool
        case "BFloat16Storage": self = .bfloat16
        default: return nil
        }
    }
}
