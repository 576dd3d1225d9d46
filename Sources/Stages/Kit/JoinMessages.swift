import Configuration
import Wire

/// What `picoflow join` asks of a run's supervisor, again with every heartbeat: it is also its sign of life.
public struct JoinRequest: Codable, Sendable, Equatable {
    /// The joining host's name, for `picoflow status`.
    public var host: String
    /// How many replicas of which stage it offers.
    public var stages: [String: Int]
    /// What it was allotted; empty at first. A supervisor that was restarted learns of them from here.
    public var replicas: [Replica]

    public init(host: String, stages: [String: Int], replicas: [Replica] = []) {
        self.host = host
        self.stages = stages
        self.replicas = replicas
    }
}

/// The supervisor's answer: which replicas the host runs, and what their processes are started with.
public struct JoinReply: Codable, Sendable, Equatable {
    public var replicas: [Replica]
    /// The settings of these replicas' stages.
    public var stages: [StageSettings]
    /// Heartbeat, silence and grace.
    public var supervisor: SupervisorSettings
    /// The run's dataset as its own host names it.
    public var dataset: DatasetSettings
    public var summary: DatasetSummary
    /// No more work: the stages are told to end, and none is to be started again.
    public var isEnding: Bool

    public init(
        replicas: [Replica], stages: [StageSettings], supervisor: SupervisorSettings, dataset: DatasetSettings,
        summary: DatasetSummary, isEnding: Bool
    ) {
        self.replicas = replicas
        self.stages = stages
        self.supervisor = supervisor
        self.dataset = dataset
        self.summary = summary
        self.isEnding = isEnding
    }
}

extension Replica {
    /// Replicas on hosts that joined are numbered from here, so that the supervisor's own can come and go below.
    public static let firstExternalID = 1001

    public var isExternal: Bool { id >= Replica.firstExternalID }
}
