import Basics
import Foundation
import Testing

@testable import Wire

/// A consumer core, a clock, and workers whose messages the test writes itself.
struct ConsumerHarness {
    var core: PoolConsumerCore
    var now = Instant(nanoseconds: 1_000_000_000)
    /// What was delivered, reported and sent since it was last looked at.
    var delivered: [TicketResult] = []
    var failures: [PoolFailure] = []
    var events: [PoolEvent] = []
    var sent: [(peer: PeerID, message: Message)] = []

    static let sender = Sender(run: "r", name: "compute-0", incarnation: Incarnation(rawValue: "c1"))

    init(change: (inout PoolSettings) -> Void = { _ in }) {
        var settings = PoolSettings()
        change(&settings)
        core = PoolConsumerCore(as: Self.sender, epoch: Epoch(1), settings: settings, now: now)
    }

    mutating func handle(_ event: PoolConsumerCore.Event) {
        for action in core.handle(event, now: now) {
            switch action {
            case .send(let peer, let frames): sent.append((peer, try! Message(frames: frames, run: "r")))
            case .deliver(let result): delivered.append(result)
            case .fail(let failure): failures.append(failure)
            case .report(let event): events.append(event)
            }
        }
    }

    mutating func issue(_ ids: ClosedRange<UInt64>, generation: Int = 0) throws {
        for id in ids {
            let ticket = Ticket(id: TicketID(id), generation: Generation(generation))
            handle(.issue(try .init(ticket, limits: MessageLimits())))
        }
    }

    /// Lets time pass, the workers named saying heartbeats every half second meanwhile.
    mutating func pass(_ duration: Duration, alive: [ScriptedWorker] = []) {
        let end = now + duration
        while now < end {
            now = min(end, now + .milliseconds(500))
            for worker in alive { handle(worker.heartbeat()) }
            handle(.tick)
        }
    }

    /// The tickets sent to a worker since they were last looked at.
    mutating func tickets(to worker: ScriptedWorker) -> [UInt64] {
        defer { sent.removeAll { $0.peer == worker.peer && $0.message.header.type == "ticket" } }
        return sent.filter { $0.peer == worker.peer && $0.message.header.type == "ticket" }
            .map { $0.message.header.ticket!.rawValue }
    }

    mutating func types(to worker: ScriptedWorker) -> [String] {
        defer { sent.removeAll { $0.peer == worker.peer } }
        return sent.filter { $0.peer == worker.peer }.map(\.message.header.type)
    }

    var order: [UInt64] { delivered.map(\.id.rawValue) }
    var blamed: [UInt64] {
        events.compactMap { if case .blamed(let id, _, _) = $0 { id.rawValue } else { nil } }
    }
}

/// A worker that says what the test wants, with correct numbers.
final class ScriptedWorker {
    var sender: Sender
    var peer: PeerID
    var sequence: UInt64 = 0
    var session = 0
    var executing: [TicketID] = []
    var epoch = Epoch(1)

    init(_ name: String, incarnation: String? = nil, run: String = "r") {
        let incarnation = incarnation ?? "start of \(name)"
        sender = Sender(run: run, name: name, incarnation: Incarnation(rawValue: incarnation))
        peer = PeerID("\(name)/\(incarnation)")
    }

    func message(
        _ type: String, ticket: UInt64? = nil, body: some Encodable = [String: String](), tensors: [WireTensor] = []
    ) -> PoolConsumerCore.Event {
        sequence += 1
        let message = Message(
            type, from: sender, epoch: epoch, sequence: sequence, body: try! body.wireJSON(), tensors: tensors,
            ticket: ticket.map { TicketID($0) })
        return .received(from: peer, frames: try! message.frames())
    }

    func ready(credit: Int, sameSession: Bool = false, generation: Int? = nil) -> PoolConsumerCore.Event {
        if !sameSession { session += 1 }
        return message(
            "ready",
            body: PoolBody.Ready(
                credit: credit, executing: executing, generation: generation.map { Generation($0) }, session: session))
    }

    func start(_ id: UInt64) -> PoolConsumerCore.Event {
        executing = [TicketID(id)]
        return message("start", ticket: id)
    }

    func result(_ id: UInt64) -> PoolConsumerCore.Event {
        executing.removeAll { $0 == TicketID(id) }
        return message("result", ticket: id, body: ["by": sender.name])
    }

    func failed(_ id: UInt64, _ error: String) -> PoolConsumerCore.Event {
        message("failed", ticket: id, body: PoolBody.Failed(error: error))
    }

    func heartbeat() -> PoolConsumerCore.Event { message("heartbeat", body: PoolBody.Heartbeat(executing: executing)) }
    func bye() -> PoolConsumerCore.Event { message("bye") }
}
