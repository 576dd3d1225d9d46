import Foundation
import Wire

/// The stage's end of the control link as a state machine: no sockets, no clock.
///
/// Says HELLO until it is configured, sends a heartbeat every `interval`, and counts the silence of the supervisor from
/// the last message it got: after `grace` of it the supervisor is lost, once. A supervisor that comes back within the
/// grace (another incarnation, same address) is told HELLO again, so that it may take the stage over.
struct StageControl {
    enum Event {
        case received(Inbound)
        case tick
    }

    /// A message of the supervisor, decoded.
    enum Inbound {
        case configuration(StageConfiguration, from: Incarnation)
        case heartbeat(from: Incarnation)
        case command(Command, from: Incarnation)
        case refused(String, from: Incarnation)

        var incarnation: Incarnation {
            switch self {
            case .configuration(_, let from), .heartbeat(let from), .command(_, let from), .refused(_, let from): from
            }
        }
    }

    enum Action: Equatable {
        case sendHello
        case sendHeartbeat
        case configure(StageConfiguration)
        case stop(StopReason)
        /// The run ends; a `stop` will follow.
        case expectStop
        /// The list of keys that may connect has changed.
        case reloadKeys
        /// A pool's worker is gone, expectedly or not.
        case loss(worker: String, expected: Bool)
        case swap(SwapOrder)
        /// End with this message: the supervisor will not have us.
        case refuse(String)
        case supervisorLost
    }

    /// Between two heartbeats, and between two HELLOs that nobody answered.
    let interval: Duration
    private(set) var grace: Duration
    private var supervisor: Incarnation?
    private var isConfigured = false
    private var isLost = false
    private var lastHeard: Duration
    private var lastTick: Duration
    private var nextSend: Duration

    init(interval: Duration, grace: Duration, now: Duration) {
        self.interval = interval
        self.grace = grace
        lastHeard = now
        lastTick = now
        nextSend = now
    }

    /// When `tick` is due at the latest.
    var nextDeadline: Duration { isLost ? nextSend : min(nextSend, lastHeard + grace) }

    mutating func handle(_ event: Event, now: Duration) -> [Action] {
        switch event {
        case .received(let message): receive(message, now: now)
        case .tick: tick(now: now)
        }
    }

    private mutating func receive(_ message: Inbound, now: Duration) -> [Action] {
        // Who was given up is not listened to any more: the stage is already ending.
        guard !isLost else { return [] }
        lastHeard = now
        var actions: [Action] = []
        if message.incarnation != supervisor {
            if supervisor != nil { actions.append(.sendHello) }
            supervisor = message.incarnation
        }
        switch message {
        case .configuration(let configuration, _):
            if !isConfigured {
                isConfigured = true
                actions.append(.configure(configuration))
            }
        case .heartbeat: break
        case .command(let command, _):
            switch command.name {
            case .stop: actions.append(.stop(.stop))
            case .abandon: actions.append(.stop(.abandon))
            case .drain: actions.append(.stop(.drain))
            case .ending: actions.append(.expectStop)
            case .reloadKeys: actions.append(.reloadKeys)
            case .expectLoss: if let worker = command.worker { actions.append(.loss(worker: worker, expected: true)) }
            case .workerLost: if let worker = command.worker { actions.append(.loss(worker: worker, expected: false)) }
            case .prepareSwap, .commitSwap, .cancelSwap:
                if let order = command.swapOrder { actions.append(.swap(order)) }
            }
        case .refused(let message, _): actions.append(.refuse(message))
        }
        return actions
    }

    private mutating func tick(now: Duration) -> [Action] {
        var actions: [Action] = []
        // Ticks come at least every interval; a gap means that this process itself stood still, and its supervisor's
        // answers may be waiting to be read.
        if now - lastTick > interval * 5 { lastHeard = max(lastHeard, min(now, lastHeard + (now - lastTick))) }
        lastTick = now
        if !isLost, now - lastHeard >= grace {
            isLost = true
            actions.append(.supervisorLost)
        }
        if now >= nextSend {
            nextSend = now + interval
            actions.append(isConfigured ? .sendHeartbeat : .sendHello)
        }
        return actions
    }
}

extension StageControl.Inbound {
    /// Decodes a checked message of the supervisor.
    ///
    /// - Throws: `WireError` for a type that only stages send, or a body that does not fit its type.
    init(_ message: Message) throws {
        let from = message.header.incarnation
        switch ControlType(rawValue: message.header.type) {
        case .configuration: self = .configuration(try message.decodeBody(), from: from)
        case .heartbeat: self = .heartbeat(from: from)
        case .command: self = .command(try message.decodeBody(), from: from)
        case .refused: self = .refused(try message.decodeBody(Refusal.self).message, from: from)
        default: throw WireError.malformed("a supervisor does not send '\(message.header.type)'")
        }
    }
}
