import Basics
import DequeModule
import Foundation

/// The consumer's side of a pool as a value: which worker gets which ticket, what a message means, when a worker
/// counts as lost. No sockets, no clock; `PoolConsumer` is the shell that has both.
///
/// The idea: a ticket stands in exactly one place. It waits (in its generation's line), a worker has it (`held`),
/// or its result is there and waits for its turn (`entries` with an outcome). A lost worker's tickets go back to
/// waiting; whichever result comes first is used, as all are byte-equal. Messages between consumer and worker are
/// numbered, so a lost one shows as a gap and the worker then joins anew: nothing is waited for in vain.
public struct PoolConsumerCore: Sendable {
    public enum Event: Sendable {
        /// - Precondition: ids ascend within an epoch.
        case issue(IssuedTicket)
        case received(from: PeerID, frames: [SharedBytes])
        /// The transport says that no such peer is connected.
        case unreachable(PeerID)
        /// Time has passed; wanted at `nextDeadline`, welcome at any moment at which all received messages were handled.
        case tick
        /// - Precondition: epochs ascend.
        case reset(Epoch)
        /// The worker of this name is being stopped or cut off on purpose: its loss blames no ticket.
        case expectLoss(String)
        /// The worker of this name is known to be dead.
        case reportLoss(String)
        case drain(String)
        case close
    }

    public enum Action: Sendable {
        case send(to: PeerID, frames: [SharedBytes])
        /// The next result in ticket order.
        case deliver(TicketResult)
        /// The next ticket in order can have no result; nothing is delivered after this until a reset.
        case fail(PoolFailure)
        case report(PoolEvent)
    }

    /// A ticket as it travels: its frames beside the header, built once.
    public struct IssuedTicket: Sendable {
        public let id: TicketID
        let generation: Generation
        let body: SharedBytes
        let tensors: [WireTensor]
        let declared: [Header.Tensor]

        /// - Throws: `PoolError.ticketTooLarge` where a worker would refuse it.
        public init(_ ticket: Ticket, limits: MessageLimits) throws {
            id = ticket.id
            generation = ticket.generation
            do {
                try limits.check(body: ticket.body.count, tensors: ticket.tensors)
            } catch {
                throw PoolError.ticketTooLarge(ticket.id, "\(error)")
            }
            body = SharedBytes(ticket.body)
            tensors = ticket.tensors
            declared = ticket.tensors.map(Header.Tensor.init)
        }
    }

    enum Outcome {
        case result(TicketResult)
        case failure(PoolFailure)
    }

    struct Blame {
        var worker: String
        var incarnation: Incarnation
        var isolated: Bool
    }

    struct Entry {
        var ticket: IssuedTicket
        var outcome: Outcome?
        /// Every peer that was given the ticket: nobody else may answer it.
        var holders: [PeerID] = []
        /// Workers that died executing it, as far as we know.
        var blames: [Blame] = []
    }

    struct Worker {
        let peer: PeerID
        let name: String
        let incarnation: Incarnation
        /// Whose tickets it executes.
        let generation: Generation
        var credit: Int
        var session: Int
        var lastHeard: Instant
        /// The number that its next message must have.
        var nextIncoming: UInt64
        /// The number of the last message to it.
        var outgoing: UInt64 = 0
        /// Tickets it was given and has not answered.
        var held: [TicketID] = []
        /// Tickets it said it executes.
        var executing: [TicketID] = []
        /// The ticket that it has alone.
        var isolated: TicketID?
        /// The ticket for which it gets nothing new until it is idle.
        var reservedFor: TicketID?
        var draining = false
        var lossExpected = false

        var isIdle: Bool { held.isEmpty && executing.isEmpty }
        var isOpen: Bool { !draining && isolated == nil && reservedFor == nil }
    }

    /// The tickets of one generation that wait for a worker of it. A generation without workers holds up no other.
    struct Line {
        let generation: Generation
        /// Tickets no worker ever had, ascending.
        var fresh: Deque<TicketID> = []
        /// Tickets that came back, ascending; all older than `fresh`.
        var again: [TicketID] = []
        /// Tickets that came back because a worker died of them, ascending; each is executed alone.
        var suspects: [TicketID] = []

        var count: Int { fresh.count + again.count + suspects.count }
    }

    let sender: Sender
    let settings: PoolSettings
    public internal(set) var epoch: Epoch

    var entries: [TicketID: Entry] = [:]
    /// Tickets not yet handed on, ascending.
    var order: Deque<TicketID> = []
    /// What waits, by generation, ascending: one, or two around a swap's step.
    var lines: [Line] = []
    var highestIssued: TicketID?
    var failure: PoolFailure?

    var workers = WorkerTable()
    /// Keys of `workers` in the order in which they joined: the order of all that is done to every worker.
    var roster: [PeerID] = []
    /// Names whose loss is expected but that are not here, or the tickets that their latest loss blamed.
    var expectedLosses: Set<String> = []
    var latestLosses: [String: (incarnation: Incarnation, blamed: [TicketID])] = [:]
    /// Incarnations that a newer one of the same name replaced; they may not come back.
    var superseded: Deque<Incarnation> = []
    /// Incarnations that were asked to leave: asked again should they join anew.
    var drained: Set<Incarnation> = []
    var guardian: FrameGuard
    /// What the message in hand is being checked for.
    var check = FrameCheck.frames
    var refusals: ReportLimit

    var nextHeartbeat: Instant
    /// No worker counts as silent before; looked at anew then, not with every message.
    var silenceCheck = Instant(nanoseconds: .max)
    var counts = PoolStatistics()
    var actions: [Action] = []

    public init(as sender: Sender, epoch: Epoch, settings: PoolSettings, now: Instant) {
        self.sender = sender
        self.epoch = epoch
        self.settings = settings
        guardian = FrameGuard(limit: settings.badFrameLimit, reports: settings.badFrameReports)
        refusals = ReportLimit(interval: settings.badFrameReports)
        nextHeartbeat = now + settings.heartbeat
    }

    public mutating func handle(_ event: Event, now: Instant) -> [Action] {
        actions.removeAll(keepingCapacity: true)
        switch event {
        case .issue(let ticket): issue(ticket)
        case .received(let peer, let frames): receive(frames, from: peer, now: now)
        case .unreachable(let peer): lose(peer, .unreachable)
        case .tick: tick(now)
        case .reset(let epoch): reset(epoch)
        case .expectLoss(let name): expectLoss(name)
        case .reportLoss(let name): roster.filter { workers[$0]?.name == name }.forEach { lose($0, .reported) }
        case .drain(let name): drain(name)
        case .close: sendToAll(.bye)
        }
        dispatch()
        deliver()
        return actions
    }

    /// When `tick` is due.
    public var nextDeadline: Instant { min(nextHeartbeat, silenceCheck) }

    public var statistics: PoolStatistics {
        var now = counts
        now.epoch = epoch
        now.workers = roster.map { peer in
            let worker = workers[peer]!
            return PoolStatistics.Worker(
                name: worker.name, credit: worker.credit, held: worker.held.count, executing: worker.executing,
                draining: worker.draining, generation: worker.generation)
        }
        now.queued = lines.reduce(0) { $0 + $1.count }
        now.inFlight = now.workers.reduce(0) { $0 + $1.held }
        now.frames = guardian.counts
        return now
    }

    // MARK: Tickets

    private mutating func issue(_ ticket: IssuedTicket) {
        precondition(highestIssued.map { $0 < ticket.id } ?? true, "ticket ids ascend")
        highestIssued = ticket.id
        entries[ticket.id] = Entry(ticket: ticket)
        order.append(ticket.id)
        lines[line(of: ticket.generation)].fresh.append(ticket.id)
        counts.issued += 1
    }

    private mutating func reset(_ newer: Epoch) {
        precondition(newer > epoch, "epochs ascend")
        epoch = newer
        entries.removeAll(keepingCapacity: true)
        order.removeAll(keepingCapacity: true)
        lines.removeAll(keepingCapacity: true)
        latestLosses.removeAll()
        highestIssued = nil
        failure = nil
        counts.waiting = 0
        for peer in roster {
            workers[peer]!.held.removeAll(keepingCapacity: true)
            workers[peer]!.executing.removeAll(keepingCapacity: true)
            workers[peer]!.isolated = nil
            workers[peer]!.reservedFor = nil
        }
        sendToAll(.reset)
    }

    /// Hands on what is next in order, as far as it is there.
    private mutating func deliver() {
        guard failure == nil else { return }
        while let id = order.first, let outcome = entries[id]!.outcome {
            switch outcome {
            case .result(let result):
                order.removeFirst()
                entries[id] = nil
                counts.delivered += 1
                counts.waiting -= 1
                actions.append(.deliver(result))
            case .failure(let reason):
                failure = reason
                return actions.append(.fail(reason))
            }
        }
    }

    private mutating func tick(_ now: Instant) {
        if now >= silenceCheck {
            for peer in roster where now >= workers[peer]!.lastHeard + settings.silence { lose(peer, .silent) }
            silenceCheck = roster.reduce(Instant(nanoseconds: .max)) {
                min($0, workers[$1]!.lastHeard + settings.silence)
            }
        }
        if now >= nextHeartbeat {
            nextHeartbeat = now + settings.heartbeat
            sendToAll(.heartbeat)
        }
    }

    // MARK: Sending

    /// Sends a numbered message to a worker that has joined.
    mutating func send(
        _ type: PoolMessageType, to peer: PeerID, body: SharedBytes = PoolConsumerCore.emptyBody
    ) {
        workers[peer]!.outgoing += 1
        actions.append(.send(to: peer, frames: [header(type, sequence: workers[peer]!.outgoing).frame(), body]))
    }

    /// Sends a message outside any session (number 0) to whoever has no session here.
    mutating func sendUnnumbered(_ type: PoolMessageType, to peer: PeerID, body: some Encodable) {
        actions.append(.send(to: peer, frames: [header(type, sequence: 0).frame(), Self.json(body)]))
    }

    mutating func send(_ id: TicketID, to peer: PeerID) {
        workers[peer]!.outgoing += 1
        let ticket = entries[id]!.ticket
        var header = header(.ticket, sequence: workers[peer]!.outgoing)
        header.ticket = id
        header.tensors = ticket.declared
        actions.append(.send(to: peer, frames: [header.frame(), ticket.body] + ticket.tensors.map(\.bytes)))
    }

    private mutating func sendToAll(_ type: PoolMessageType) {
        for peer in roster { send(type, to: peer) }
    }

    func header(_ type: PoolMessageType, sequence: UInt64) -> Header {
        Header(
            version: Header.currentVersion, type: type.rawValue, run: sender.run, sender: sender.name,
            incarnation: sender.incarnation, epoch: epoch, sequence: sequence, tensors: [], ticket: nil)
    }

    static let emptyBody = SharedBytes(Data("{}".utf8))

    /// Bodies of the pool's own messages are plain values, which always encode.
    static func json(_ body: some Encodable) -> SharedBytes { SharedBytes((try? body.wireJSON()) ?? Data("{}".utf8)) }
}
