import Basics

/// Where a run's stages live: which there are, how many of each, on what, and who is wired to whom.
///
/// It says nothing of what is trained; that is the recipe's business. The resolved form is saved with the run.
public struct Topology: Codable, Sendable, Equatable {
    /// In the file's order.
    public var stages: [StageSettings] = []
    /// Stages whose number of replicas follows the load, in the file's order.
    public var autoscale: [AutoscaleSettings] = []
    public var supervisor = SupervisorSettings()
    public var pool = PoolSettings()

    public init() {}

    public func stage(named name: String) -> StageSettings? { stages.first { $0.name == name } }

    /// Whether a stage's replicas may run on hosts that join. A stage in between binds, on the run's own host, where those that
    /// serve it have to be as well.
    public func isJoinable(_ stage: StageSettings) -> Bool {
        stage.kind.isJoinable && stage.samples == nil
            && !stages.contains { $0.samples == stage.name && $0.kind != .compute }
    }

    /// The stage of a kind of which a topology has one at most: compute, bank, evaluator.
    public func stage(of kind: StageKind) -> StageSettings? { stages.first { $0.kind == kind } }

    /// The stages that a recipe keeps busy: without contrast neither bank nor miners are started, without memory no bank.
    public func stages(for recipe: Recipe) -> [StageSettings] {
        stages.filter { stage in
            switch stage.kind {
            case .bank: recipe.contrast.usesMemory
            case .miner: recipe.contrast.enabled
            case .loader, .compute, .evaluator: true
            }
        }
    }

    /// Writes down the thread counts left open: all processors where a network runs, shared out among ranks, and for
    /// miners, shared out among those of this machine; one elsewhere.
    ///
    /// Thread counts of compute and evaluator change the last bits of results, so a run must hold actual ones.
    public func withThreads(processors: Int) -> Topology {
        var filled = self
        for index in stages.indices where stages[index].threads == nil {
            let stage = stages[index]
            filled.stages[index].threads =
                switch stage.kind {
                case .compute: max(1, processors / max(1, stage.replicas))
                case .miner where stage.replicas > 0: max(1, processors / stage.replicas)
                case .evaluator: processors
                case .loader, .bank, .miner: 1
                }
        }
        return filled
    }
}

/// What a stage does; its executable is `picoflow-KIND` unless the topology names a command.
public enum StageKind: String, Codable, Sendable, CaseIterable {
    case loader, compute, bank, miner, evaluator

    /// There is one memory.
    var isSingle: Bool { self == .bank }

    /// Whether replicas may run on hosts that join. Evaluators read the run's checkpoints, which are on its own host.
    public var isJoinable: Bool { self == .loader || self == .miner }

    /// `picoflow-loader`, …
    public var executable: String { "picoflow-\(rawValue)" }
}

public struct StageSettings: Codable, Sendable, Equatable {
    /// The key in the topology: letters, digits, `-` and `_`. Logs and sockets are named after it.
    public var name = ""
    public var kind = StageKind.loader
    public var replicas = 1
    /// Per replica; where nil, `Topology.withThreads(processors:)` decides.
    public var threads: Int?
    /// One for all replicas, or one per replica.
    public var device = DeviceChoice()
    /// Program and arguments of a third-party stage; the executable of its kind where nil.
    public var exec: [String]?
    /// Compute: the stage whose pool serves samples. A third-party loader may have it too: it stands in between then,
    /// changes what it draws from there and serves the outcome.
    public var samples: String?
    /// Compute: the stage whose pool serves losses and gradients of anchors.
    public var mining: String?
    /// Compute: the stage it appends keys to. Miner: the stage it follows.
    public var memory: String?

    public init() {}

    /// Where the replica of this index computes. Replicas beyond those that the topology names take turns.
    public func device(ofReplica index: Int) -> Device {
        device.all.isEmpty ? .cpu : device.all[index % device.all.count]
    }
}

public struct SupervisorSettings: Codable, Sendable, Equatable {
    /// How long stages work on without their supervisor; time enough to start another one by hand.
    public var grace = Duration.seconds(30)
    /// Between two signs of life of a stage.
    public var heartbeat = Duration.seconds(1)
    /// After this long without one a stage counts as hung: ten missed ones, so that a busy machine is no death.
    public var silence = Duration.seconds(10)
    /// `tcp://HOST:PORT`: where stages on other hosts join. The links take the ports after it. Nil: nobody joins.
    public var listen: String?
    /// Folder of the keys for that; `keys` in the run directory where nil.
    public var keys: String?

    /// How long after the grace a stage that does not end by itself may live on: time for a checkpoint to be written.
    public static let afterGrace = Duration.seconds(60)

    /// How long after a grace stages on other hosts serve compute's last step and checkpoint: as long again.
    public static func service(after grace: Duration) -> Duration { min(grace, afterGrace) }

    /// The highest port that leaves room for the links' ports behind it.
    public static let highestListenPort: UInt16 = 65000

    public init() {}
}

public struct PoolSettings: Codable, Sendable, Equatable {
    /// Between two signs of life of a worker to its consumer.
    public var heartbeat = Duration.seconds(1)
    /// After this long without one its tickets go to others; it may come back.
    public var silence = Duration.seconds(10)
    /// Largest message of a pool, whose sockets accept no larger one: a hundred times a sample, far below a machine's memory.
    public var messageLimit = ByteCount.mebibytes(256)

    public init() {}
}
