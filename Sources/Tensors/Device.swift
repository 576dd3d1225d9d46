import Basics

/// Where a tensor's memory is.
public enum Device: Sendable, Hashable, CustomStringConvertible {
    case cpu
    /// A GPU by its index.
    case cuda(Int)

    /// Parses `cpu`, `cuda` (the first GPU) or `cuda:1`.
    ///
    /// - Throws: `UserError` that names the text and the spellings allowed.
    public init(parsing text: String) throws {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        switch (parts.first, parts.count) {
        case ("cpu", 1): self = .cpu
        case ("cuda", 1): self = .cuda(0)
        case ("cuda", 2):
            // c10 numbers devices with 8 bits.
            guard parts[1].allSatisfy(\.isASCII), let index = Int8(parts[1]), index >= 0 else { fallthrough }
            self = .cuda(Int(index))
        default: throw UserError("'\(text)' is no device; write cpu, cuda or cuda:N")
        }
    }

    public var description: String {
        switch self {
        case .cpu: "cpu"
        case .cuda(let index): "cuda:\(index)"
        }
    }

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
