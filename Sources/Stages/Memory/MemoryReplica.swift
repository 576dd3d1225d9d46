import Basics
import Contrast
import Foundation
import StageKit
import Wire

/// The memory's vectors as a follower of the log keeps them: copies of what the bank decided.
///
/// A value; `memory` may be taken out and read for as long as one likes, at the price that the next record copies the
/// parts that it writes.
public struct MemoryReplica: LogReplica, Sendable {
    public private(set) var memory: Memory
    private var restoring: MemorySnapshotReader?

    /// - Parameter shape: what the log's memory must be of; anything else is refused.
    public init(shape: MemoryShape) { memory = Memory(shape: shape) }

    public mutating func beginRestore() throws {
        // The old vectors go before the new ones come, or both would lie in memory.
        memory = Memory(shape: memory.shape)
        restoring = MemorySnapshotReader(shape: memory.shape)
    }

    public mutating func restore(_ part: LogPayload) throws {
        let part = try MemorySnapshotPart(part)
        guard restoring != nil else { throw WireError.malformed("a part of a snapshot that was not begun") }
        // In place: a copy would copy the vectors.
        if part.kind == .memory { try part.bytes.withUnsafeBytes { try restoring!.append($0) } }
    }

    public mutating func endRestore(at sequence: SequenceNumber) throws {
        guard let restoring else { throw WireError.malformed("the end of a snapshot that was not begun") }
        self.restoring = nil
        memory = try restoring.finish()
    }

    public mutating func apply(_ physical: LogPayload, at sequence: SequenceNumber) throws {
        try apply(MemoryWrites(physical, at: sequence, dimension: memory.shape.dimension))
    }

    mutating func apply(_ record: MemoryWrites) throws {
        try record.rows.withUnsafeBufferPointer {
            try memory.apply(record.writes, rows: $0, dimension: record.dimension)
        }
    }
}

/// One part of the memory's snapshot: body `{"kind":"ledger"}` or `{"kind":"memory"}`, array `bytes` uint8 of at most
/// 8 MiB. All ledger parts come first; joined they are `MemoryLedger.encoded()`, the others `MemorySnapshot`'s bytes.
public struct MemorySnapshotPart {
    public enum Kind: String, Codable, Sendable { case ledger, memory }

    /// What is written: large enough that asking for it costs less than sending it. A link must carry a part within the ten
    /// seconds of silence after which the connection is cut, even among eight that share 10 Mbit/s.
    public static let bytes = 1 << 20
    /// What is read.
    public static let maxBytes = 8 << 20

    public var kind: Kind
    public var bytes: SharedBytes

    private struct Body: Codable { var kind: Kind }

    public init(_ kind: Kind, _ bytes: SharedBytes) {
        self.kind = kind
        self.bytes = bytes
    }

    public init(_ payload: LogPayload) throws {
        guard let body = try? JSONDecoder().decode(Body.self, from: payload.body) else {
            throw WireError.malformed("a part of the memory's snapshot is neither 'ledger' nor 'memory'")
        }
        let tensor = try payload.tensor("bytes")
        guard tensor.dtype == .uint8, tensor.shape.count == 1, tensor.bytes.count <= Self.maxBytes else {
            throw WireError.malformed(
                "a snapshot part of \(tensor.dtype.rawValue) \(tensor.shape); expected uint8, at most \(Self.maxBytes)")
        }
        self.init(body.kind, tensor.bytes)
    }

    public func encode() throws -> LogPayload {
        LogPayload(
            body: try Body(kind: kind).wireJSON(),
            tensors: [try WireTensor(name: "bytes", dtype: .uint8, shape: [bytes.count], bytes: bytes)])
    }
}
