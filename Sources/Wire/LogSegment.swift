import Basics
import Foundation

/// A file that physical records are appended to, each durable before it is acknowledged.
///
/// Layout, integers little-endian: `PFRECS01`, u64 base sequence b, 64 digits of the hash at b; then records b+1,
/// b+2, …, each as u64 payload length, u64 sequence, 64 digits of the logical record's SHA-256, 64 digits of the hash
/// at that sequence, payload bytes. A crash can only leave the last record unfinished; it was never acknowledged and
/// is cut off.
final class LogSegment {
    static let magic = "PFRECS01"
    static let headBytes = 8 + 8 + 64
    static let recordHeadBytes = 8 + 8 + 64 + 64

    struct Entry {
        /// SHA-256 of the logical record, by which a duplicate is known.
        var digest: String
        var hash: LogHash
        var offset: Int
        var length: Int
    }

    let base: SequenceNumber
    private let file: LogFile
    private var end: Int
    /// Of records base + 1, base + 2, …
    private(set) var entries: [Entry] = []
    var path: String { file.path }
    var last: SequenceNumber { SequenceNumber(base.rawValue + UInt64(entries.count)) }

    init(creating path: String, base: SequenceNumber, hash: LogHash) throws {
        self.base = base
        file = try LogFile(creating: path)
        var head = Data(Self.magic.utf8)
        head.appendLittleEndian(base.rawValue)
        head.append(contentsOf: hash.rawValue.utf8)
        try file.write(head)
        try file.sync()
        try DurableFile.syncFolder(of: path)
        end = Self.headBytes
    }

    /// Opens a segment that follows a state of `base` and `hash`, and checks every record's hash.
    ///
    /// - Parameters:
    ///   - isLast: an unfinished record at the end is cut off; in an earlier segment it is an error.
    ///   - visit: gets every record in order.
    /// - Returns: nil (as a failed init) where even the head is unfinished, which only the last segment's may be.
    init?(
        opening path: String, base: SequenceNumber, hash: LogHash, isLast: Bool,
        visit: (SequenceNumber, LogPayload) throws -> Void
    ) throws {
        self.base = base
        file = try LogFile(reading: path, writable: true)
        end = Self.headBytes
        let size = try file.size()
        func damaged(_ why: String) -> LogError { .storage("\(path): \(why)") }
        guard size >= Self.headBytes else {
            if isLast { return nil }
            throw damaged("ends within its head")
        }
        let head = try file.read(Self.headBytes, at: 0)
        guard head.text(at: 0, count: 8) == Self.magic, head.integer(at: 8, as: UInt64.self) == base.rawValue,
            head.text(at: 16, count: 64) == hash.rawValue
        else { throw damaged("does not continue the log at sequence \(base)") }
        var hash = hash
        while end < size {
            guard let record = try readRecord(at: end, size: size, after: hash) else {
                // A record is written only after the one before was synced, so only the very last can be unfinished.
                guard isLast, try isUnfinished(at: end, size: size) else {
                    throw damaged("record \(last.next) is damaged, and records follow it")
                }
                break
            }
            let sequence = last.next
            hash = record.entry.hash
            entries.append(record.entry)
            end = record.entry.offset + record.entry.length
            try visit(sequence, record.payload)
        }
        if end < size {
            try file.truncate(to: end)
            try file.sync()
        } else {
            try file.truncate(to: end)
        }
    }

    private func readRecord(at start: Int, size: Int, after hash: LogHash) throws -> (
        entry: Entry, payload: LogPayload
    )? {
        guard size - start >= Self.recordHeadBytes else { return nil }
        let head = try file.read(Self.recordHeadBytes, at: start)
        let length = head.integer(at: 0, as: UInt64.self)
        guard length >= 8, length <= UInt64(size - start - Self.recordHeadBytes),
            head.integer(at: 8, as: UInt64.self) == last.next.rawValue
        else { return nil }
        let offset = start + Self.recordHeadBytes
        let bytes = try file.read(Int(length), at: offset)
        let entry = Entry(
            digest: head.text(at: 16, count: 64), hash: LogHash(rawValue: head.text(at: 80, count: 64)),
            offset: offset, length: Int(length))
        guard hash.extended(by: [bytes]) == entry.hash, LogHash(rawValue: entry.digest).isWellFormed,
            let payload = try? bytes.withUnsafeBytes({ try LogPayload(encoded: $0) })
        else { return nil }
        return (entry, payload)
    }

    /// Whether bad bytes at `start` can be what a crash leaves of one record: too few for it, no head yet, or
    /// nothing behind it.
    private func isUnfinished(at start: Int, size: Int) throws -> Bool {
        guard size - start >= Self.recordHeadBytes else { return true }
        let length = try file.read(8, at: start).integer(at: 0, as: UInt64.self)
        return length == 0 || length >= UInt64(size - start - Self.recordHeadBytes)
    }

    /// Appends and syncs; on failure the file is as before.
    func append(_ pieces: [SharedBytes], digest: String, hash: LogHash) throws {
        let length = pieces.reduce(0) { $0 + $1.count }
        var head = Data()
        head.appendLittleEndian(UInt64(length))
        head.appendLittleEndian(last.next.rawValue)
        head.append(contentsOf: digest.utf8)
        head.append(contentsOf: hash.rawValue.utf8)
        do {
            try file.write(head)
            try file.write(pieces)
            try file.sync()
        } catch {
            try? file.truncate(to: end)
            throw error
        }
        entries.append(Entry(digest: digest, hash: hash, offset: end + Self.recordHeadBytes, length: length))
        end += Self.recordHeadBytes + length
    }

    /// - Precondition: `base < sequence <= last`.
    func record(_ sequence: SequenceNumber) throws -> LogPayload {
        let entry = entries[Int(sequence.rawValue - base.rawValue) - 1]
        return try file.read(entry.length, at: entry.offset).withUnsafeBytes { try LogPayload(encoded: $0) }
    }
}
