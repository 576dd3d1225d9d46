import Configuration
import Foundation
import StageKit
import Wire

/// The supervisor as a value: what happens goes in, what to do comes out. No sockets, clocks or processes.
///
/// A run goes through `starting` (until compute is configured), `training`, `evaluating` and `stopping`. Workers that
/// die are replaced; the death of bank or compute ends the run, and the first failure is the one reported. A stop ends
/// compute first, as it needs the others for its checkpoint, then the rest; whoever does not end in time is
/// terminated, then killed.
public struct SupervisorCore: Sendable {
    public let plan: LaunchPlan
    public let timing: SupervisionTiming
    let hasEvaluation: Bool

    public internal(set) var phase = StatusReport.Phase.starting
    /// In starting order: training stages, then evaluators.
    var members: [Member]
    /// By stage.
    var fingerprints: [String: Fingerprint]
    /// Compute's newest.
    public internal(set) var metrics: StepMetrics?
    public internal(set) var checkpoint: Checkpoint?
    var finished: (step: UInt64?, checkpoint: String)?
    var evaluation: EvaluationSummary?
    var isEvaluating = false
    /// Set once: the first failure, or the wish to stop. Nil while all is well.
    var ending: Ending?
    var interrupts = 0
    var isEnded = false
    var lastTick: Duration?

    enum Ending: Sendable {
        case asked
        case failed(String)
    }

    public init(plan: LaunchPlan, timing: SupervisionTiming? = nil, hasEvaluation: Bool) {
        self.plan = plan
        self.timing = timing ?? SupervisionTiming(plan.topology.supervisor)
        self.hasEvaluation = hasEvaluation
        fingerprints = plan.fingerprints
        checkpoint = plan.resume
        var stages: [StageSettings] = plan.goal == .train ? plan.trainingStages : []
        if hasEvaluation { stages += plan.evaluationStages }
        members = stages.flatMap { stage in
            (1...max(1, stage.replicas)).map { Member(replica: Replica(stage.name, $0), kind: stage.kind) }
        }
    }

    /// When `tick` is due at the latest; nil where nothing is.
    public var nextDeadline: Duration? {
        let silences = members.filter { $0.isWorking && $0.killAt == nil }.map { $0.lastHeard + silence(of: $0) }
        return (members.compactMap(\.deadline) + silences).min()
    }

    public mutating func handle(_ event: SupervisorEvent, now: Duration) -> [SupervisorAction] {
        guard !isEnded else { return [] }
        var actions: [SupervisorAction] = []
        switch event {
        case .start: start(&actions)
        case .message(let message, let peer, let incarnation): receive(message, peer, incarnation, now, &actions)
        case .spawned(let replica, let pid): spawned(replica, pid, now, &actions)
        case .spawnFailed(let replica, let why): spawnFailed(replica, why, now, &actions)
        case .exited(let replica, let pid, let end, let line): exited(replica, pid, end, line, now, &actions)
        case .interrupt: interrupt(now, &actions)
        case .evaluationEnded(let outcome): evaluationEnded(outcome, now, &actions)
        case .tick: tick(now, &actions)
        }
        advance(now, &actions)
        return actions
    }

    /// The newest step that compute has reported, or the one that it started from.
    var newestStep: UInt64 { metrics?.step ?? plan.resume?.step ?? 0 }

    public func report() -> StatusReport {
        let rate = metrics?.imagesPerSecond
        let left = Double(plan.recipe.schedule.iterations) - Double(metrics?.step ?? 0)
        let eta = rate.flatMap { $0 > 0 ? left * Double(plan.recipe.schedule.batch) / $0 : nil }
        return StatusReport(
            run: plan.runName, runDirectory: plan.runDirectory, epoch: plan.epoch.rawValue, phase: phase,
            stages: members.filter { !$0.isQuiet || $0.isOver }.map { $0.status() },
            step: metrics?.step ?? plan.resume?.step ?? 0, iterations: plan.recipe.schedule.iterations,
            imagesPerSecond: rate.flatMap { $0.isFinite ? $0 : nil },
            etaSeconds: phase == .training ? eta.flatMap { $0.isFinite ? $0 : nil } : nil, metrics: metrics,
            checkpoint: checkpoint?.step)
    }

    // MARK: Starting

    private mutating func start(_ actions: inout [SupervisorAction]) {
        switch plan.goal {
        case .train: spawnAll(&actions) { $0.kind != .evaluator }
        case .evaluate(let checkpoint): startEvaluation(checkpoint, &actions)
        }
    }

    private mutating func spawnAll(_ actions: inout [SupervisorAction], where isWanted: (Member) -> Bool) {
        for index in members.indices where isWanted(members[index]) {
            members[index].life = .spawning
            actions.append(.spawn(members[index].replica))
        }
    }

    mutating func startEvaluation(_ checkpoint: String, _ actions: inout [SupervisorAction]) {
        phase = .evaluating
        isEvaluating = true
        spawnAll(&actions) { $0.kind == .evaluator }
        actions.append(.startEvaluation(checkpoint: checkpoint))
    }

    private mutating func spawned(
        _ replica: Replica, _ pid: Int32, _ now: Duration, _ actions: inout [SupervisorAction]
    ) {
        guard let index = index(of: replica) else { return }
        members[index].pid = pid
        members[index].life = .starting(until: now + timing.hello)
        // The run may have ended between the wish and the process.
        if ending != nil { stop(index, within: .zero, now, &actions) }
    }

    private mutating func spawnFailed(
        _ replica: Replica, _ why: String, _ now: Duration, _ actions: inout [SupervisorAction]
    ) {
        guard let index = index(of: replica) else { return }
        members[index].forgetProcess()
        members[index].isOver = true
        fail("\(replica) could not be started: \(why)", now, &actions)
    }

    func index(of replica: Replica) -> Int? { members.firstIndex { $0.replica == replica } }
}
