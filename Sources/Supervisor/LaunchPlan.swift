import Configuration
import Foundation
import StageKit
import Wire

/// What is to be run: recipe, topology, and where its processes meet. Everything the supervisor decides follows from it.
public struct LaunchPlan: Sendable {
    public enum Goal: Sendable, Equatable {
        /// Train, then evaluate where a final evaluation is given.
        case train
        /// Evaluate a checkpoint that is there.
        case evaluate(checkpoint: String)
    }

    public var recipe: Recipe
    public var dataset: DatasetSummary
    /// With all thread counts filled in.
    public var topology: Topology
    public var goal: Goal
    /// Absolute.
    public var runDirectory: String
    /// Of the processes' logs.
    var logs: String
    public var epoch: Epoch
    public var resume: Checkpoint?
    /// The newest step that stages which are taken over had done before.
    var trained: UInt64?
    public var addresses: LinkAddresses
    /// The folder of the keys that may join; nil where the run does not listen.
    public var keys: String?
    /// The run's fingerprints so far by stage, from the journal.
    public var fingerprints: [String: Fingerprint]
    /// The run's swaps so far, from the journal.
    public var history = SwapHistory()
    /// Replicas of the stages that were scaled under a supervisor whose stages are taken over.
    public var counts: [String: Int] = [:]
    /// The highest number that a stage on another host has had, by stage, from the journal.
    var allotted: [String: Int] = [:]
    /// The run's evaluations so far.
    public var evaluations = EvaluationHistory()
    /// Positions in the sample order that were trained without their sample, from the journal.
    public var skipped: [UInt64] = []

    public init(
        recipe: Recipe, dataset: DatasetSummary, topology: Topology, goal: Goal = .train, runDirectory: String,
        epoch: Epoch,
        resume: Checkpoint? = nil, addresses: LinkAddresses, keys: String? = nil,
        fingerprints: [String: Fingerprint] = [:]
    ) {
        self.recipe = recipe
        self.dataset = dataset
        self.topology = topology
        self.goal = goal
        self.runDirectory = runDirectory
        logs = runDirectory + "/logs"
        self.epoch = epoch
        self.resume = resume
        self.addresses = addresses
        self.keys = keys
        self.fingerprints = fingerprints
    }

    /// Whether a step's evaluation is over, under this or an earlier supervisor.
    func isRecorded(_ step: UInt64) -> Bool { EvaluationRecord.isThere(inRun: runDirectory, step: step) }

    public var runName: String { (runDirectory as NSString).lastPathComponent }

    /// The stages of training in starting order: the bank first, as compute opens its log; workers last.
    var trainingStages: [StageSettings] {
        let order: [StageKind] = [.bank, .compute, .loader, .miner]
        return order.flatMap { kind in topology.stages(for: recipe).filter { $0.kind == kind } }
    }

    /// What the journal says of an epoch of this plan.
    func epochStart(_ epoch: Epoch, from checkpoint: Checkpoint?) -> JournalEntry.EpochStart {
        JournalEntry.EpochStart(
            epoch: epoch, time: LogOrigin.timestamp(), from: checkpoint?.step,
            computeThreads: topology.stage(of: .compute)?.threads ?? 1,
            ranks: topology.stage(of: .compute)?.replicas ?? 1)
    }

    /// The stages that take their samples or their mining from a stage: compute, or a stage in between.
    func consumers(of stage: String) -> [String] {
        topology.stages.filter { $0.samples == stage || $0.mining == stage }.map(\.name)
    }

    func settings(of replica: Replica) -> StageSettings? {
        (trainingStages + topology.evaluators).first { $0.name == replica.stage }
    }

    /// What a replica is told after its HELLO.
    ///
    /// - Throws: `WireError.endpoint` where the sockets' folder lies too deep.
    func configuration(for replica: Replica, at place: ReplicaPlace = .here) throws -> StageConfiguration? {
        guard let settings = settings(of: replica) else { return nil }
        return StageConfiguration(
            recipe: recipe, dataset: dataset, threads: settings.threads ?? 1,
            device: settings.device(ofReplica: replica.id - 1),
            pool: topology.pool,
            replicas: Dictionary(
                (trainingStages + topology.evaluators).map { ($0.name, $0.replicas) },
                uniquingKeysWith: { first, _ in first }),
            endpoints: try endpoints(for: replica, settings, at: place), runDirectory: runDirectory, epoch: epoch,
            resume: resume?.path, keys: settings.kind.isWorker ? nil : keys,
            rendezvous: settings.kind == .compute && settings.replicas > 1
                ? addresses.rendezvous(in: epoch) : nil)
    }
}

extension Topology {
    /// The evaluators that it names, or one as compute is where it names none.
    var evaluators: [StageSettings] {
        let named = stages.filter { $0.kind == .evaluator }
        guard named.isEmpty else { return named }
        var evaluator = StageSettings()
        evaluator.name = StageKind.evaluator.rawValue
        evaluator.kind = .evaluator
        let compute = stage(of: .compute)
        evaluator.threads = compute?.threads
        if let compute { evaluator.device = compute.device }
        return [evaluator]
    }
}
