import Basics
import Contrast
import StageKit
import Wire

/// The memory as its owner keeps it: the ledger that decides, and the vectors that the decisions moved.
public struct MemoryReducer: LogReducer, Sendable {
    public private(set) var ledger: MemoryLedger
    private var replica: MemoryReplica
    private var ledgerBytes: [UInt8] = []

    public var memory: Memory { replica.memory }
    public var shape: MemoryShape { ledger.shape }

    public init(shape: MemoryShape) {
        ledger = MemoryLedger(shape: shape)
        replica = MemoryReplica(shape: shape)
    }

    public mutating func reduce(_ logical: LogPayload, at sequence: SequenceNumber) throws -> LogPayload {
        let record = try MemoryRecord(
            logical, classes: shape.classes, dimension: shape.dimension, imageCount: shape.images)
        guard record.step == sequence.rawValue else {
            throw WireError.malformed("the record of step \(record.step) as sequence \(sequence)")
        }
        let keys = try LogicalRecord(
            dimension: record.dimension, pixels: record.pixelClasses.map { ClassID(Int($0)) },
            regions: zip(record.regionClasses, record.regionImages).map {
                LogicalRecord.Region(classID: ClassID(Int($0)), image: ImageID(Int($1)))
            }, rows: record.rows)
        // All that `apply` checks holds by now: the record's rows are unit vectors and the plan names them and slots
        // that follow on the filled ones.
        let writes = MemoryWrites(step: record.step, writes: try ledger.plan(keys), record: keys)
        try replica.apply(writes)
        return try writes.encode()
    }

    public func join(_ parts: [LogPayload], at sequence: SequenceNumber) throws -> LogPayload {
        let records = try parts.enumerated().map { rank, part in
            do {
                return try MemoryRecord(
                    part, classes: shape.classes, dimension: shape.dimension, imageCount: shape.images)
            } catch {
                throw WireError.malformed("rank \(rank): \(error)")
            }
        }
        return try MemoryRecord(joining: records).encode()
    }

    public mutating func apply(_ physical: LogPayload, at sequence: SequenceNumber) throws {
        let record = try MemoryWrites(physical, at: sequence, dimension: shape.dimension)
        var planned = ledger
        let again = try planned.plan(try record.logical())
        let recorded = record.writes.filter { $0.part == .pixels } + record.writes.filter { $0.part == .regions }
        let agree = zip(again, recorded).allSatisfy {
            $0.classID == $1.classID && $0.part == $1.part && $0.slot == $1.slot
        }
        guard again.count == recorded.count, agree else {
            throw WireError.malformed("physical record \(sequence) does not follow on the memory before it")
        }
        try replica.apply(record)
        ledger = planned
    }

    public func writeSnapshot(_ emit: (LogPayload) throws -> Void) throws {
        func emitParts(_ kind: MemorySnapshotPart.Kind, _ count: Int, _ bytes: (Range<Int>) -> [UInt8]) throws {
            for start in stride(from: 0, to: count, by: MemorySnapshotPart.bytes) {
                let range = start..<min(start + MemorySnapshotPart.bytes, count)
                try emit(MemorySnapshotPart(kind, SharedBytes(bytes(range))).encode())
            }
        }
        let ledger = ledger.encoded()
        try emitParts(.ledger, ledger.count) { Array(ledger[$0]) }
        let vectors = MemorySnapshot(memory)
        try emitParts(.memory, vectors.byteCount) { vectors.bytes(in: $0) }
    }

    public mutating func beginRestore() throws {
        ledgerBytes = []
        try replica.beginRestore()
    }

    public mutating func restore(_ part: LogPayload) throws {
        let read = try MemorySnapshotPart(part)
        if read.kind == .ledger { ledgerBytes += read.bytes.array() }
        try replica.restore(part)
    }

    public mutating func endRestore(at sequence: SequenceNumber) throws {
        try replica.endRestore(at: sequence)
        let read = try MemoryLedger(decoding: ledgerBytes)
        ledgerBytes = []
        guard read.shape == shape else { throw MemoryError.snapshot("its ledger is of a memory of another shape") }
        for (classID, part) in shape.parts where read.filled(classID, part) != memory.filled(classID, part) {
            throw MemoryError.snapshot("its ledger and its vectors disagree about class \(classID)")
        }
        ledger = read
    }
}
