import Configuration
import StageKit
import Wire

/// Where the links of a run meet: an address for each end that binds.
///
/// Every compute replica binds its own ends of `samples` and `mining`, every replica of a stage between loaders and
/// compute its `upstream`, the bank `memory`, the command line `evaluation`. Who connects to several of them gets a list.
public struct LinkAddresses: Sendable, Equatable {
    /// The folder of the run's unix-domain sockets.
    private let folder: String
    /// Where hosts join; nil where none can.
    let listen: Endpoint?

    public init(folder: String, listen: Endpoint? = nil) {
        self.folder = folder
        self.listen = listen
    }

    /// Bytes that a socket's name may add to the folder's path: `/upstream.`, a stage's 32 and `-65535`.
    static let longestName = 10 + 32 + 6

    /// - Parameter binder: the replica that binds; nil for the command line itself.
    public func address(_ link: LinkName, of binder: Replica? = nil) throws -> Endpoint {
        try Endpoint("ipc://\(folder)/\(link.rawValue)" + (binder.map { ".\($0)" } ?? ""))
    }

    /// Where compute's ranks meet: a file that no other epoch's ranks have seen.
    func rendezvous(in epoch: Epoch) -> String { "file:\(folder)/ranks-\(epoch)" }
}

extension LaunchPlan {
    /// The addresses that a replica binds or connects to, by link name.
    ///
    /// - Parameter place: where the replica is; those on other hosts connect over TCP.
    func endpoints(
        for replica: Replica, _ settings: StageSettings, at place: ReplicaPlace = .here
    ) throws -> [String: [Endpoint]] {
        var endpoints: [LinkName: [Endpoint]] = [:]
        switch settings.kind {
        case .compute:
            endpoints[.samples] = try addresses.bindings(.samples, of: replica)
            if settings.mining != nil { endpoints[.mining] = try addresses.bindings(.mining, of: replica) }
            endpoints[.memory] = try memory(of: settings, place)
        case .bank: endpoints[.memory] = try addresses.bindings(.memory, of: replica)
        case .loader:
            endpoints[.samples] = try consumers(of: settings.name, .samples, place, \.samples)
            if settings.samples != nil { endpoints[.upstream] = [try addresses.address(.upstream, of: replica)] }
        case .miner:
            endpoints[.mining] = try consumers(of: settings.name, .mining, place, \.mining)
            endpoints[.memory] = try memory(of: settings, place)
        case .evaluator: endpoints[.evaluation] = [try addresses.address(.evaluation)]
        }
        return Dictionary(uniqueKeysWithValues: endpoints.map { ($0.key.rawValue, $0.value) })
    }

    /// The addresses of all who take their work done by a stage.
    private func consumers(
        of stage: String, _ link: LinkName, _ place: ReplicaPlace, _ supplier: (StageSettings) -> String?
    ) throws -> [Endpoint] {
        try topology.stages.filter { supplier($0) == stage }.flatMap { consumer in
            // Ports are set aside for compute only.
            guard place == .here || consumer.kind == .compute else {
                throw WireError.endpoint(
                    "\(link.rawValue) of \(consumer.name)", reason: "no host can join it from afar")
            }
            // A stage in between serves `samples` itself, so what it takes has a name of its own.
            let link = consumer.kind == .loader ? .upstream : link
            return try (1...max(1, consumer.replicas)).map {
                try addresses.address(link, of: Replica(consumer.name, $0), for: place)
            }
        }
    }

    private func memory(of settings: StageSettings, _ place: ReplicaPlace) throws -> [Endpoint] {
        guard recipe.contrast.usesMemory, let bank = settings.memory else { return [] }
        return [try addresses.address(.memory, of: Replica(bank, 1), for: place)]
    }
}
