import Basics
import DequeModule
import Foundation

/// The end of a pool that has the work: it issues tickets and gets their results in order, whatever its workers do.
///
/// All methods may be called from any thread. A thread of its own owns the ROUTER socket and the protocol's state; it
/// sleeps until a message, a call or the next deadline. `issue` never blocks: how many tickets are under way, and so
/// how much memory their results take, is the caller's decision.
///
/// ```swift
/// let pool = try PoolConsumer(endpoint: endpoint, as: sender, epoch: epoch, context: context)
/// try pool.issue(Ticket(id: 1, body: request.wireJSON()))
/// let result = try pool.next()
/// ```
public final class PoolConsumer: Sendable {
    private let mailbox: ConsumerMailbox
    private let limits: MessageLimits
    /// Where it listens; for `tcp://…:0` with the port it got.
    public let boundEndpoint: Endpoint

    /// Binds at once; workers may come before or after.
    ///
    /// - Parameters:
    ///   - others: further addresses of the same pool, TCP for workers on other hosts.
    ///   - onEvent: for log and journal; called on the pool's thread, so it must neither block nor call `close`.
    /// - Throws: `WireError.socket` where the endpoint cannot be bound.
    public init(
        endpoint: Endpoint, alsoAt others: [Endpoint] = [], as sender: Sender, epoch: Epoch, context: Context,
        settings: PoolSettings = PoolSettings(), onEvent: @escaping @Sendable (PoolEvent) -> Void = { _ in }
    ) throws {
        MessageMemory.keepFreedPages()
        let socket = try Socket(.router, context: context, maxMessageBytes: settings.limits.largestFrame)
        try socket.bind(endpoint)
        boundEndpoint = try socket.boundEndpoint()
        for other in others { try socket.bind(other) }
        limits = settings.limits
        let core = PoolConsumerCore(as: sender, epoch: epoch, settings: settings, now: .now())
        mailbox = ConsumerMailbox(epoch: epoch)
        let runner = ConsumerRunner(
            core: core, socket: socket, mailbox: mailbox, maxFrames: limits.tensors + 3, onEvent: onEvent)
        let thread = Thread { runner.run() }
        thread.name = "pool \(sender.name)"
        thread.stackSize = threadStackBytes
        thread.start()
    }

    deinit { close() }

    /// Hands a ticket to the workers.
    ///
    /// - Throws: `PoolError.ticketNotAscending`, `.ticketTooLarge`, `.closed`.
    public func issue(_ ticket: Ticket) throws {
        let issued = try PoolConsumerCore.IssuedTicket(ticket, limits: limits)
        try mailbox.post { state in
            if let last = state.lastIssued, ticket.id <= last {
                throw PoolError.ticketNotAscending(ticket.id, after: last)
            }
            state.lastIssued = ticket.id
            return .issue(issued)
        }
    }

    /// The next result in ticket order.
    ///
    /// - Parameter timeout: nil waits for as long as it takes.
    /// - Returns: nil where the time is over.
    /// - Throws: `PoolFailure` where the next ticket can have no result, again with every call until `reset`;
    ///   `PoolError.closed`; `WireError.socket` where the pool's socket failed.
    public func next(timeout: Duration? = nil) throws -> TicketResult? { try mailbox.next(timeout: timeout) }

    /// The same for as long as it takes.
    ///
    /// - Parameter check: called first and, while waiting, twice a second; gives up by throwing.
    public func next(check: () throws -> Void) throws -> TicketResult {
        while true {
            try check()
            if let result = try next(timeout: .milliseconds(500)) { return result }
        }
    }

    /// Begins a new epoch: all tickets and results of older ones are dropped, here and at the workers. Ids may
    /// begin anew.
    ///
    /// - Throws: `PoolError.epochNotAscending`, `.closed`.
    public func reset(epoch: Epoch) throws {
        try mailbox.post { state in
            guard epoch > state.epoch else { throw PoolError.epochNotAscending(epoch, after: state.epoch) }
            state.epoch = epoch
            state.lastIssued = nil
            state.results.removeAll()
            state.failure = nil
            return .reset(epoch)
        }
    }

    /// Says that a worker is being killed, drained or cut off on purpose, so that no ticket is blamed for it. May
    /// also come soon after the loss.
    public func expectLoss(of workerName: String) { try? mailbox.post { _ in .expectLoss(workerName) } }

    /// Says that a worker is dead, so that its tickets need not wait for the pool to find out.
    public func reportLoss(of workerName: String) { try? mailbox.post { _ in .reportLoss(workerName) } }

    /// Asks a worker to leave: it finishes what it executes and hands back the rest. It has left with the event
    /// `.lost(…, cause: .bye, …)`; closing the pool before that may lose the request.
    public func drain(worker name: String) { try? mailbox.post { _ in .drain(name) } }

    /// The numbers of this moment, which the pool's thread is asked for: so they cost nothing until somebody wants them.
    /// Not to be called in `onEvent`.
    public var statistics: PoolStatistics { mailbox.statistics() }

    /// Says goodbye to the workers and gives the endpoint back. Waits for the pool's thread to end; `next` throws
    /// `PoolError.closed` from then on. Called again it does nothing.
    public func close() { mailbox.close() }
}

/// What passes between the callers' threads and the pool's.
private final class ConsumerMailbox: Sendable {
    struct State {
        var commands: [PoolConsumerCore.Event] = []
        var epoch: Epoch
        var lastIssued: TicketID?
        var results: Deque<TicketResult> = []
        var failure: (any Error)?
        var statistics = PoolStatistics()
        /// How often statistics were asked for, and which of these questions `statistics` answers.
        var asked = 0
        var answered = 0
        var closing = false
        var ended = false
    }

    let wakeup = Wakeup()
    private let monitor: Monitor<State>

    init(epoch: Epoch) {
        monitor = Monitor(State(epoch: epoch))
    }

    func post(_ command: (inout State) throws -> PoolConsumerCore.Event) throws {
        try monitor.withLock { state in
            guard !state.closing, !state.ended else { throw PoolError.closed }
            state.commands.append(try command(&state))
            // The pool's thread takes all commands at once, so one signal wakes it for all.
            if state.commands.count == 1 { wakeup.signal() }
        }
    }

    func next(timeout: Duration?) throws -> TicketResult? {
        try monitor.wait(until: timeout.map { Instant.now() + $0 }) { state in
            guard !state.closing else { throw PoolError.closed }
            if let result = state.results.popFirst() { return result }
            if let failure = state.failure { throw failure }
            guard !state.ended else { throw PoolError.closed }
            return nil
        }
    }

    func statistics() -> PoolStatistics {
        let question = monitor.withLock { state in
            state.asked += 1
            return state.asked
        }
        wakeup.signal()
        // Without a deadline it always finds something.
        return monitor.wait { state -> PoolStatistics? in
            guard state.ended || state.answered >= question else { return nil }
            var statistics = state.statistics
            statistics.ready = state.results.count
            return statistics
        } ?? PoolStatistics()
    }

    func close() {
        monitor.update { $0.closing = true }
        wakeup.signal()
        _ = monitor.wait { $0.ended ? true : nil }
    }

    // MARK: The pool's thread

    func takeCommands() -> (commands: [PoolConsumerCore.Event], closing: Bool, question: Int?) {
        monitor.withLock { state in
            defer { state.commands = [] }
            return (state.commands, state.closing, state.asked > state.answered ? state.asked : nil)
        }
    }

    /// Results of an epoch that a caller has left meanwhile are dropped.
    func publish(_ results: [TicketResult], failure: PoolFailure?, epoch: Epoch) {
        guard !results.isEmpty || failure != nil else { return }
        monitor.update { state in
            guard epoch == state.epoch else { return }
            state.results.append(contentsOf: results)
            if let failure { state.failure = failure }
        }
    }

    func answer(_ question: Int, _ statistics: PoolStatistics) {
        monitor.update { state in
            state.statistics = statistics
            state.answered = question
        }
    }

    func finish(_ error: (any Error)?, _ statistics: PoolStatistics) {
        monitor.update { state in
            state.statistics = statistics
            if let error, state.failure == nil { state.failure = error }
            state.ended = true
        }
    }
}

/// The pool's thread: feeds the core with what happens and does what it says.
///
/// `@unchecked Sendable`: made by one thread, then used by the pool's thread only.
private final class ConsumerRunner: @unchecked Sendable {
    private var core: PoolConsumerCore
    private let socket: Socket
    private let mailbox: ConsumerMailbox
    private let maxFrames: Int
    private let onEvent: @Sendable (PoolEvent) -> Void
    private var results: [TicketResult] = []
    private var failure: PoolFailure?

    init(
        core: PoolConsumerCore, socket: Socket, mailbox: ConsumerMailbox, maxFrames: Int,
        onEvent: @escaping @Sendable (PoolEvent) -> Void
    ) {
        self.core = core
        self.socket = socket
        self.mailbox = mailbox
        self.maxFrames = maxFrames
        self.onEvent = onEvent
    }

    private var statistics: PoolStatistics {
        var statistics = core.statistics
        statistics.traffic = socket.traffic
        return statistics
    }

    func run() {
        do {
            while try turn() {}
            mailbox.finish(nil, statistics)
        } catch {
            mailbox.finish(error, statistics)
        }
    }

    /// One sleep and what it was woken for. Returns false when the pool is closed.
    private func turn() throws -> Bool {
        let wait = core.nextDeadline.millisecondsLeft(at: .now())
        _ = Poller.wait([socket], wakeup: mailbox.wakeup, milliseconds: wait)
        let (commands, closing, question) = mailbox.takeCommands()
        for command in commands {
            try perform(core.handle(command, now: .now()))
            if case .reset = command {
                results.removeAll()
                failure = nil
            }
        }
        if closing {
            try perform(core.handle(.close, now: .now()))
            socket.close()
            return false
        }
        // All that waits is heard before anybody counts as silent, or a pause of this process would lose every
        // worker; the bound keeps a flood from starving the callers.
        var received = 0
        while received < 1000, var frames = try socket.receive(maxFrames: maxFrames) {
            received += 1
            let peer = PeerID(frames.removeFirst())
            try perform(core.handle(.received(from: peer, frames: frames), now: .now()))
        }
        try perform(core.handle(.tick, now: .now()))
        mailbox.publish(results, failure: failure, epoch: core.epoch)
        if let question { mailbox.answer(question, statistics) }
        results.removeAll(keepingCapacity: true)
        failure = nil
        return true
    }

    private func perform(_ actions: [PoolConsumerCore.Action]) throws {
        // Told to the core only after all is sent: its answers carry later numbers.
        var gone: [PeerID] = []
        for action in actions {
            switch action {
            case .send(let peer, let frames):
                guard !gone.contains(peer) else { continue }
                if try socket.send([SharedBytes(peer.bytes)] + frames) != .sent { gone.append(peer) }
            case .deliver(let result): results.append(result)
            case .fail(let reason): failure = reason
            case .report(let event): onEvent(event)
            }
        }
        for peer in gone { try perform(core.handle(.unreachable(peer), now: .now())) }
    }
}
