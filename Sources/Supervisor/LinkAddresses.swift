import Configuration
import StageKit
import Wire

/// Where the links of a run meet: an address for each end that binds.
///
/// Every compute replica binds its own ends of `samples` and `mining`, the bank `memory`, the command line
/// `evaluation`. Who connects to several of them gets a list.
public struct LinkAddresses: Sendable, Equatable {
    /// The folder of the run's unix-domain sockets.
    private let folder: String

    public init(folder: String) { self.folder = folder }

    /// Bytes that a socket's name may add to the folder's path: `/samples.`, a stage's 32 and `-65535`.
    static let longestName = 9 + 32 + 6

    /// - Parameter binder: the replica that binds; nil for the command line itself.
    public func address(_ link: LinkName, of binder: Replica? = nil) throws -> Endpoint {
        try Endpoint("ipc://\(folder)/\(link.rawValue)" + (binder.map { ".\($0)" } ?? ""))
    }

    /// Where compute's ranks meet: a file that no other epoch's ranks have seen.
    func rendezvous(in epoch: Epoch) -> String { "file:\(folder)/ranks-\(epoch)" }
}

extension LaunchPlan {
    /// The addresses that a replica binds or connects to, by link name.
    func endpoints(for replica: Replica, _ settings: StageSettings) throws -> [String: [Endpoint]] {
        var endpoints: [LinkName: [Endpoint]] = [:]
        switch settings.kind {
        case .compute:
            endpoints[.samples] = [try addresses.address(.samples, of: replica)]
            if settings.mining != nil { endpoints[.mining] = [try addresses.address(.mining, of: replica)] }
            endpoints[.memory] = try memory(of: settings)
        case .bank: endpoints[.memory] = [try addresses.address(.memory, of: replica)]
        case .loader: endpoints[.samples] = try consumers(of: settings.name, .samples, \.samples)
        case .miner:
            endpoints[.mining] = try consumers(of: settings.name, .mining, \.mining)
            endpoints[.memory] = try memory(of: settings)
        case .evaluator: endpoints[.evaluation] = [try addresses.address(.evaluation)]
        }
        return Dictionary(uniqueKeysWithValues: endpoints.map { ($0.key.rawValue, $0.value) })
    }

    /// The addresses of all who take their work done by a stage.
    private func consumers(
        of stage: String, _ link: LinkName, _ supplier: (StageSettings) -> String?
    ) throws -> [Endpoint] {
        try topology.stages.filter { supplier($0) == stage }.flatMap { consumer in
            try (1...max(1, consumer.replicas)).map { try addresses.address(link, of: Replica(consumer.name, $0)) }
        }
    }

    private func memory(of settings: StageSettings) throws -> [Endpoint] {
        try settings.memory.map { [try addresses.address(.memory, of: Replica($0, 1))] } ?? []
    }
}
