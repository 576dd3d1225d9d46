import Basics
import Configuration
import Wire

/// The links between stages. Consumers of a pool and the bank bind; the others connect.
public enum LinkName: String, Codable, CaseIterable, Sendable {
    /// Pool: loaders serve; compute consumes and binds. A stage in between serves it and draws from `upstream`.
    case samples
    /// Pool: what `samples` is for a stage between loaders and compute: it consumes and binds, loaders serve.
    case upstream
    /// Pool: miners serve, compute consumes and binds.
    case mining
    /// Log: the bank binds, compute appends, miners follow.
    case memory
    /// Pool: evaluators serve, `picoflow` consumes and binds.
    case evaluation
}

/// All that a stage is told after its HELLO.
public struct StageConfiguration: Codable, Sendable, Equatable {
    public var recipe: Recipe
    public var dataset: DatasetSummary
    /// Threads of the stage's calculations; the environment of its process says the same.
    public var threads: Int
    public var device: Device
    /// How consumers and workers watch each other.
    public var pool: Configuration.PoolSettings
    /// Replicas of each stage at the start of the epoch, by stage name; pools may grow and shrink later.
    public var replicas: [String: Int]
    /// Addresses by link name; several where a link has several binding ends.
    public var endpoints: [String: [Endpoint]]
    /// Absolute path of the run directory.
    public var runDirectory: String
    public var epoch: Epoch
    /// The checkpoint folder to start from; nil starts at step 0.
    public var resume: String?
    /// Workers: whose tickets to execute. No key is the first.
    public var generation: Generation?
    /// Compute: the run's swaps so far, ahead or past, from its journal. No key is none.
    public var swaps: [Swap]?
    /// Compute: positions in the sample order that the run's journal has as skipped. No key is none.
    public var skipped: [UInt64]?
    /// The folder of the run's keys; set where the stage binds TCP.
    public var keys: String?
    /// Compute with several replicas: where they meet in this epoch, `file:PATH`.
    public var rendezvous: String?

    public init(
        recipe: Recipe, dataset: DatasetSummary, threads: Int, device: Device,
        pool: Configuration.PoolSettings = .init(), replicas: [String: Int],
        endpoints: [String: [Endpoint]],
        runDirectory: String, epoch: Epoch, resume: String? = nil, keys: String? = nil, rendezvous: String? = nil
    ) {
        self.recipe = recipe
        self.dataset = dataset
        self.threads = threads
        self.device = device
        self.pool = pool
        self.replicas = replicas
        self.endpoints = endpoints
        self.runDirectory = runDirectory
        self.epoch = epoch
        self.resume = resume
        self.keys = keys
        self.rendezvous = rendezvous
    }

    /// The one address of a link.
    ///
    /// - Throws: `UserError` where the topology gives this stage no such link.
    public func endpoint(_ link: LinkName) throws -> Endpoint {
        guard let endpoint = endpoints[link.rawValue]?.first else {
            throw UserError(
                "this stage's configuration has no '\(link.rawValue)' link; check the topology's connections")
        }
        return endpoint
    }

    /// Further addresses of a link that this stage binds.
    public func otherEndpoints(_ link: LinkName) -> [Endpoint] { Array(endpoints(link).dropFirst()) }

    /// The same where `*` stands for the host that the stage dialled its supervisor at.
    func dialled(at control: Endpoint) throws -> StageConfiguration {
        guard let host = control.host else { return self }
        var configuration = self
        configuration.endpoints = try endpoints.mapValues { try $0.map { try $0.dialled(at: host) } }
        return configuration
    }

    /// How this run's pools watch their peers, as the wire library takes it.
    public var poolSettings: Wire.PoolSettings { Wire.PoolSettings(pool) }

    /// All addresses of a link, for workers that serve several consumers.
    public func endpoints(_ link: LinkName) -> [Endpoint] { endpoints[link.rawValue] ?? [] }
}

extension Wire.PoolSettings {
    /// A topology's settings as the wire library takes them.
    public init(_ pool: Configuration.PoolSettings) {
        self.init()
        heartbeat = pool.heartbeat
        silence = pool.silence
        limits.tensorBytes = pool.messageLimit.bytes
    }
}
