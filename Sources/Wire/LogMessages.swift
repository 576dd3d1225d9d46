import Foundation

/// The log's messages. PROTOCOL.md, chapter "Log", is their specification; each body's keys are those of its struct.
public enum LogMessageType: String, Sendable, CaseIterable {
    // Writer to bank.
    case open = "log.open"
    case append = "log.append"
    case checkpoint = "log.checkpoint"
    case retain = "log.retain"
    // Bank to writer.
    case opened = "log.opened"
    case acknowledged = "log.acknowledged"
    case checkpointed = "log.checkpointed"
    case retained = "log.retained"
    // Follower to bank.
    case follow = "log.follow"
    case part = "log.part"
    case records = "log.records"
    // Bank to follower.
    case snapshot = "log.snapshot"
    case snapshotPart = "log.snapshot-part"
    case record = "log.record"
    // Both ends to the bank, and back.
    case ping = "log.ping"
    case pong = "log.pong"
    case refused = "log.refused"
}

/// Starts, or after a reconnection continues, the epoch in the header.
public struct LogOpen: Codable, Sendable, Equatable {
    public var request: UInt64
    /// The last sequence that the writer holds for durable; for a new epoch exactly the bank's position.
    public var sequence: SequenceNumber
    /// Of several ranks that write together: which of them this is, from 0. Absent for a single writer, as is `ranks`.
    public var rank: Int?
    public var ranks: Int?

    public init(request: UInt64, sequence: SequenceNumber, rank: Int = 0, ranks: Int = 1) {
        self.request = request
        self.sequence = sequence
        if ranks > 1 { (self.rank, self.ranks) = (rank, ranks) }
    }

    /// Rank and number of ranks, checked.
    func place() throws -> (rank: Int, ranks: Int) {
        let (rank, ranks) = (self.rank ?? 0, self.ranks ?? 1)
        // More would be no cluster that there is, but an attack on memory.
        guard (1...4096).contains(ranks), (0..<ranks).contains(rank) else {
            throw WireError.malformed("rank \(rank) of \(ranks)")
        }
        return (rank, ranks)
    }
}

public struct LogOpened: Codable, Sendable, Equatable {
    public var request: UInt64
    /// The bank's last durable sequence.
    public var sequence: SequenceNumber
    public var hash: LogHash
}

/// A logical record; the payload's arrays are the message's.
public struct LogAppend: Codable, Sendable, Equatable {
    public var sequence: SequenceNumber
    /// The payload's JSON as a text, so that its bytes stay what they are.
    public var payload: String
}

public struct LogAcknowledged: Codable, Sendable, Equatable {
    public var sequence: SequenceNumber
    public var hash: LogHash
}

public struct LogCheckpointRequest: Codable, Sendable, Equatable {
    public var request: UInt64
    public var sequence: SequenceNumber
    /// Folder on the bank's machine, which exists.
    public var folder: String
}

public struct LogCheckpointed: Codable, Sendable, Equatable {
    public var request: UInt64
    public var sequence: SequenceNumber
    public var hash: LogHash
    public var file: String
    public var bytes: Int
}

public struct LogRetain: Codable, Sendable, Equatable {
    public var request: UInt64
    public var sequence: SequenceNumber
}

public struct LogRetained: Codable, Sendable, Equatable {
    public var request: UInt64
    public var sequence: SequenceNumber
}

public struct LogFollow: Codable, Sendable, Equatable {
    public var request: UInt64
    /// The newest sequence that the snapshot may have.
    public var newest: SequenceNumber
}

public struct LogSnapshot: Codable, Sendable, Equatable {
    public var request: UInt64
    public var sequence: SequenceNumber
    public var hash: LogHash
    public var parts: Int
    public var bytes: Int
    /// SHA-256 over all parts' bytes, in order.
    public var digest: String
}

public struct LogPart: Codable, Sendable, Equatable {
    public var request: UInt64
    public var sequence: SequenceNumber
    public var index: Int
}

public struct LogSnapshotPart: Codable, Sendable, Equatable {
    public var request: UInt64
    public var sequence: SequenceNumber
    public var index: Int
    public var payload: String
}

public struct LogRecords: Codable, Sendable, Equatable {
    public var request: UInt64
    public var from: SequenceNumber
    /// How many records the follower has room for.
    public var count: Int
}

/// A physical record.
public struct LogRecordBody: Codable, Sendable, Equatable {
    public var request: UInt64
    public var sequence: SequenceNumber
    public var hash: LogHash
    public var payload: String
}

public struct LogPing: Codable, Sendable, Equatable {
    public var ping: UInt64
}

public struct LogPong: Codable, Sendable, Equatable {
    public var ping: UInt64
    /// The peer's newest request that the bank has seen, 0 where none.
    public var request: UInt64
    /// Whether that request still waits for something to exist.
    public var parked: Bool
    /// The record that a parked `log.records` waits for.
    public var next: SequenceNumber?
    /// The bank's last durable sequence.
    public var sequence: SequenceNumber
}

public struct LogRefusal: Codable, Sendable, Equatable {
    public enum Code: String, Codable, Sendable, CaseIterable {
        /// The epoch is older than the bank's.
        case epoch
        /// The sequence is not the one that must come.
        case sequence
        /// What was asked for is no longer kept.
        case gone
        /// Another record of the same sequence was acknowledged before.
        case conflict
        /// The reducer found the record invalid.
        case invalid
        /// The sender is not the one that opened the epoch.
        case writer
        /// The bank's file system failed.
        case storage
    }

    /// The request that it answers, 0 for an append.
    public var request: UInt64
    public var code: Code
    public var message: String
}

extension Message {
    /// The type as one of the log's.
    func logType() throws -> LogMessageType {
        guard let type = LogMessageType(rawValue: header.type) else {
            throw WireError.malformed("unknown type '\(header.type)'")
        }
        return type
    }

    /// The payload that a body's text and the message's arrays make.
    func logPayload(_ text: String) -> LogPayload { LogPayload(body: Data(text.utf8), tensors: tensors) }
}
