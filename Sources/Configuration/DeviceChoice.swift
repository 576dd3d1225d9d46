import Basics
import Yams

/// The devices of a stage's replicas: one that they share, or one each.
public struct DeviceChoice: Codable, Sendable, Equatable {
    public var all: [Device]

    public init(_ all: [Device] = [.cpu]) { self.all = all }
}

extension DeviceChoice: ConfigurationValue {
    static var shape: ValueShape { .device }
    static func decode(_ node: Node) -> DeviceChoice? {
        let texts = node.sequence?.map { $0.scalar?.string } ?? [node.scalar?.string]
        let devices = texts.map { $0.flatMap { try? Device(parsing: $0) } }
        let known = devices.compactMap { $0 }
        return known.isEmpty || known.count != devices.count ? nil : DeviceChoice(known)
    }
    var node: Node {
        let nodes = all.map { Node($0.description) }
        return nodes.count == 1 ? nodes[0] : Node(nodes, .implicit, .flow)
    }
}
