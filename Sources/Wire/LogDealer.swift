import Basics
import Foundation

/// The DEALER of a writer or follower, on its I/O thread.
final class LogDealer {
    private let socket: Socket
    private let sender: Sender
    private let limits: MessageLimits
    private var sent: UInt64 = 0

    init(_ endpoint: Endpoint, sender: Sender, context: Context, limits: MessageLimits) throws {
        // The start id is part of the routing id: two starts of a stage are two peers, and one that was cut off
        // does not come back by reconnecting.
        socket = try Socket(
            .dealer, context: context, identity: "\(sender.name)/\(sender.incarnation)",
            maxMessageBytes: limits.tensorBytes)
        // What is unsent when a log ends is of no use to anybody.
        socket.linger = 0
        try socket.connect(endpoint)
        self.sender = sender
        self.limits = limits
    }

    func wait(_ wakeup: Wakeup, until deadline: Duration?, now: Duration) {
        let milliseconds = deadline.map { max(0, ($0 - now).pollMilliseconds) } ?? -1
        _ = Poller.wait([socket], wakeup: wakeup, milliseconds: milliseconds)
    }

    func send(_ type: LogMessageType, epoch: Epoch, body: Data, tensors: [WireTensor] = []) throws {
        sent += 1
        let message = Message(
            type.rawValue, from: sender, epoch: epoch, sequence: sent, body: body, tensors: tensors)
        // A full or missing pipe loses the message; the ping that follows finds out.
        try socket.send(message.frames())
    }

    /// The next message, or what was wrong with it; nil where none waits.
    func receive() throws -> Result<Message, any Error>? {
        guard let frames = try socket.receive() else { return nil }
        return Result { try Message(frames: frames, run: sender.run, limits: limits) }
    }
}
