import Basics
import Foundation
import Glibc
import Testing

@testable import Wire

/// A state small enough to be checked against a plain array: values enter a ring of slots.
///
/// Logical record: `values` int32 `[n]`; physical: `writes` int32 `[n, 2]` (slot, value). Snapshot parts hold three
/// slots each, so that even small states have several.
struct Ring: LogReducer, Sendable, Equatable {
    var slots: [Int32]
    var next = 0
    var sequence = SequenceNumber(0)
    private var incoming: [Int32]?

    init(capacity: Int = 10) { slots = Array(repeating: 0, count: capacity) }

    mutating func reduce(_ logical: LogPayload, at sequence: SequenceNumber) throws -> LogPayload {
        let values = try logical.tensor("values").bytes.array(of: Int32.self)
        guard values.allSatisfy({ $0 > 0 }) else { throw UserError("values must be positive") }
        var writes: [Int32] = []
        for (offset, value) in values.enumerated() { writes += [Int32((next + offset) % slots.count), value] }
        let physical = LogPayload(
            body: Data("{\"step\":\(sequence)}".utf8),
            tensors: [
                try WireTensor(name: "writes", dtype: .int32, shape: [values.count, 2], bytes: SharedBytes(writes))
            ])
        try apply(physical, at: sequence)
        return physical
    }

    func join(_ parts: [LogPayload], at sequence: SequenceNumber) throws -> LogPayload {
        let values = try parts.flatMap { try $0.tensor("values").bytes.array(of: Int32.self) }
        return LogPayload(
            body: parts[0].body,
            tensors: [
                try WireTensor(name: "values", dtype: .int32, shape: [values.count], bytes: SharedBytes(values))
            ])
    }

    mutating func apply(_ physical: LogPayload, at sequence: SequenceNumber) throws {
        guard sequence == self.sequence.next else { throw UserError("\(sequence) after \(self.sequence)") }
        let writes = try physical.tensor("writes").bytes.array(of: Int32.self)
        for i in stride(from: 0, to: writes.count, by: 2) {
            slots[Int(writes[i])] = writes[i + 1]
            next = (Int(writes[i]) + 1) % slots.count
        }
        self.sequence = sequence
    }

    func writeSnapshot(_ emit: (LogPayload) throws -> Void) throws {
        let all = [Int32(next)] + slots
        for start in stride(from: 0, to: all.count, by: 3) {
            let piece = Array(all[start..<min(start + 3, all.count)])
            try emit(
                LogPayload(tensors: [
                    try WireTensor(name: "slots", dtype: .int32, shape: [piece.count], bytes: SharedBytes(piece))
                ]))
        }
    }

    mutating func beginRestore() throws { incoming = [] }

    mutating func restore(_ part: LogPayload) throws {
        incoming! += try part.tensor("slots").bytes.array(of: Int32.self)
    }

    mutating func endRestore(at sequence: SequenceNumber) throws {
        guard let all = incoming, all.count == slots.count + 1 else { throw UserError("incomplete snapshot") }
        next = Int(all[0])
        slots = Array(all[1...])
        self.sequence = sequence
        incoming = nil
    }

    /// The logical record of a step, the same in every test.
    static func logical(_ sequence: UInt64) throws -> LogPayload {
        var random = KeyedRandom(seed: 1, purpose: "log-record", step: sequence)
        let values = (0..<random.below(4)).map { _ in Int32(1 + random.below(1000)) }
        return LogPayload(
            body: Data("{\"step\":\(sequence)}".utf8),
            tensors: [
                try WireTensor(name: "values", dtype: .int32, shape: [values.count], bytes: SharedBytes(values))
            ])
    }

    /// A rank's part of it: a stretch of the values, as ranks have stretches of a mini-batch.
    static func logical(_ sequence: UInt64, rank: Int, of ranks: Int) throws -> LogPayload {
        let whole = try logical(sequence)
        let values = try whole.tensor("values").bytes.array(of: Int32.self)
        let part = Array(values[values.count * rank / ranks..<values.count * (rank + 1) / ranks])
        return LogPayload(
            body: whole.body,
            tensors: [
                try WireTensor(name: "values", dtype: .int32, shape: [part.count], bytes: SharedBytes(part))
            ])
    }

    /// What a plain array holds after each of the first records, and the hash there.
    static func model(_ count: UInt64, capacity: Int = 10) throws -> [(slots: [Int32], hash: LogHash)] {
        var slots = [Int32](repeating: 0, count: capacity)
        var cursor = 0
        var hash = LogHash.empty
        var states = [(slots, hash)]
        for sequence in 1...max(count, 1) {
            let values = try logical(sequence).tensor("values").bytes.array(of: Int32.self)
            var writes: [Int32] = []
            for value in values {
                writes += [Int32(cursor), value]
                slots[cursor] = value
                cursor = (cursor + 1) % capacity
            }
            let physical = LogPayload(
                body: Data("{\"step\":\(sequence)}".utf8),
                tensors: [
                    try WireTensor(name: "writes", dtype: .int32, shape: [values.count, 2], bytes: SharedBytes(writes))
                ])
            hash = hash.extended(by: try physical.encodedPieces())
            states.append((slots, hash))
        }
        return states
    }
}

/// A folder that lives as long as the value; in memory where the system has such a place, as tests sync a lot.
final class LogTestFolder: Sendable {
    let path: String

    init() {
        let base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NSTemporaryDirectory()
        path = "\(base)/pflog-\(Incarnation.fresh())"
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { "\(path)/\(name)" }
    func endpoint(_ name: String) throws -> Endpoint { try Endpoint("ipc://\(path)/\(name)") }
}

/// An engine whose answers are collected, driven by hand.
final class LogBench {
    var engine: LogServerEngine<Ring>
    var answers: [(peer: LogPeer, message: Message)] = []
    var notes = LogNotes()
    var now = Duration.zero

    init(_ folder: String, start: LogStart = .existing, knownEpoch: Epoch = Epoch(0), settings: LogSettings = .init())
        throws
    {
        let notes = self.notes
        engine = try LogServerEngine(
            folder: folder, reducer: Ring(), start: start, knownEpoch: knownEpoch,
            sender: Sender(run: "r", name: "bank-1"), settings: settings, onNote: { notes.add($0) })
    }

    /// Sends a message and returns what comes back to this peer.
    @discardableResult
    func ask(
        _ peer: LogPeer, _ sender: Sender, _ type: LogMessageType, epoch: UInt64, _ body: some Encodable,
        tensors: [WireTensor] = []
    ) throws -> [Message] {
        let message = Message(
            type.rawValue, from: sender, epoch: Epoch(epoch), sequence: 1, body: try body.wireJSON(), tensors: tensors)
        return try deliver(.received(peer, message))
    }

    @discardableResult
    func deliver(_ event: LogServerCore<Ring>.Event) throws -> [Message] {
        let before = answers.count
        try engine.handle(event, now: now) { peer, message in
            answers.append((peer, message))
            return true
        }
        return answers[before...].map(\.message)
    }

    /// Opens an epoch and appends records up to a sequence.
    func fill(_ peer: LogPeer, _ sender: Sender, epoch: UInt64, from: UInt64 = 0, through last: UInt64) throws {
        let opened = try ask(
            peer, sender, .open, epoch: epoch, LogOpen(request: 1, sequence: SequenceNumber(from)))
        #expect(opened.first?.header.type == "log.opened")
        for sequence in (from + 1)...max(last, from + 1) where sequence <= last {
            try append(peer, sender, epoch, sequence)
        }
    }

    @discardableResult
    func append(_ peer: LogPeer, _ sender: Sender, _ epoch: UInt64, _ sequence: UInt64) throws -> [Message] {
        let record = try Ring.logical(sequence)
        return try ask(
            peer, sender, .append, epoch: epoch,
            LogAppend(sequence: SequenceNumber(sequence), payload: String(decoding: record.body, as: UTF8.self)),
            tensors: record.tensors)
    }
}

/// `@unchecked Sendable`: guarded by its lock.
final class LogNotes: @unchecked Sendable {
    private let lock = NSLock()
    private var lines: [String] = []
    func add(_ line: String) { lock.withLock { lines.append(line) } }
    var all: [String] { lock.withLock { lines } }
}
