import Basics
import Foundation

/// The message types of a pool; PROTOCOL.md says who sends which and what to do on loss.
public enum PoolMessageType: String, Sendable, CaseIterable {
    // From the worker.
    case ready, start, result, failed
    // From the consumer.
    case welcome, ticket, reset, again, drain, refused
    // From both.
    case heartbeat, bye
}

/// The JSON bodies of a pool's own messages. Those of `ticket` and `result` are the stage's.
public enum PoolBody {
    public struct Ready: Codable, Sendable, Equatable {
        /// How many tickets the worker is willing to hold, the executing ones included.
        public var credit: Int
        /// Tickets of the header's epoch that it still executes from an earlier session.
        public var executing: [TicketID]
        /// Which generation's tickets it executes; nil, and no key, is the first.
        public var generation: Generation? = nil
        /// Counts the worker's attempts to join this consumer, from 1.
        public var session: Int
    }

    public struct Welcome: Codable, Sendable, Equatable {
        public var heartbeatMilliseconds: Int
        public var session: Int
        public var silenceMilliseconds: Int
    }

    public struct Heartbeat: Codable, Sendable, Equatable {
        public var executing: [TicketID]
    }

    public struct Failed: Codable, Sendable, Equatable {
        /// One line.
        public var error: String
    }

    public struct Again: Codable, Sendable, Equatable {
        public var reason: String
    }

    public struct Refused: Codable, Sendable, Equatable {
        public enum Code: String, Codable, Sendable { case version, run, superseded }
        public var code: Code
        public var ours: String
        /// One sentence that says both values.
        public var reason: String
        public var yours: String
    }
}

/// A peer as the ROUTER knows it: the routing id of its connection.
public struct PeerID: Hashable, Sendable, CustomStringConvertible {
    public let bytes: [UInt8]
    public init(bytes: [UInt8]) { self.bytes = bytes }
    public init(_ text: String) { bytes = Array(text.utf8) }
    init(_ frame: SharedBytes) { bytes = frame.array() }

    /// Text where it is printable, hexadecimal digits where not.
    public var description: String {
        if !bytes.isEmpty, bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) {
            return String(decoding: bytes, as: UTF8.self)
        }
        return "peer 0x" + bytes.map { $0.digits(2, radix: 16) }.joined()
    }
}
