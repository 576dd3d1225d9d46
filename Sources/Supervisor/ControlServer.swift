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
    private var badMessages: [ControlPeer: Int] = [:]
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

    /// The next valid message, or nil where none waits. Bad ones are counted and dropped.
    func receive() throws -> Received? {
        while let frames = try socket.receive() {
            guard let first = frames.first else { continue }
            let peer = ControlPeer(first.data, key: socket.sendersKey)
            guard badMessages[peer, default: 0] < ControlServer.badMessageLimit else { continue }
            do {
                let message = try Message(frames: Array(frames.dropFirst()), run: sender.run, limits: .control)
                return Received(
                    message: try ControlInbound(message), peer: peer, incarnation: message.header.incarnation)
            } catch {
                // The table must not grow with made-up routing ids; forgetting a peer only gives it a second chance.
                if badMessages.count > 4096 { badMessages = [:] }
                badMessages[peer, default: 0] += 1
                let isLast = badMessages[peer] == ControlServer.badMessageLimit
                onNote("dropped a control message: \(error)" + (isLast ? "; its sender is cut off" : ""))
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
    init(_ message: Message) throws {
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
        default: throw WireError.malformed("no stage or client sends '\(message.header.type)'")
        }
    }
}
