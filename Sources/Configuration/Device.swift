import Yams

/// Where tensors live: `cpu` or `cuda:N`.
public enum Device: Sendable, Hashable, CustomStringConvertible {
    case cpu
    case cuda(Int)

    /// Nil for anything but `cpu` and `cuda:N`.
    public init?(_ text: String) {
        if text == "cpu" {
            self = .cpu
        } else if text.hasPrefix("cuda:"), let index = UInt16(text.dropFirst(5)) {
            self = .cuda(Int(index))
        } else {
            return nil
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
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let device = Device(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "'\(text)' is neither 'cpu' nor 'cuda:N'")
        }
        self = device
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// The devices of a stage's replicas: one that they share, or one each.
public struct DeviceChoice: Codable, Sendable, Equatable {
    public var all: [Device]

    public init(_ all: [Device] = [.cpu]) { self.all = all }
}

extension DeviceChoice: ConfigurationValue {
    static var shape: ValueShape { .device }
    static func decode(_ node: Node) -> DeviceChoice? {
        let texts = node.sequence?.map { $0.scalar?.string } ?? [node.scalar?.string]
        let devices = texts.map { $0.flatMap { Device($0) } }
        let known = devices.compactMap { $0 }
        return known.isEmpty || known.count != devices.count ? nil : DeviceChoice(known)
    }
    var node: Node {
        let nodes = all.map { Node($0.description) }
        return nodes.count == 1 ? nodes[0] : Node(nodes, .implicit, .flow)
    }
}
