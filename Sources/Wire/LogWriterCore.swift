import Basics
import DequeModule
import Foundation

/// A checkpoint's part of the log, as the bank wrote it.
public struct LogCheckpoint: Sendable, Equatable {
    /// The file's name in a checkpoint folder.
    public static let fileName = "bank.snapshot"

    public var sequence: SequenceNumber
    public var hash: LogHash
    /// Name within the folder that was asked for.
    public var file: String
    public var bytes: Int
}

/// The writer's side of the log, without sockets: events in, actions out.
///
/// Everything unacknowledged is kept and sent again when there is evidence that it was lost. Evidence is the answer to
/// a ping: on one connection it comes after the answers to all that was sent before.
struct LogWriterCore {
    enum Control: Equatable {
        case checkpoint(SequenceNumber, folder: String)
        case retain(SequenceNumber)
    }

    enum Event {
        case open(Epoch, SequenceNumber)
        case append(SequenceNumber, LogPayload)
        /// `token` names the outcome for the caller.
        case control(Control, token: UInt64)
        case received(Message)
        case malformed(String)
        /// Nothing happened; time has passed.
        case tick
    }

    enum Action {
        case send(LogMessageType, Data, [WireTensor])
        case opened(SequenceNumber, LogHash)
        case acknowledged(SequenceNumber, LogHash)
        /// The answer to a control; nil for `retain`.
        case finished(token: UInt64, LogCheckpoint?)
        case controlRefused(token: UInt64, LogError)
        /// Nothing goes on until the next `open`.
        case failed(LogError)
        case note(String)
    }

    private enum Phase: Equatable {
        case idle
        case opening(request: UInt64)
        case open
    }

    private struct Unacknowledged {
        var sequence: SequenceNumber
        var payload: LogPayload
    }

    private(set) var epoch = Epoch(0)
    private(set) var badFrames = 0
    private var phase = Phase.idle
    /// Everything up to here is durable.
    private var acknowledged = SequenceNumber(0)
    private var waiting: Deque<Unacknowledged> = []
    private var controls: Deque<(control: Control, token: UInt64, request: UInt64?)> = []
    private var bank: Incarnation?
    private var requests: UInt64 = 0
    private var pings: UInt64 = 0
    /// The newest record sent when the last ping went out.
    private var sentBeforePing = SequenceNumber(0)
    private var sentThrough = SequenceNumber(0)
    private var lastSign = Duration.zero
    /// What the event in hand asks for so far; none between events.
    private var actions: [Action] = []
    private let settings: LogSettings
    private let rank: Int
    private let ranks: Int

    init(settings: LogSettings, rank: Int = 0, ranks: Int = 1) {
        self.settings = settings
        self.rank = rank
        self.ranks = ranks
    }

    /// When `tick` is next due; nil while nothing is awaited.
    var nextDeadline: Duration? { isAwaiting ? lastSign + settings.heartbeat : nil }

    private var isAwaiting: Bool {
        switch phase {
        case .idle: false
        case .opening: true
        case .open: !waiting.isEmpty || !controls.isEmpty
        }
    }

    mutating func handle(_ event: Event, now: Duration) -> [Action] {
        defer { actions = [] }
        if !isAwaiting { lastSign = now }
        switch event {
        case .open(let epoch, let sequence):
            self.epoch = epoch
            acknowledged = sequence
            waiting = []
            controls = []
            bank = nil
            sendOpen()
        case .append(let sequence, let payload):
            waiting.append(Unacknowledged(sequence: sequence, payload: payload))
            if phase == .open { send(waiting[waiting.count - 1]) }
        case .control(let control, let token):
            controls.append((control, token, nil))
            sendControl()
        case .received(let message):
            do {
                try receive(message, now: now)
            } catch {
                drop("\(error)")
            }
        case .malformed(let why):
            drop(why)
        case .tick:
            guard isAwaiting, now >= lastSign + settings.heartbeat else { break }
            lastSign = now
            pings += 1
            sentBeforePing = sentThrough
            send(.ping, LogPing(ping: pings))
        }
        return actions
    }

    private mutating func drop(_ why: String) {
        badFrames += 1
        actions.append(.note("dropped a bad frame of the bank: \(why)"))
    }

    // MARK: Sending

    private mutating func send(_ type: LogMessageType, _ body: some Encodable) {
        // Encoding integers and strings cannot fail.
        guard let data = try? body.wireJSON() else { return }
        actions.append(.send(type, data, []))
    }

    private mutating func send(_ record: Unacknowledged) {
        let body = LogAppend(sequence: record.sequence, payload: String(decoding: record.payload.body, as: UTF8.self))
        guard let data = try? body.wireJSON() else { return }
        sentThrough = max(sentThrough, record.sequence)
        actions.append(.send(.append, data, record.payload.tensors))
    }

    private mutating func sendOpen() {
        requests += 1
        phase = .opening(request: requests)
        sentThrough = acknowledged
        send(.open, LogOpen(request: requests, sequence: acknowledged, rank: rank, ranks: ranks))
    }

    /// One control is under way at a time; a checkpoint waits until its record is durable.
    private mutating func sendControl(again: Bool = false) {
        guard phase == .open, let first = controls.first, again || first.request == nil else { return }
        switch first.control {
        case .checkpoint(let sequence, let folder):
            guard acknowledged >= sequence else { return }
            requests += 1
            send(.checkpoint, LogCheckpointRequest(request: requests, sequence: sequence, folder: folder))
        case .retain(let sequence):
            requests += 1
            send(.retain, LogRetain(request: requests, sequence: sequence))
        }
        controls[0].request = requests
    }

    // MARK: Receiving

    private mutating func receive(_ message: Message, now: Duration) throws {
        let type = try message.logType()
        guard phase != .idle else { return }
        // A refusal may come from a bank that is further; any other message of another epoch is late.
        if type == .refused {
            lastSign = now
            return try refused(message)
        }
        if phase == .open, message.header.incarnation != bank {
            // Another start of the bank does not know this connection; tell it who writes, then go on.
            bank = message.header.incarnation
            actions.append(.note("the bank was restarted; opening epoch \(epoch) again at \(acknowledged)"))
            return sendOpen()
        }
        lastSign = now
        switch type {
        case .opened: try opened(message)
        case .pong: try pong(message)
        case .acknowledged:
            guard message.header.epoch == epoch, phase == .open else { return }
            let body = try message.decodeBody(LogAcknowledged.self)
            guard body.hash.isWellFormed else { throw WireError.malformed("'\(body.hash)' is no hash") }
            guard let first = waiting.first, first.sequence == body.sequence else { return }
            waiting.removeFirst()
            acknowledged = body.sequence
            actions.append(.acknowledged(body.sequence, body.hash))
            sendControl()
        case .checkpointed:
            let body = try message.decodeBody(LogCheckpointed.self)
            finish(
                body.request, message,
                LogCheckpoint(sequence: body.sequence, hash: body.hash, file: body.file, bytes: body.bytes))
        case .retained:
            finish(try message.decodeBody(LogRetained.self).request, message, nil)
        case .open, .append, .checkpoint, .retain, .follow, .part, .records, .ping, .snapshot, .snapshotPart, .record,
            .refused:
            throw WireError.malformed("'\(type.rawValue)' is nothing that a writer receives")
        }
    }

    private mutating func opened(_ message: Message) throws {
        let body = try message.decodeBody(LogOpened.self)
        guard case .opening(let request) = phase, body.request == request, message.header.epoch == epoch else { return }
        guard body.hash.isWellFormed else { throw WireError.malformed("'\(body.hash)' is no hash") }
        guard body.sequence >= acknowledged else {
            return fail(.lostRecords(acknowledged: acknowledged, position: body.sequence))
        }
        bank = message.header.incarnation
        phase = .open
        actions.append(.opened(body.sequence, body.hash))
        for record in waiting { send(record) }
        sendControl(again: true)
    }

    /// The control in hand was answered.
    private mutating func finish(_ request: UInt64, _ message: Message, _ checkpoint: LogCheckpoint?) {
        guard message.header.epoch == epoch, let first = controls.first, first.request == request else { return }
        controls.removeFirst()
        actions.append(.finished(token: first.token, checkpoint))
        sendControl()
    }

    private mutating func pong(_ message: Message) throws {
        let body = try message.decodeBody(LogPong.self)
        guard body.ping == pings else { return }
        if case .opening(let request) = phase {
            // The answer would have come first: it, or the request, was lost.
            if body.request <= request { sendOpen() }
            return
        }
        guard message.header.epoch == epoch else { return }
        // Whatever went out before the ping has been answered by now, or was lost on the way there or back.
        let lost = waiting.filter { $0.sequence <= sentBeforePing }
        for record in lost { send(record) }
        if let request = controls.first?.request, body.request <= request { sendControl(again: true) }
    }

    private mutating func refused(_ message: Message) throws {
        let body = try message.decodeBody(LogRefusal.self)
        if case .opening(let request) = phase {
            if body.request == request { fail(.refused(body.code, body.message)) }
            return
        }
        if bank != message.header.incarnation {
            // A new start of the bank that does not know this writer yet.
            bank = message.header.incarnation
            return sendOpen()
        }
        if let first = controls.first, first.request == body.request, body.code == .sequence || body.code == .storage {
            controls.removeFirst()
            actions.append(.controlRefused(token: first.token, .refused(body.code, body.message)))
            return sendControl()
        }
        // Of an append (request 0) or about who may write at all: neither heals by itself.
        if body.request == 0 || body.request == controls.first?.request {
            fail(.refused(body.code, body.message))
        }
    }

    private mutating func fail(_ error: LogError) {
        phase = .idle
        waiting = []
        controls = []
        actions.append(.failed(error))
    }
}
