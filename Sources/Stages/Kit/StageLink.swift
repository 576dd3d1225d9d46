import Basics
import Configuration
import Foundation
import Logging
import Synchronization
import Wire

/// The thread that keeps a stage's control link: it owns the socket, sends what other threads hand it, and carries out
/// what `StageControl` decides.
///
/// `@unchecked Sendable`: what threads share lies in `shared`, behind its mutex; the rest is constant or used by the
/// control thread alone.
final class StageLink: @unchecked Sendable {
    struct Arguments: Sendable {
        var control: Endpoint
        var run: String
        var replica: Replica
        var grace: Duration
        /// Between two signs of life.
        var heartbeat = Duration.seconds(1)
        /// The client key of a stage that dials another host.
        var key: ClientKeyFile?
        /// Where this host has the run's dataset; nil where it is at the run's own path.
        var datasetRoot: String?
    }

    enum Outcome: Sendable {
        case configured(StageConfiguration)
        case refused(String)
        case lost
    }

    private struct Shared {
        var outbox: [(type: ControlType, body: Data)] = []
        var state = StageState.preparing
        var waitingOn: String?
        var step: StepMetrics?
        var metrics: (@Sendable () -> [String: Double])?
        var outcome: Outcome?
        var onLoss: (@Sendable (String, Bool) -> Void)?
        var onSwap: (@Sendable (SwapOrder) -> Void)?
        /// Orders that came before anybody listened.
        var swapOrders: [SwapOrder] = []
        var onKeys: (@Sendable () -> Void)?
        var isEnding = false
        var hasLostSupervisor = false
        /// The newest event of each kind that a supervisor must know.
        var essentials: [(kind: StageEvent.Kind, body: Data)] = []
    }

    let arguments: Arguments
    let sender: Sender
    let stop = StopToken()
    private let kind: StageKind
    private let fingerprint: Fingerprint
    private let logger: Logger
    private let shared = Mutex(Shared())
    private let wakeup = Wakeup()
    private let answered = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)
    /// Whether the run is ending; the control thread's.
    private var expectsStop = false
    private let onLost: @Sendable () -> Void

    /// - Parameter onLost: called on the control thread when the supervisor has been silent for the grace time; ends the
    ///   process where the stage does not.
    init(
        arguments: Arguments, kind: StageKind, fingerprint: Fingerprint, logger: Logger,
        onLost: @escaping @Sendable () -> Void
    ) {
        self.arguments = arguments
        self.kind = kind
        self.fingerprint = fingerprint
        self.logger = logger
        self.onLost = onLost
        sender = Sender(run: arguments.run, name: arguments.replica.description)
    }

    /// Starts the thread.
    func start() {
        let thread = Thread { self.run() }
        thread.name = "control"
        thread.start()
    }

    /// Waits for the supervisor's answer to HELLO.
    func awaitConfiguration() throws -> StageConfiguration {
        answered.wait()
        switch shared.withLock({ $0.outcome }) {
        case .configured(let configuration): return configuration
        case .refused(let message): throw UserError("refused by the supervisor: \(message)")
        case .lost, nil:
            throw UserError("no supervisor answers at \(arguments.control); was this started by hand?")
        }
    }

    /// Whether nothing was heard of the supervisor for the grace.
    var hasLostSupervisor: Bool { shared.withLock { $0.hasLostSupervisor } }

    func send(_ type: ControlType, _ body: some Encodable) {
        // Bodies are our own types, whose numbers are finite by construction.
        guard let data = try? body.wireJSON() else { return }
        shared.withLock { shared in
            shared.outbox.append((type, data))
            if let event = body as? StageEvent, event.isEssential {
                // Of the others the newest is enough.
                if event.kind != .sampleSkipped { shared.essentials.removeAll { $0.kind == event.kind } }
                shared.essentials.append((event.kind, data))
            }
        }
        wakeup.signal()
    }

    func report(_ state: StageState, waitingOn: String?) {
        shared.withLock {
            $0.state = state
            $0.waitingOn = waitingOn
        }
    }

    func report(_ step: StepMetrics) { shared.withLock { $0.step = step } }

    func setMetrics(_ snapshot: @escaping @Sendable () -> [String: Double]) {
        shared.withLock { $0.metrics = snapshot }
    }

    func onLoss(_ body: @escaping @Sendable (String, Bool) -> Void) { shared.withLock { $0.onLoss = body } }

    func onSwap(_ body: @escaping @Sendable (SwapOrder) -> Void) {
        let early = shared.withLock { shared in
            shared.onSwap = body
            defer { shared.swapOrders = [] }
            return shared.swapOrders
        }
        for order in early { body(order) }
    }

    private func tell(_ order: SwapOrder) {
        let listener = shared.withLock { shared in
            if shared.onSwap == nil { shared.swapOrders.append(order) }
            return shared.onSwap
        }
        listener?(order)
    }

    func onKeysChange(_ body: @escaping @Sendable () -> Void) { shared.withLock { $0.onKeys = body } }

    /// Sends what is queued and closes the link; waits for that, a second at most where nobody listens.
    func end() {
        shared.withLock { $0.isEnding = true }
        wakeup.signal()
        _ = ended.wait(timeout: .now() + 3)
    }

    // MARK: The control thread

    private func run() {
        defer {
            // Nobody would end the process in time any more.
            Termination.putOffNoMore()
            ended.signal()
        }
        // Stands still while the machine sleeps, so that a closed lid is no death.
        let clock = SuspendingClock()
        let start = clock.now
        do {
            // A context of its own: closing it waits until the last message is out, whatever the stage's sockets do.
            let context = Context()
            if let key = arguments.key { context.identify(as: try key.security) }
            let socket = try Socket(
                .dealer, context: context, identity: "\(sender.name).\(sender.incarnation)",
                maxMessageBytes: MessageLimits.control.bodyBytes)
            try socket.connect(arguments.control)
            var control = StageControl(interval: arguments.heartbeat, grace: arguments.grace, now: .zero)
            var sequence: UInt64 = 0
            var termination = Termination()
            while true {
                let now = start.duration(to: clock.now)
                let isEnding = expectsStop || stop.isStopped
                if termination.isDue(signals: Termination.signals, isEnding: isEnding, now: now) { terminate() }
                for action in control.handle(.tick, now: now) { try perform(action, socket, &sequence) }
                while let frames = try socket.receive() {
                    guard let inbound = decode(frames) else { continue }
                    for action in control.handle(.received(inbound), now: now) {
                        try perform(action, socket, &sequence)
                    }
                }
                let (queued, isLast) = shared.withLock { shared in
                    defer { shared.outbox = [] }
                    return (shared.outbox, shared.isEnding)
                }
                for (type, body) in queued { try send(type, body, socket, &sequence) }
                if isLast { return }
                let deadline = min(control.nextDeadline, termination.deadline ?? control.nextDeadline)
                let wait = deadline - start.duration(to: clock.now)
                _ = Poller.wait([socket], wakeup: wakeup, milliseconds: max(0, wait.wholeMilliseconds + 1))
            }
        } catch {
            logger.error("control link: \(error)")
            conclude(.refused("\(error)"))
            onLost()
        }
    }

    private func decode(_ frames: [SharedBytes]) -> StageControl.Inbound? {
        do {
            return try StageControl.Inbound(Message(frames: frames, run: arguments.run, limits: .control))
        } catch {
            logger.warning("dropped a control message: \(error)")
            return nil
        }
    }

    private func perform(_ action: StageControl.Action, _ socket: Socket, _ sequence: inout UInt64) throws {
        switch action {
        case .sendHello:
            let hello = Hello(
                stage: arguments.replica.stage, id: arguments.replica.id, kind: kind, pid: getpid(),
                host: ProcessInfo.processInfo.hostName, fingerprint: fingerprint, epoch: configuredEpoch)
            try send(.hello, hello.wireJSON(), socket, &sequence)
            // To a supervisor that took over: it may not have heard what was said to the one before.
            for event in shared.withLock({ $0.essentials }) { try send(.event, event.body, socket, &sequence) }
            // Who has a configuration already says it to another supervisor.
            if case .configured? = shared.withLock({ $0.outcome }) { tell(.supervisorChanged) }
        case .sendHeartbeat:
            let (state, waitingOn, step, metrics) = shared.withLock { ($0.state, $0.waitingOn, $0.step, $0.metrics) }
            let beat = Heartbeat(
                state: state, waitingOn: waitingOn,
                metrics: ProcessLoad.now().metrics.merging(metrics?() ?? [:]) { $1 },
                step: step)
            try send(.heartbeat, beat.wireJSON(), socket, &sequence)
        case .configure(let configuration):
            Termination.putOff(waking: wakeup)
            conclude(.configured(configuration))
        case .stop(let reason):
            logger.info("asked to \(reason.rawValue)")
            stop.request(reason)
        case .expectStop: expectsStop = true
        case .swap(let order): tell(order)
        case .reloadKeys: shared.withLock({ $0.onKeys })?()
        case .loss(let worker, let expected): shared.withLock({ $0.onLoss })?(worker, expected)
        case .refuse(let message):
            conclude(.refused(message))
            logger.error("refused by the supervisor: \(message)")
            stop.request(.stop)
        case .supervisorLost:
            shared.withLock { $0.hasLostSupervisor = true }
            logger.warning("nothing heard of the supervisor for \(arguments.grace.text)")
            conclude(.lost)
            onLost()
        }
    }

    private func conclude(_ outcome: Outcome) {
        let isFirst = shared.withLock { shared in
            guard shared.outcome == nil else { return false }
            shared.outcome = outcome
            return true
        }
        if isFirst { answered.signal() }
    }

    /// Ends the process as SIGTERM does where nobody puts it off.
    private func terminate() -> Never {
        logger.warning("ended by a signal, SIGTERM, that is not of a stop of the run")
        Termination.putOffNoMore()
        kill(getpid(), SIGTERM)
        // A container's first process is ended by no signal of its own.
        StageMain.end(128 + SIGTERM)
    }

    private var configuredEpoch: Epoch? {
        shared.withLock { shared in
            if case .configured(let configuration)? = shared.outcome { configuration.epoch } else { nil }
        }
    }

    private func send(_ type: ControlType, _ body: Data, _ socket: Socket, _ sequence: inout UInt64) throws {
        sequence += 1
        let message = Message(
            type.rawValue, from: sender, epoch: configuredEpoch ?? Epoch(0), sequence: sequence, body: body)
        try socket.send(message.frames())
    }
}

extension Duration {
    var wholeMilliseconds: Int {
        let (seconds, attoseconds) = components
        return Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000)
    }
}
