import Configuration
import StageKit
import Wire

/// What the supervisor knows of one replica.
struct Member: Sendable {
    enum Life: Sendable, Equatable {
        /// Not started yet, or over for good.
        case idle
        /// Asked to start; no process yet.
        case spawning
        /// The process is there; its HELLO is due by then.
        case starting(until: Duration)
        /// Configured.
        case working
        /// The process is gone; its last words may still come.
        case gone(ProcessEnd, lastLine: String?, until: Duration)
        /// Will be started again.
        case waiting(until: Duration)
        /// Dead, and started again together with all whose state belongs to its epoch.
        case held
    }

    let replica: Replica
    let kind: StageKind
    /// Whose tickets it executes, and so which program it runs.
    let generation: Generation
    var life = Life.idle
    var pid: Int32?
    var host: String?
    /// On a host that joined: the key that it came with.
    var key: CurveKey?
    /// On another host, and nothing is heard of it.
    var isLost = false
    var peer: ControlPeer?
    var incarnation: Incarnation?
    var lastHeard = Duration.zero
    var configuredAt: Duration?
    /// How far the run was then.
    var progressBefore = 0
    var heartbeat = Heartbeat(state: .starting)
    var rates = MetricRates()
    var restarts = 0
    /// Failures in a row; of a stage with state, those since training last came further than ever.
    var failures = 0
    /// Given up, or ended as it should.
    var isOver = false
    /// Why it failed, in its own words or the supervisor's; said before its exit.
    var failure: String?
    /// It reported a failure itself, and what may be done about it.
    var report: StageEvent?
    /// Its last message.
    var bye: Bye.Reason?
    /// Compute: it reached the last iteration.
    var hasFinished = false
    /// It was told to end, or is being killed for the run's end; its exit is no failure.
    var isStopping = false
    /// It is wanted no more: a smaller count, or another generation, takes its place.
    var isLeaving = false
    /// It left, and nothing needs to remember it.
    var hasLeft = false
    /// The supervisor killed it because it hung.
    var isKilled = false
    /// It is killed because its epoch is over; its exit is no failure.
    var isDiscarded = false
    /// Started by the supervisor before this one.
    var isAdopted = false
    /// Compute: told to end without a checkpoint.
    var isAbandoned = false
    var terminateAt: Duration?
    var killAt: Duration?

    init(replica: Replica, kind: StageKind, generation: Generation = .first) {
        self.replica = replica
        self.kind = kind
        self.generation = generation
    }

    /// A process of the supervisor's own, not of a host that joined.
    var isOwn: Bool { key == nil }

    /// It works, or will, and nobody has asked it to leave.
    var isWanted: Bool { !isOver && !isLeaving && !hasLeft }

    /// A process runs, as far as anybody knows.
    var isAlive: Bool {
        switch life {
        case .spawning, .starting, .working: true
        case .idle, .gone, .waiting, .held: false
        }
    }

    /// Nothing more is to come of it.
    var isQuiet: Bool { life == .idle }

    var isWorking: Bool { life == .working }

    /// When something about it is due.
    var deadline: Duration? {
        // Of a process that is being killed only its end is awaited.
        if isAlive, let killAt { return killAt }
        var deadlines = [terminateAt].compactMap { $0 }
        switch life {
        case .starting(let until), .gone(_, _, let until), .waiting(let until): deadlines.append(until)
        case .idle, .spawning, .working, .held: break
        }
        return deadlines.min()
    }

    mutating func forgetProcess() {
        life = .idle
        pid = nil
        peer = nil
        incarnation = nil
        configuredAt = nil
        rates = MetricRates()
        failure = nil
        report = nil
        bye = nil
        isStopping = false
        isKilled = false
        isDiscarded = false
        isAdopted = false
        isAbandoned = false
        terminateAt = nil
        killAt = nil
    }

    func status() -> StatusReport.Stage {
        let state: StageState =
            switch life {
            case .idle: isLost ? .lost : isOver ? .exited : .starting
            case .spawning, .starting: .starting
            case .working: isStopping ? .stopping : heartbeat.state
            case .gone: .exited
            case .waiting, .held: .restarting
            }
        return StatusReport.Stage(
            stage: replica.stage, id: replica.id, pid: isAlive ? pid : nil, host: host, state: state,
            waitingOn: state == .waiting ? heartbeat.waitingOn : nil, restarts: restarts,
            // What is gone has no memory and no queues.
            metrics: isAlive ? heartbeat.metrics : [:],
            generation: generation == .first ? nil : generation, kind: kind,
            rates: rates.perSecond.isEmpty ? nil : rates.perSecond)
    }
}
