import Basics
import Foundation
import StageKit
import Wire

/// The supervisor's end of the control link: a ROUTER that stages and clients dial. Belongs to one thread.
final class ControlServer {
    struct Received {
        var message: ControlInbound
        var peer: ControlPeer
        var incarnation: Incarnation
    }

    /// A peer that sent this many bad messages is not listened to any more. One or two are a mistake of versions.
    static let badMessageLimit = 16

    let socket: Socket
    private let sender: Sender
    /// The run's present one.
    var epoch: Epoch
    private var sequence: UInt64 = 0
    private var guardian = FrameGuard(limit: badMessageLimit, reports: .seconds(1))
    private let onNote: (String) -> Void

    /// - Parameters:
    ///   - others: further addresses, TCP for hosts that join.
    ///   - onNote: told of dropped messages, one line each.
    init(
        bind endpoint: Endpoint, alsoAt others: [Endpoint] = [], context: Context, sender: Sender, epoch: Epoch,
        onNote: @escaping (String) -> Void
    ) throws {
        socket = try Socket(.router, context: context, maxMessageBytes: MessageLimits.control.bodyBytes)
        for endpoint in [endpoint] + others { try socket.bind(endpoint) }
        self.sender = sender
        self.epoch = epoch
        self.onNote = onNote
    }

    /// What it had to drop so far.
    var frameCounts: FrameCounts { guardian.counts }

    /// Messages read in one go: a flood must not keep the supervisor from its clock and its processes.
    static let burst = 256

    /// The next valid message, or nil where none waits or after a burst of bad ones, which are counted and dropped.
    func receive() throws -> Received? {
        for _ in 0..<Self.burst {
            guard let frames = try socket.receive(maxFrames: 3) else { return nil }
            guard let first = frames.first else { continue }
            let peer = ControlPeer(first.data, key: socket.sendersKey)
            let sender = PeerID(bytes: [UInt8](peer.bytes))
            guard guardian.admits(sender) else { continue }
            var check = FrameCheck.frames
            do {
                let message = try Message(
                    frames: Array(frames.dropFirst()), run: self.sender.run, limits: .control, check: &check)
                let inbound = try ControlInbound(message, check: &check)
                return Received(message: inbound, peer: peer, incarnation: message.header.incarnation)
            } catch {
                switch guardian.note(sender, "\(error)", at: check, now: .now()) {
                case .nothing: break
                case .report(let event): onNote("control: \(event)")
                case .cutOff(let events): for event in events { onNote("control: \(event)") }
                }
            }
        }
        return nil
    }

    /// Peers that are gone miss it: their silence is noticed elsewhere.
    func send(_ outbound: ControlOutbound, to peer: ControlPeer) throws {
        sequence += 1
        let (type, body): (ControlType, Data) =
            switch outbound {
            case .configuration(let configuration): (.configuration, try configuration.wireJSON())
            case .heartbeat: (.heartbeat, try Empty().wireJSON())
            case .command(let command): (.command, try command.wireJSON())
            case .refused(let message): (.refused, try Refusal(message).wireJSON())
            case .reply(let report): (.reply, try report.wireJSON())
            case .joined(let reply): (.joined, try reply.wireJSON())
            }
        let message = Message(type.rawValue, from: sender, epoch: epoch, sequence: sequence, body: body)
        try socket.send([SharedBytes(peer.bytes)] + message.frames())
    }
}

extension ControlInbound {
    /// - Throws: `WireError` for a type that no stage or client sends, or a body that does not fit its type.
    ///   `check` is then the one that failed.
    init(_ message: Message, check: inout FrameCheck) throws {
        check = .body
        switch ControlType(rawValue: message.header.type) {
        case .hello: self = .hello(try message.decodeBody())
        case .heartbeat: self = .heartbeat(try message.decodeBody())
        case .event: self = .event(try message.decodeBody())
        case .bye: self = .bye(try message.decodeBody())
        case .statusRequest: self = .statusRequest
        case .stopRequest: self = .stopRequest
        case .scaleRequest: self = .scaleRequest(try message.decodeBody())
        case .swapRequest: self = .swapRequest(try message.decodeBody())
        case .keysChanged: self = .keysChanged
        case .join: self = .join(try message.decodeBody())
        case .leave: self = .leave
        default:
            check = .type
            throw WireError.malformed("no stage or client sends '\(message.header.type)'")
        }
    }
}
