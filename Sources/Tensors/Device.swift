import Basics

extension Device {
    /// c10's `DeviceType` and index.
    var code: (type: Int32, index: Int32) {
        switch self {
        case .cpu: (0, -1)
        case .cuda(let index): (1, Int32(index))
        }
    }

    init(type: Int32, index: Int32) { self = type == 1 ? .cuda(Int(index)) : .cpu }
}

/// The order of a tensor's elements in memory; the raw values are c10's.
public enum MemoryFormat: Int32, Sendable {
    /// Row-major in the order of the shape.
    case contiguous = 0
    /// Row-major as N, H, W, C though the shape says [N, C, H, W]. Convolutions on the CPU are two to three times
    /// faster so.
    case channelsLast = 2
}
