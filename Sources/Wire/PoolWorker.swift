import Basics
import Foundation

/// What an executing ticket may know of its surroundings.
public struct TicketContext: Sendable {
    /// Which of the worker's consumers the ticket is from.
    public let consumer: Int
    public let epoch: Epoch
    /// Comes when the result is wanted no more: a new epoch has begun, or the worker stops. Whatever `execute` then
    /// returns or throws is dropped, so it should come to an end. Handlers run on the worker's own thread.
    public let cancellation = Cancellation()
}

/// The end of a pool that does the work, for one consumer or several.
///
/// A thread of its own owns one DEALER per consumer and keeps heartbeats going while tickets are executed. `run`
/// executes them, on the calling thread or on several, one by one or together.
///
/// ```swift
/// let worker = try PoolWorker(consumers: [endpoint], as: sender, credit: 2, context: context)
/// try worker.run { ticket, _ in TicketOutput(body: ticket.body) }
/// ```
public final class PoolWorker: Sendable {
    private let mailbox = WorkerMailbox()
    private let settings: PoolSettings
    private let sender: Sender
    private let generation: Generation
    private let credit: Int
    private let consumers: [Endpoint]
    private let sockets: [Socket]
    private let onEvent: @Sendable (PoolEvent) -> Void

    /// Connects; nothing is sent before `run`.
    ///
    /// - Parameters:
    ///   - generation: whose tickets it executes.
    ///   - credit: how many tickets it holds per consumer, the executing ones included. One more than are executed at
    ///     a time keeps it busy while results travel.
    ///   - onEvent: for the log; called on the worker's own thread, so it must not block.
    /// - Throws: `WireError.socket` for an endpoint that cannot be.
    public init(
        consumers: [Endpoint], as sender: Sender, generation: Generation = .first, credit: Int, context: Context,
        settings: PoolSettings = PoolSettings(),
        onEvent: @escaping @Sendable (PoolEvent) -> Void = { _ in }
    ) throws {
        precondition(!consumers.isEmpty, "a worker needs a consumer")
        self.consumers = consumers
        self.sender = sender
        self.generation = generation
        self.credit = credit
        self.settings = settings
        self.onEvent = onEvent
        sockets = try consumers.map { endpoint in
            let socket = try Socket(
                .dealer, context: context, identity: "\(sender.name)/\(sender.incarnation)",
                maxMessageBytes: settings.limits.largestFrame, onlyWhileConnected: true)
            try socket.connect(endpoint)
            return socket
        }
    }

    /// Executes tickets on the calling thread until the worker is drained or stopped, or all its consumers drained it.
    ///
    /// - Parameter execute: must give the same bytes for the same ticket wherever it runs. An error that it throws
    ///   goes to the consumer as the ticket's failure, its description as one line.
    /// - Throws: `PoolError.refused` where a consumer does not want this worker, `.badConsumer`, `WireError.socket`.
    public func run(execute: (Ticket, TicketContext) throws -> TicketOutput) throws {
        begin(executors: 1)
        work(execute)
        try mailbox.waitForEnd()
    }

    /// The same on `threads` threads, the calling one among them.
    public func run(threads: Int, execute: @escaping @Sendable (Ticket, TicketContext) throws -> TicketOutput) throws {
        begin(executors: threads)
        for index in stride(from: 1, to: threads, by: 1) {
            mailbox.helperStarted()
            let thread = Thread { [self] in
                work(execute)
                mailbox.helperEnded()
            }
            thread.name = "\(sender.name) \(index)"
            thread.stackSize = threadStackBytes
            thread.start()
        }
        work(execute)
        try mailbox.waitForEnd()
    }

    /// Executes on the calling thread what has come meanwhile, tickets together: for work that shares something.
    ///
    /// - Parameters:
    ///   - limit: how many tickets at once, at most.
    ///   - threads: that `execute` uses, for `PoolWorkerStatistics.busy`.
    ///   - execute: gives a result for each ticket, in their order, the same bytes whatever tickets come together.
    public func run(
        together limit: Int, threads: Int,
        execute: ([(ticket: Ticket, context: TicketContext)]) -> [Result<TicketOutput, any Error>]
    ) throws {
        begin(executors: limit)
        while let executions = mailbox.take(atMost: limit) {
            let began = Instant.now()
            let results = execute(executions.map { (ticket: $0.ticket, context: $0.context) })
            precondition(results.count == executions.count, "a result for each ticket")
            for _ in 0..<threads { mailbox.wasBusy(Instant.now().since(began)) }
            for (execution, result) in zip(executions, results) { post(result, of: execution) }
        }
        try mailbox.waitForEnd()
    }

    /// Leaves in good order: finishes what is being executed, hands back the rest, says goodbye; `run` then returns.
    public func drain() { mailbox.post(.drain) }

    /// Leaves now: says goodbye, cancels what is being executed; `run` returns as soon as `execute` does.
    public func stop() { mailbox.post(.stop) }

    public var statistics: PoolWorkerStatistics { mailbox.statistics }

    private func begin(executors: Int) {
        precondition(mailbox.begin(), "a worker runs once")
        let core = PoolWorkerCore(
            as: sender, consumers: consumers.map(\.address), generation: generation, credit: credit,
            executors: executors, settings: settings, now: .now())
        let runner = WorkerRunner(
            core: core, sockets: sockets, mailbox: mailbox, maxFrames: settings.limits.tensors + 2, onEvent: onEvent)
        let thread = Thread { runner.run() }
        thread.name = "\(sender.name) wire"
        thread.stackSize = threadStackBytes
        thread.start()
    }

    private func work(_ execute: (Ticket, TicketContext) throws -> TicketOutput) {
        while let execution = mailbox.take(atMost: 1)?.first {
            let began = Instant.now()
            let result = Result { try execute(execution.ticket, execution.context) }
            mailbox.wasBusy(Instant.now().since(began))
            post(result, of: execution)
        }
    }

    private func post(_ result: Result<TicketOutput, any Error>, of execution: WorkerMailbox.Execution) {
        switch result {
        case .success(let output): mailbox.post(.finished(execution.id, .output(output)))
        case .failure(let error): mailbox.post(.finished(execution.id, .failed("\(error)")))
        }
    }
}

/// What passes between the executing threads and the one that owns the sockets.
private final class WorkerMailbox: Sendable {
    struct Execution: Sendable {
        var id: PoolWorkerCore.ExecutionID
        var ticket: Ticket
        var context: TicketContext
    }

    struct State {
        var begun = false
        var commands: [PoolWorkerCore.Event] = []
        var waiting: [Execution] = []
        var helpers = 0
        var ended = false
        var error: (any Error)?
        var statistics = PoolWorkerStatistics()
        var busy = Duration.zero
    }

    let wakeup = Wakeup()
    private let monitor = Monitor(State())

    func begin() -> Bool {
        monitor.withLock { state in
            defer { state.begun = true }
            return !state.begun
        }
    }

    func post(_ command: PoolWorkerCore.Event) {
        monitor.withLock { state in
            state.commands.append(command)
            if state.commands.count == 1 { wakeup.signal() }
        }
    }

    private enum Next {
        case execute([Execution])
        case end
    }

    /// Waits for something to execute, and takes what there is, oldest first; nil at the end.
    func take(atMost limit: Int) -> [Execution]? {
        let next = monitor.wait { state -> Next? in
            if state.ended { return .end }
            guard !state.waiting.isEmpty else { return nil }
            let taken = Array(state.waiting.prefix(limit))
            state.waiting.removeFirst(taken.count)
            return .execute(taken)
        }
        guard case .execute(let executions)? = next else { return nil }
        return executions
    }

    func helperStarted() { monitor.withLock { $0.helpers += 1 } }
    func helperEnded() { monitor.update { $0.helpers -= 1 } }

    func waitForEnd() throws {
        _ = try monitor.wait { state -> Bool? in
            guard state.ended, state.helpers == 0 else { return nil }
            if let error = state.error { throw error }
            return true
        }
    }

    func wasBusy(_ time: Duration) { monitor.withLock { $0.busy += time } }

    var statistics: PoolWorkerStatistics {
        monitor.withLock { state in
            var statistics = state.statistics
            statistics.busy = state.busy
            return statistics
        }
    }

    // MARK: The thread that owns the sockets

    func takeCommands() -> [PoolWorkerCore.Event] {
        monitor.withLock { state in
            defer { state.commands = [] }
            return state.commands
        }
    }

    func hand(_ executions: [Execution]) { monitor.update { $0.waiting += executions } }

    func publish(_ statistics: PoolWorkerStatistics) { monitor.withLock { $0.statistics = statistics } }

    func finish(_ error: (any Error)?) {
        monitor.update { state in
            state.error = error
            state.ended = true
        }
    }
}

/// Feeds the core with what happens and does what it says.
///
/// `@unchecked Sendable`: made by one thread, then used by the one that it starts only.
private final class WorkerRunner: @unchecked Sendable {
    private var core: PoolWorkerCore
    private let sockets: [Socket]
    private let mailbox: WorkerMailbox
    private let maxFrames: Int
    private let onEvent: @Sendable (PoolEvent) -> Void
    private var contexts: [PoolWorkerCore.ExecutionID: TicketContext] = [:]
    private var isOver = false
    private var error: PoolError?
    /// Of this turn: handed over at its end, so that tickets that came together can be executed together.
    private var begun: [WorkerMailbox.Execution] = []

    init(
        core: PoolWorkerCore, sockets: [Socket], mailbox: WorkerMailbox, maxFrames: Int,
        onEvent: @escaping @Sendable (PoolEvent) -> Void
    ) {
        self.core = core
        self.sockets = sockets
        self.mailbox = mailbox
        self.maxFrames = maxFrames
        self.onEvent = onEvent
    }

    func run() {
        var reason: (any Error)?
        do {
            try handle(.tick)
            while !isOver { try turn() }
            reason = error
        } catch {
            reason = error
            for context in contexts.values { context.cancellation.cancel() }
        }
        for socket in sockets { socket.close() }
        mailbox.publish(core.statistics)
        mailbox.finish(reason)
    }

    private func turn() throws {
        // Without a deadline the end of an execution is all there is to wait for; it signals the wakeup.
        let wait = core.nextDeadline?.millisecondsLeft(at: .now()) ?? -1
        let (readable, _) = Poller.wait(sockets, wakeup: mailbox.wakeup, milliseconds: wait)
        for command in mailbox.takeCommands() { try handle(command) }
        for (index, socket) in sockets.enumerated() where readable[index] {
            // The bound keeps one consumer from starving the others.
            var received = 0
            while received < 100, let frames = try socket.receive(maxFrames: maxFrames) {
                received += 1
                try handle(.received(consumer: index, frames: frames))
            }
        }
        try handle(.tick)
        if !begun.isEmpty { mailbox.hand(begun) }
        begun = []
        mailbox.publish(core.statistics)
    }

    private func handle(_ event: PoolWorkerCore.Event) throws {
        if case .finished(let id, _) = event { contexts[id] = nil }
        for action in core.handle(event, now: .now()) {
            switch action {
            case .send(let consumer, let frames):
                if try sockets[consumer].send(frames) != .sent { try handle(.unsent(consumer: consumer)) }
            case .execute(let id, let ticket, let consumer, let epoch):
                let context = TicketContext(consumer: consumer, epoch: epoch)
                contexts[id] = context
                begun.append(WorkerMailbox.Execution(id: id, ticket: ticket, context: context))
            case .cancel(let id): contexts[id]?.cancellation.cancel()
            case .report(let event): onEvent(event)
            case .end(let reason):
                isOver = true
                error = reason
            }
        }
    }
}
