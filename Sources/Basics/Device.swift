/// Where tensors live.
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
            // libtorch numbers devices with 8 bits.
            guard parts[1].first?.isNumber == true, let index = Int8(parts[1]) else { fallthrough }
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
}

extension Device: Codable {
    public init(from decoder: any Decoder) throws {
        self = try Device(parsing: try decoder.singleValueContainer().decode(String.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
