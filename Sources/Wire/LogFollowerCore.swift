import Basics
import DequeModule
import Foundation

/// The follower's side of the log, without sockets: events in, actions out.
///
/// The replica is touched only while somebody asks to advance, and never beyond the sequence asked for. Between two
/// such calls only records are fetched ahead, a bounded number.
struct LogFollowerCore {
    struct Goal: Equatable, Sendable {
        var epoch: Epoch
        var sequence: SequenceNumber
    }

    enum Event {
        case advance(Goal)
        /// Take a snapshot and be as far as the bank is, less `lag` records: a state that the next ticket may name.
        case catchUp(Epoch, lag: UInt64)
        /// Nobody waits for the goal any longer.
        case cancel
        case received(Message)
        case malformed(String)
        /// The replica threw when the last action was carried out.
        case replicaFailed(String)
        case tick
    }

    enum Action {
        case send(LogMessageType, Data)
        case beginRestore
        case restore(LogPayload)
        case endRestore(SequenceNumber)
        case apply(SequenceNumber, LogPayload)
        case reached(Goal)
        case failed(LogError)
        case note(String)
    }

    private enum Awaited: Equatable {
        case snapshot(newest: SequenceNumber)
        /// A pong that says where the bank is, to set the goal by.
        case position
        case part(Int)
        case records(remaining: Int)
    }

    private struct Transfer {
        var snapshot: LogSnapshot
        var received = 0
        var digest = SHA256()
    }

    private struct Record {
        var sequence: SequenceNumber
        var payload: LogPayload
    }

    /// The newest epoch heard of or asked for; what is held is of this one.
    private(set) var epoch = Epoch(0)
    private(set) var badFrames = 0
    private(set) var goal: Goal?
    /// Where the replica is; nil while it has no state.
    private(set) var position: SequenceNumber?
    /// The hash at the end of the buffer, or of the replica where that is empty.
    private var hash = LogHash.empty
    /// Fetched and not applied: position + 1, position + 2, …
    private var buffer: Deque<Record> = []
    private var transfer: Transfer?
    /// While the goal is to catch up and the bank's position is not known yet.
    private var catchingUp: (lag: UInt64, goal: Goal)?
    private var awaited: Awaited?
    private var request: UInt64 = 0
    private var bank: Incarnation?
    private var formerBanks: Deque<Incarnation> = []
    private var pings: UInt64 = 0
    private var requestBeforePing: UInt64 = 0
    private var lastSign = Duration.zero
    /// What the event in hand asks for so far; none between events.
    private var actions: [Action] = []
    private let settings: LogSettings

    init(settings: LogSettings) { self.settings = settings }

    /// When `tick` is next due; nil while nothing is awaited.
    var nextDeadline: Duration? { awaited == nil ? nil : lastSign + settings.heartbeat }

    /// How many records are held unapplied.
    var buffered: Int { buffer.count }

    mutating func handle(_ event: Event, now: Duration) -> [Action] {
        defer { actions = [] }
        if awaited == nil { lastSign = now }
        switch event {
        case .advance(let goal):
            catchingUp = nil
            advance(goal)
        case .catchUp(let epoch, let lag):
            let goal = Goal(epoch: epoch, sequence: Self.anySequence)
            catchingUp = (lag, goal)
            // Records asked for may be long in coming, and are asked for again.
            if case .records = awaited { awaited = nil }
            advance(goal)
        case .cancel:
            goal = nil
            catchingUp = nil
        case .received(let message):
            do {
                try receive(message, now: now)
            } catch {
                drop("\(error)")
            }
        case .malformed(let why):
            drop(why)
        case .replicaFailed(let why):
            // The goal may already count as reached: the actions behind the failed one were not carried out.
            reset()
            goal = nil
            catchingUp = nil
            actions.append(.failed(.replica(why)))
        case .tick:
            guard awaited != nil, now >= lastSign + settings.heartbeat else { break }
            lastSign = now
            pings += 1
            requestBeforePing = request
            send(.ping, LogPing(ping: pings))
        }
        return actions
    }

    private mutating func drop(_ why: String) {
        badFrames += 1
        actions.append(.note("dropped a bad frame of the bank: \(why)"))
    }

    private mutating func fail(_ error: LogError) {
        guard goal != nil else { return }
        goal = nil
        catchingUp = nil
        actions.append(.failed(error))
    }

    /// A snapshot request that takes whatever the bank has; below 2^63, which every language's integers hold.
    private static let anySequence = SequenceNumber(UInt64(Int64.max))

    /// Forgets the replica's state and all that was under way towards it.
    private mutating func reset() {
        position = nil
        transfer = nil
        buffer = []
        hash = .empty
        awaited = nil
    }

    // MARK: Towards the goal

    private mutating func advance(_ goal: Goal) {
        self.goal = goal
        guard goal.epoch >= epoch else { return fail(.staleEpoch(goal.epoch, current: epoch)) }
        if goal.epoch > epoch {
            epoch = goal.epoch
            reset()
        }
        // Back in time: only a snapshot leads there.
        if let position, position > goal.sequence { reset() }
        if let transfer, transfer.snapshot.sequence > goal.sequence { reset() }
        if case .snapshot(let newest) = awaited, newest > goal.sequence { awaited = nil }
        step()
    }

    /// Applies what may be applied and asks for what is missing.
    private mutating func step() {
        if catchingUp != nil, position != nil { return askPosition() }
        if let goal, goal.epoch == epoch {
            while let first = buffer.first, first.sequence <= goal.sequence {
                buffer.removeFirst()
                actions.append(.apply(first.sequence, first.payload))
                position = first.sequence
            }
            if position == goal.sequence {
                self.goal = nil
                actions.append(.reached(goal))
            }
        }
        guard awaited == nil else { return }
        if let transfer {
            // Parts go straight into the replica, so they wait for somebody who asks.
            if goal != nil { askPart(transfer) }
        } else if let position {
            let room = settings.prefetch - buffer.count
            guard room > 0 else { return }
            awaited = .records(remaining: room)
            request += 1
            let from = SequenceNumber(position.rawValue + UInt64(buffer.count) + 1)
            send(.records, LogRecords(request: request, from: from, count: room))
        } else if let goal {
            awaited = .snapshot(newest: goal.sequence)
            request += 1
            send(.follow, LogFollow(request: request, newest: goal.sequence))
        }
    }

    /// At the snapshot: where to from here the bank's position decides, which every pong carries. A lost one is asked
    /// for again by `tick`.
    private mutating func askPosition() {
        guard awaited == nil else { return }
        awaited = .position
        pings += 1
        requestBeforePing = request
        send(.ping, LogPing(ping: pings))
    }

    private mutating func askPart(_ transfer: Transfer) {
        awaited = .part(transfer.received)
        request += 1
        send(.part, LogPart(request: request, sequence: transfer.snapshot.sequence, index: transfer.received))
    }

    private mutating func send(_ type: LogMessageType, _ body: some Encodable) {
        // Encoding integers and strings cannot fail.
        guard let data = try? body.wireJSON() else { return }
        actions.append(.send(type, data))
    }

    // MARK: Receiving

    private mutating func receive(_ message: Message, now: Duration) throws {
        let type = try message.logType()
        let sender = message.header.incarnation
        guard !formerBanks.contains(sender) else { return }
        if sender != bank {
            if let bank {
                actions.append(.note("the bank was restarted; following it anew"))
                formerBanks.append(bank)
                if formerBanks.count > 16 { formerBanks.removeFirst() }
                reset()
            }
            bank = sender
        }
        guard message.header.epoch >= epoch else {
            // A bank that has not come to this epoch yet keeps the question; it does answer pings.
            if type == .pong { try pong(message, now: now) }
            return step()
        }
        if message.header.epoch > epoch {
            epoch = message.header.epoch
            reset()
            if let goal, goal.epoch < epoch { fail(.staleEpoch(goal.epoch, current: epoch)) }
        }
        lastSign = now
        switch type {
        case .snapshot: try snapshot(message)
        case .snapshotPart: try part(message)
        case .record: try record(message)
        case .pong: try pong(message, now: now)
        case .refused: try refused(message)
        case .open, .append, .checkpoint, .retain, .follow, .part, .records, .ping, .opened, .acknowledged,
            .checkpointed,
            .retained:
            throw WireError.malformed("'\(type.rawValue)' is nothing that a follower receives")
        }
        step()
    }

    private mutating func snapshot(_ message: Message) throws {
        let body = try message.decodeBody(LogSnapshot.self)
        guard case .snapshot(let newest) = awaited, body.request == request else { return }
        guard body.sequence <= newest, body.hash.isWellFormed, body.parts >= 0, body.bytes >= 0 else {
            throw WireError.malformed("a snapshot at \(body.sequence) with \(body.parts) parts")
        }
        awaited = nil
        // It comes too late for a goal that was given up, and parts are only taken towards one.
        guard goal != nil else { return }
        transfer = Transfer(snapshot: body)
        actions.append(.beginRestore)
        finishTransfer()
    }

    private mutating func part(_ message: Message) throws {
        let body = try message.decodeBody(LogSnapshotPart.self)
        guard case .part(let index) = awaited, body.request == request, body.index == index,
            var transfer, transfer.snapshot.sequence == body.sequence
        else { return }
        awaited = nil
        // Given up meanwhile: it is asked for again by the next who wants to advance.
        guard goal != nil else { return }
        let payload = message.logPayload(body.payload)
        for piece in try payload.encodedPieces() { transfer.digest.update(piece) }
        transfer.received += 1
        self.transfer = transfer
        actions.append(.restore(payload))
        finishTransfer()
    }

    private mutating func finishTransfer() {
        guard let transfer, transfer.received == transfer.snapshot.parts else { return }
        guard transfer.digest.hex() == transfer.snapshot.digest else {
            drop("the snapshot at \(transfer.snapshot.sequence) does not match its SHA-256")
            return reset()
        }
        self.transfer = nil
        position = transfer.snapshot.sequence
        hash = transfer.snapshot.hash
        actions.append(.endRestore(transfer.snapshot.sequence))
    }

    private mutating func record(_ message: Message) throws {
        let body = try message.decodeBody(LogRecordBody.self)
        guard case .records(let remaining) = awaited, body.request == request, let position,
            body.sequence.rawValue == position.rawValue + UInt64(buffer.count) + 1
        else { return }
        let payload = message.logPayload(body.payload)
        let expected = hash.extended(by: try payload.encodedPieces())
        guard expected == body.hash else {
            // Either the bytes or the history they belong to are others than ours.
            drop("record \(body.sequence) does not continue what is held; starting from a snapshot")
            return reset()
        }
        hash = expected
        buffer.append(Record(sequence: body.sequence, payload: payload))
        awaited = remaining > 1 ? .records(remaining: remaining - 1) : nil
    }

    private mutating func pong(_ message: Message, now: Duration) throws {
        let body = try message.decodeBody(LogPong.self)
        guard body.ping == pings, awaited != nil else { return }
        lastSign = now
        if awaited == .position, let catchingUp, let position {
            awaited = nil
            // A bank that has not come to this epoch yet may be ahead of where the epoch begins.
            guard message.header.epoch == epoch else { return }
            self.catchingUp = nil
            let bank = body.sequence.rawValue
            let wanted = max(position.rawValue, bank > catchingUp.lag ? bank - catchingUp.lag : 0)
            goal = Goal(epoch: catchingUp.goal.epoch, sequence: SequenceNumber(wanted))
            return
        }
        // Only what was asked before the ping can be known to be lost by its answer.
        guard request == requestBeforePing else { return }
        var isWaiting = body.request == request && body.parked
        if case .records = awaited, let position {
            isWaiting = isWaiting && body.next?.rawValue == position.rawValue + UInt64(buffer.count) + 1
        }
        // The caller's next step asks again.
        if !isWaiting { awaited = nil }
    }

    private mutating func refused(_ message: Message) throws {
        let body = try message.decodeBody(LogRefusal.self)
        guard awaited != nil, body.request == request else { return }
        switch (body.code, awaited) {
        case (.gone, .snapshot):
            awaited = nil
            fail(.refused(body.code, body.message))
        case (.gone, _), (.epoch, _):
            // What it follows is no longer there; start over.
            reset()
        default:
            throw WireError.malformed("refusal '\(body.code.rawValue)' is nothing that a follower gets")
        }
    }
}
