import Configuration
import Foundation
import StageKit
import Wire

/// The supervisor as a value: what happens goes in, what to do comes out. No sockets, clocks or processes.
///
/// A run goes through `starting` (until compute is configured), `training`, `evaluating` and `stopping`. Workers that
/// die are replaced; so is a bank, with its log as it is; the death of compute takes the run back to its newest
/// checkpoint, in a new epoch. What a stage itself reports as a failure ends the run, and the first failure is the one
/// reported. A stop ends compute first, as it needs the others for its checkpoint, then the rest; whoever does not end in
/// time is terminated, then killed.
public struct SupervisorCore: Sendable {
    /// Its epoch and checkpoint change when the run goes back.
    public internal(set) var plan: LaunchPlan
    public let timing: SupervisionTiming
    let hasEvaluation: Bool

    public internal(set) var phase = StatusReport.Phase.starting
    /// In starting order: training stages, then evaluators.
    var members: [Member] = []
    /// Who joined from elsewhere, in the order in which they came.
    var hosts: [JoinedHost] = []
    var hasAnnouncedEnd = false
    /// By stage.
    var fingerprints: [String: Fingerprint]
    /// Compute's newest.
    public internal(set) var metrics: StepMetrics?
    public internal(set) var checkpoint: Checkpoint?
    var finished: (step: UInt64?, checkpoint: String)?
    /// The one that ends the run.
    var evaluation: EvaluationReport?
    var evaluations: Evaluations
    /// Set once: the first failure, or the wish to stop. Nil while all is well.
    var ending: Ending?
    var interrupts = 0
    var isEnded = false
    var lastTick: Duration?
    /// How many replicas each stage shall have, by name; where two generations of it work, each.
    var counts: [String: Int]
    var history: SwapHistory
    /// Asked for and not journalled yet.
    var pendingSwap: PendingSwap?
    var autoscalers: [String: Autoscaler]
    /// When the next epoch may begin, once all whose state belongs to the last one are dead; nil while none has to.
    var rollback: Duration?
    /// The newest step that compute has ever told of.
    var furthestStep: UInt64
    /// Grows with every step beyond that.
    var progress = 0
    /// Of all evaluations.
    var imagesEvaluated = 0
    var refusals = ReportLimit(interval: .seconds(1))
    /// When the event in hand happened.
    var now = Duration.zero
    /// What the event in hand asks for so far; none between events.
    var actions: [SupervisorAction] = []

    enum Ending: Sendable {
        case asked
        case failed(String)
    }

    public init(plan: LaunchPlan, timing: SupervisionTiming? = nil, hasEvaluation: Bool) {
        self.plan = plan
        self.timing = timing ?? SupervisionTiming(plan.topology.supervisor)
        self.hasEvaluation = hasEvaluation
        fingerprints = plan.fingerprints
        evaluations = Evaluations(plan.evaluations)
        checkpoint = plan.resume
        furthestStep = plan.resume?.step ?? 0
        counts = plan.counts
        history = plan.history
        autoscalers = Self.autoscalers(plan.topology)
        let next = (plan.resume?.step ?? 0) + 1
        for stage in workingStages {
            if counts[stage.name] == nil { counts[stage.name] = stage.replicas }
            // All programs that the steps to come need, also those that a swap ahead of them brings.
            let generations = stage.kind == .miner ? schedule.workers(from: next) : [.first]
            let all = generations.flatMap { Array(repeating: $0, count: count(of: stage, $0)) }
            members += all.enumerated().map { place, generation in
                Member(replica: Replica(stage.name, place + 1), kind: stage.kind, generation: generation)
            }
        }
    }

    /// When `tick` is due at the latest; nil where nothing is.
    public var nextDeadline: Duration? {
        let silences = members.filter { $0.isWorking && $0.killAt == nil }.map { $0.lastHeard + silence(of: $0) }
        return (members.compactMap(\.deadline) + silences + [epochDeadline].compactMap { $0 }).min()
    }

    public mutating func handle(_ event: SupervisorEvent, now: Duration) -> [SupervisorAction] {
        guard !isEnded else { return [] }
        self.now = now
        defer { actions = [] }
        switch event {
        case .start: start()
        case .takeOver(let survivors): takeOver(survivors)
        case .epochBegun(let epoch, let checkpoint): begin(epoch, from: checkpoint)
        case .message(let message, let peer, let incarnation): receive(message, peer, incarnation)
        case .spawned(let replica, let pid): spawned(replica, pid)
        case .spawnFailed(let replica, let why): spawnFailed(replica, why)
        case .exited(let replica, let pid, let end, let line): exited(replica, pid, end, line)
        case .interrupt: interrupt()
        case .evaluated: imagesEvaluated += 1
        case .keysAllowed(let keys): keysAllowed(keys)
        case .evaluationEnded(let outcome): evaluationEnded(outcome)
        case .tick: tick()
        }
        advance()
        return actions
    }

    /// The newest step that compute has reported, or the one that it started from.
    var newestStep: UInt64 { metrics?.step ?? plan.resume?.step ?? 0 }

    /// Compute, by rank.
    var trainers: [Member] { members.filter { $0.kind == .compute } }

    public func report() -> StatusReport {
        let rate = metrics?.imagesPerSecond
        let left = Double(plan.recipe.schedule.iterations) - Double(metrics?.step ?? 0)
        let eta = rate.flatMap { $0 > 0 ? left * Double(plan.recipe.schedule.batch) / $0 : nil }
        return StatusReport(
            run: plan.runName, runDirectory: plan.runDirectory, epoch: plan.epoch.rawValue, phase: phase,
            stages: members.filter { (!$0.isQuiet || $0.isOver || !$0.isOwn) && !$0.hasLeft }.map { $0.status() },
            step: newestStep, iterations: plan.recipe.schedule.iterations,
            imagesPerSecond: rate.flatMap { $0.isFinite ? $0 : nil },
            etaSeconds: phase == .training ? eta.flatMap { $0.isFinite ? $0 : nil } : nil, metrics: metrics,
            checkpoint: checkpoint?.step, swaps: history.listed, evaluation: evaluations.latest,
            evaluating: evaluations.running?.step)
    }

    /// What a worker of a kind helps to bring about.
    func progress(of kind: StageKind) -> Int { kind == .evaluator ? imagesEvaluated : progress }

    // MARK: Starting

    private mutating func start() {
        switch plan.goal {
        case .train: for index in members.indices where members[index].kind != .evaluator { spawn(index) }
        case .evaluate(let checkpoint):
            phase = .evaluating
            evaluations.final = checkpoint
        }
    }

    /// Asks for a process of a replica.
    mutating func spawn(_ index: Int) {
        members[index].life = .spawning
        actions.append(.spawn(members[index].replica))
    }

    private mutating func spawned(_ replica: Replica, _ pid: Int32) {
        guard let index = index(of: replica) else { return }
        members[index].pid = pid
        members[index].life = .starting(until: now + timing.hello)
        // The run may have ended, or gone back, between the wish and the process.
        if ending != nil { stop(index, within: .zero) }
        if rollback != nil, !members[index].kind.isWorker { discard(index) }
    }

    private mutating func spawnFailed(_ replica: Replica, _ why: String) {
        guard let index = index(of: replica) else { return }
        let member = members[index]
        // Its swap came to nothing, or a smaller count did without it, before it was there.
        guard !member.isLeaving else { return over(index) }
        members[index].forgetProcess()
        members[index].isOver = true
        let message = "\(replica) could not be started: \(why)"
        if hasCancelledSwap(of: member, message) || hasGivenUpEvaluation(of: member, message) { return }
        let others = others(with: member)
        guard member.kind.isWorker, others > 0 else { return fail(message) }
        // There may be room again in a moment.
        members[index].failures = member.failures + 1
        guard ending == nil, members[index].failures < timing.failures else { return goOnWithout(message, others) }
        members[index].isOver = false
        members[index].life = .waiting(until: now + backoff(after: members[index].failures))
        log(.warning, "\(message); trying again")
    }

    /// Whose tickets a replica executes.
    func generation(of replica: Replica) -> Generation { index(of: replica).map { members[$0].generation } ?? .first }

    func index(of replica: Replica) -> Int? { members.firstIndex { $0.replica == replica } }

    /// The member that a message comes from: the very process that said HELLO there.
    func index(of peer: ControlPeer, _ incarnation: Incarnation) -> Int? {
        members.firstIndex { $0.peer == peer && $0.incarnation == incarnation }
    }

    /// Replicas of the supervisor's own that work, or will, in one generation of a stage.
    func ownIndices(of stage: String, _ generation: Generation) -> [Int] {
        members.indices.filter {
            members[$0].replica.stage == stage && members[$0].generation == generation && members[$0].isWanted
                && members[$0].isOwn
        }
    }

    // MARK: Saying

    mutating func log(_ level: LogLevel, _ text: String) { actions.append(.log(level, text)) }

    mutating func send(_ message: ControlOutbound, to peer: ControlPeer) { actions.append(.send(message, to: peer)) }

    /// Sends a command to a replica's process, where that has said HELLO.
    mutating func tell(_ index: Int, _ command: Command) {
        if let peer = members[index].peer { send(.command(command), to: peer) }
    }
}
