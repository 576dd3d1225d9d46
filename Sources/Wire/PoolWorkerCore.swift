import Basics
import Foundation

/// The worker's side of a pool as a value: whom to tell what, which ticket to execute next. No sockets, no clock, no
/// threads; `PoolWorker` is the shell that has them.
///
/// A worker serves one or more consumers; each is a `Link` of its own that is joined and left independently. Tickets
/// of a consumer are executed oldest first, consumers take turns.
public struct PoolWorkerCore: Sendable {
    /// Names one execution, for its end and for its cancellation.
    public struct ExecutionID: Hashable, Sendable {
        public let rawValue: UInt64
    }

    public enum Finish: Sendable {
        case output(TicketOutput)
        case failed(String)
    }

    public enum Event: Sendable {
        case received(consumer: Int, frames: [SharedBytes])
        /// Time has passed; wanted at `nextDeadline`.
        case tick
        /// What was to be sent was not, as no connection is there.
        case unsent(consumer: Int)
        case finished(ExecutionID, Finish)
        /// Leave all consumers after what is being executed; the rest goes back to them.
        case drain
        /// Leave all consumers now.
        case stop
    }

    public enum Action: Sendable {
        case send(consumer: Int, frames: [SharedBytes])
        /// At most `executors` at a time.
        case execute(ExecutionID, Ticket, consumer: Int, epoch: Epoch)
        /// The execution's result is wanted no more.
        case cancel(ExecutionID)
        case report(PoolEvent)
        /// All consumers are left, or there is no use in going on. Nothing follows.
        case end(PoolError?)
    }

    enum LinkState { case joining, joined, left }

    /// What this worker knows of one consumer.
    struct Link {
        var state = LinkState.joining
        var name: String
        var incarnation: Incarnation?
        var epoch = Epoch(0)
        var session = 1
        var heartbeat: Duration
        var silence: Duration
        /// The number of the last message to it.
        var outgoing: UInt64 = 0
        /// The number that its next message must have.
        var nextIncoming: UInt64 = 1
        var lastHeard: Instant
        var nextHeartbeat: Instant
        var draining = false
        var drainSaid = false
        /// Tickets that wait, ascending.
        var queue: [Ticket] = []
    }

    struct Execution {
        var id: ExecutionID
        var consumer: Int
        var epoch: Epoch
        var ticket: TicketID
        var cancelled = false
    }

    let sender: Sender
    let settings: PoolSettings
    let generation: Generation
    let credit: Int
    let executors: Int
    var links: [Link]
    var executions: [Execution] = []
    var ended = false
    private var nextExecution: UInt64 = 0
    private var turn = 0
    var guardian: FrameGuard
    public internal(set) var statistics = PoolWorkerStatistics()
    var actions: [Action] = []

    /// - Parameters:
    ///   - consumers: how many, and what to call them before they say their names.
    ///   - credit: how many tickets to hold per consumer, the executing ones included; at least 1.
    ///   - executors: how many tickets can be executed at the same time.
    ///   - generation: whose tickets it executes.
    public init(
        as sender: Sender, consumers: [String], generation: Generation = .first, credit: Int, executors: Int = 1,
        settings: PoolSettings, now: Instant
    ) {
        self.sender = sender
        self.settings = settings
        self.generation = generation
        self.credit = max(1, credit)
        self.executors = max(1, executors)
        guardian = FrameGuard(limit: settings.badFrameLimit, reports: settings.badFrameReports)
        links = consumers.map {
            Link(
                name: $0, heartbeat: settings.heartbeat, silence: settings.silence, lastHeard: now, nextHeartbeat: now)
        }
    }

    public mutating func handle(_ event: Event, now: Instant) -> [Action] {
        actions.removeAll(keepingCapacity: true)
        guard !ended else { return [] }
        switch event {
        case .received(let consumer, let frames): receive(frames, from: consumer, now: now)
        case .tick: for index in links.indices { tick(index, now) }
        case .unsent(let index): tryAgainSoon(index, now)
        case .finished(let id, let finish): finished(id, finish)
        case .drain: for index in links.indices { links[index].draining = true }
        case .stop:
            for execution in executions { cancel(execution.id) }
            for index in links.indices { leave(index) }
        }
        guard !ended else { return actions }
        for index in links.indices where links[index].draining { drainFurther(index) }
        if links.allSatisfy({ $0.state == .left }) {
            end(nil)
        } else {
            startExecutions()
        }
        return actions
    }

    /// When `tick` is due; nil once all is over.
    public var nextDeadline: Instant? {
        guard !ended else { return nil }
        return links.lazy.filter { $0.state != .left }
            .map { $0.state == .joined ? min($0.nextHeartbeat, $0.lastHeard + $0.silence) : $0.nextHeartbeat }.min()
    }

    // MARK: Executing

    private mutating func startExecutions() {
        while executions.count < executors {
            guard let offset = links.indices.first(where: { !links[(turn + $0) % links.count].queue.isEmpty }) else {
                return
            }
            let index = (turn + offset) % links.count
            turn = index + 1
            let ticket = links[index].queue.removeFirst()
            nextExecution += 1
            let execution = Execution(
                id: ExecutionID(rawValue: nextExecution), consumer: index, epoch: links[index].epoch, ticket: ticket.id)
            executions.append(execution)
            // START goes first: should executing the ticket kill this process, the consumer knows which it was.
            send(.start, to: index, ticket: ticket.id)
            actions.append(.execute(execution.id, ticket, consumer: index, epoch: execution.epoch))
        }
    }

    private mutating func finished(_ id: ExecutionID, _ finish: Finish) {
        guard let place = executions.firstIndex(where: { $0.id == id }) else { return }
        let execution = executions.remove(at: place)
        guard !execution.cancelled, links[execution.consumer].state != .left else {
            statistics.abandoned += 1
            return
        }
        switch finish {
        case .output(let output):
            do {
                try settings.limits.check(body: output.body.count, tensors: output.tensors)
                statistics.results += 1
                send(
                    .result, to: execution.consumer, ticket: execution.ticket, body: SharedBytes(output.body),
                    tensors: output.tensors)
            } catch {
                fail(execution, "its result cannot be sent: \(error)")
            }
        case .failed(let reason): fail(execution, reason)
        }
    }

    private mutating func fail(_ execution: Execution, _ reason: String) {
        statistics.failures += 1
        send(
            .failed, to: execution.consumer, ticket: execution.ticket,
            body: PoolConsumerCore.json(PoolBody.Failed(error: reason.oneLine)))
    }

    mutating func cancel(_ id: ExecutionID) {
        guard let place = executions.firstIndex(where: { $0.id == id }), !executions[place].cancelled else { return }
        executions[place].cancelled = true
        actions.append(.cancel(id))
    }

    /// What was begun for a consumer whose place another process has taken.
    mutating func cancelExecutions(for index: Int) {
        for execution in executions where execution.consumer == index { cancel(execution.id) }
    }

    /// Tickets of a consumer's present epoch that are being executed, ascending.
    func executing(for index: Int) -> [TicketID] {
        executions.filter { $0.consumer == index && !$0.cancelled }.map(\.ticket).sorted()
    }

    // MARK: Joining and leaving

    private mutating func tick(_ index: Int, _ now: Instant) {
        switch links[index].state {
        case .left: return
        case .joining:
            guard now >= links[index].nextHeartbeat else { return }
            sendReady(index, now)
        case .joined:
            if now >= links[index].lastHeard + links[index].silence {
                rejoin(index, "it has been silent for \(links[index].silence.text)", now)
            } else if now >= links[index].nextHeartbeat {
                links[index].nextHeartbeat = now + links[index].heartbeat
                send(
                    .heartbeat, to: index,
                    body: PoolConsumerCore.json(PoolBody.Heartbeat(executing: executing(for: index))))
            }
        }
    }

    private mutating func sendReady(_ index: Int, _ now: Instant) {
        links[index].nextHeartbeat = now + links[index].heartbeat
        guard !links[index].draining else { return }
        let ready = PoolBody.Ready(
            credit: credit, executing: executing(for: index), generation: generation == .first ? nil : generation,
            session: links[index].session)
        send(.ready, to: index, body: PoolConsumerCore.json(ready))
    }

    /// A connection takes a few milliseconds to be made, so the first `ready` mostly finds none: until one is there it
    /// is tried more often than it would be repeated. What else is lost shows as a gap and is asked for again.
    private mutating func tryAgainSoon(_ index: Int, _ now: Instant) {
        guard links[index].state == .joining else { return }
        links[index].nextHeartbeat = min(links[index].nextHeartbeat, now + .milliseconds(50))
    }

    /// Starts a new session: what waits here is the consumer's again; what is being executed goes on, as its result
    /// may still be the first.
    mutating func rejoin(_ index: Int, _ reason: String, _ now: Instant) {
        if links[index].state == .joined {
            actions.append(.report(.rejoining(consumer: links[index].name, reason: reason)))
        }
        statistics.sessions += 1
        links[index].state = .joining
        links[index].session += 1
        links[index].queue.removeAll()
        sendReady(index, now)
    }

    /// What belongs to an epoch before `newer` is dropped.
    mutating func advance(_ index: Int, to newer: Epoch) {
        guard newer > links[index].epoch else { return }
        links[index].epoch = newer
        links[index].queue.removeAll()
        for execution in executions where execution.consumer == index && execution.epoch < newer {
            cancel(execution.id)
        }
        actions.append(.report(.epochChanged(consumer: links[index].name, epoch: newer)))
    }

    private mutating func drainFurther(_ index: Int) {
        links[index].queue.removeAll()
        guard executions.contains(where: { $0.consumer == index && !$0.cancelled }) else { return leave(index) }
        if links[index].state == .joined, !links[index].drainSaid {
            links[index].drainSaid = true
            send(.drain, to: index)
        }
    }

    private mutating func leave(_ index: Int) {
        guard links[index].state != .left else { return }
        send(.bye, to: index)
        links[index].state = .left
        links[index].queue.removeAll()
    }

    mutating func end(_ error: PoolError?) {
        guard !ended else { return }
        for execution in executions { cancel(execution.id) }
        for index in links.indices { leave(index) }
        ended = true
        actions.append(.end(error))
    }

    // MARK: Sending

    mutating func send(
        _ type: PoolMessageType, to index: Int, ticket: TicketID? = nil, body: SharedBytes = PoolConsumerCore.emptyBody,
        tensors: [WireTensor] = []
    ) {
        links[index].outgoing += 1
        let header = Header(
            version: Header.currentVersion, type: type.rawValue, run: sender.run, sender: sender.name,
            incarnation: sender.incarnation, epoch: links[index].epoch, sequence: links[index].outgoing,
            tensors: tensors.map(Header.Tensor.init), ticket: ticket)
        actions.append(.send(consumer: index, frames: [header.frame(), body] + tensors.map(\.bytes)))
    }
}

/// What a worker did since its start.
public struct PoolWorkerStatistics: Sendable, Equatable {
    public var results = 0
    public var failures = 0
    /// Executions whose result nobody wanted any more.
    public var abandoned = 0
    /// How often a consumer had to be joined anew.
    public var sessions = 0
    public var stale = 0
    public var duplicates = 0
    public var badFrames = 0
    /// Time spent executing, all threads together.
    public var busy = Duration.zero

    public init() {}
}
