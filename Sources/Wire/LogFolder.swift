import Basics
import DequeModule
import Foundation
import Glibc

/// The bank's own storage: snapshots, the records after them, and which epoch the log is at.
///
/// `snapshot-N` is the state at sequence N, `records-N` holds the records after it up to the next snapshot, `log.json`
/// says the epoch and who opened it. There is always a snapshot, so a log can be read from here alone.
final class LogFolder {
    /// The part of the storage that changes with an epoch.
    struct Reign: Codable, Equatable {
        var version = 1
        var run: String
        var epoch: Epoch
        /// The start of compute that opened it; nil where the epoch is only known to have been.
        var writer: Incarnation?
        /// Those of ranks 1 and up, where compute has several.
        var others: [Incarnation?]?

        init(run: String, epoch: Epoch, writers: [Incarnation?]) {
            self.run = run
            self.epoch = epoch
            writer = writers.first ?? nil
            others = writers.count > 1 ? Array(writers.dropFirst()) : nil
        }

        /// By rank; empty where nobody is known to have opened the epoch.
        var writers: [Incarnation?] { writer == nil && others == nil ? [] : [writer] + (others ?? []) }
    }

    let path: String
    /// Ascending; the first is what everything else builds on.
    private(set) var snapshots: [LogSnapshotFile] = []
    private var segments: [LogSegment] = []
    /// The newest records, so that followers that keep up cost no reads.
    private var recent: Deque<(sequence: SequenceNumber, payload: LogPayload)> = []
    private let recentCount: Int

    init(path: String, recent: Int) throws {
        self.path = path
        recentCount = recent
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    func reign() throws -> Reign? {
        let file = path + "/log.json"
        guard FileManager.default.fileExists(atPath: file) else { return nil }
        guard let data = FileManager.default.contents(atPath: file),
            let reign = try? JSONDecoder().decode(Reign.self, from: data), reign.version == 1
        else { throw LogError.storage("\(file) is not what a bank of this version writes") }
        return reign
    }

    func write(_ reign: Reign) throws {
        try DurableFile.write(String(decoding: try reign.wireJSON(), as: UTF8.self) + "\n", to: path + "/log.json")
    }

    private func name(_ kind: String, _ sequence: SequenceNumber) -> String {
        "\(path)/\(kind)-\(sequence.rawValue.digits(12))"
    }

    private func sequences(of kind: String) throws -> [SequenceNumber] {
        try FileManager.default.contentsOfDirectory(atPath: path).compactMap { name in
            guard name.hasPrefix(kind + "-"), let number = UInt64(name.dropFirst(kind.count + 1)) else { return nil }
            return SequenceNumber(number)
        }.sorted()
    }

    /// Removes all snapshots and records.
    func clear() throws {
        snapshots = []
        segments = []
        recent = []
        for name in try FileManager.default.contentsOfDirectory(atPath: path)
        where name.hasPrefix("snapshot-") || name.hasPrefix("records-") {
            unlink(path + "/" + name)
        }
    }

    /// Begins anew with the state of `reducer`.
    func begin(_ reducer: some LogReducer, at sequence: SequenceNumber, hash: LogHash) throws {
        try clear()
        try writeSnapshot(reducer, at: sequence, hash: hash)
    }

    /// Begins anew with a snapshot file from elsewhere, and makes `reducer` its state.
    func begin(with file: String, _ reducer: inout some LogReducer) throws -> LogSnapshotFile.Info {
        let source = try LogSnapshotFile(opening: file, verify: true)
        try source.restore(&reducer)
        try clear()
        let own = name("snapshot", source.info.sequence)
        try source.place(as: own)
        snapshots = [try LogSnapshotFile(opening: own, verify: false)]
        segments = [
            try LogSegment(
                creating: name("records", source.info.sequence), base: source.info.sequence, hash: source.info.hash)
        ]
        return source.info
    }

    /// Reads what an earlier process left, makes `reducer` the newest state, and says where that is; nil where there
    /// is nothing.
    func load(_ reducer: inout some LogReducer) throws -> (sequence: SequenceNumber, hash: LogHash)? {
        for name in try FileManager.default.contentsOfDirectory(atPath: path) where name.hasSuffix(".partial") {
            unlink(path + "/" + name)
        }
        let found = try sequences(of: "snapshot")
        guard !found.isEmpty else {
            guard try sequences(of: "records").isEmpty else {
                throw LogError.storage("\(path) holds records but no snapshot that they follow")
            }
            return nil
        }
        snapshots = try found.enumerated().map { index, sequence in
            let file = try LogSnapshotFile(opening: name("snapshot", sequence), verify: index == 0)
            guard file.info.sequence == sequence else {
                throw LogError.storage("\(file.path) is a snapshot of sequence \(file.info.sequence)")
            }
            return file
        }
        try snapshots[0].restore(&reducer)
        var sequence = snapshots[0].info.sequence
        var hash = snapshots[0].info.hash
        let bases = try sequences(of: "records")
        for base in bases where base < sequence { unlink(name("records", base)) }
        let kept = bases.filter { $0 >= sequence }
        for base in kept {
            guard base == sequence else {
                throw LogError.storage("\(path): records after \(sequence) are missing before \(base)")
            }
            let opened = try LogSegment(
                opening: name("records", base), base: base, hash: hash, isLast: base == kept.last
            ) { sequence, payload in
                try reducer.apply(payload, at: sequence)
                remember(sequence, payload)
            }
            let segment = try opened ?? LogSegment(creating: name("records", base), base: base, hash: hash)
            segments.append(segment)
            sequence = segment.last
            hash = segment.entries.last?.hash ?? hash
        }
        let newest = snapshots[snapshots.count - 1].info.sequence
        guard newest <= sequence else {
            throw LogError.storage("\(path) holds a snapshot beyond its last record \(sequence)")
        }
        // The process may have ended between a snapshot and the file for the records after it.
        if segments.isEmpty || segments[segments.count - 1].base < newest {
            guard newest == sequence else {
                throw LogError.storage("\(path): records after \(newest) lie in the file before its snapshot")
            }
            segments.append(try LogSegment(creating: name("records", sequence), base: sequence, hash: hash))
        }
        return (sequence, hash)
    }

    /// Digests and hashes of all records, ascending, for the core to know duplicates by.
    var entries: [(digest: String, hash: LogHash)] {
        segments.flatMap { $0.entries.map { ($0.digest, $0.hash) } }
    }

    private func remember(_ sequence: SequenceNumber, _ payload: LogPayload) {
        recent.append((sequence, payload))
        if recent.count > recentCount { recent.removeFirst() }
    }

    /// Makes the next record durable.
    func append(
        _ payload: LogPayload, pieces: [SharedBytes], at sequence: SequenceNumber, digest: String, hash: LogHash
    ) throws {
        let segment = segments[segments.count - 1]
        precondition(sequence == segment.last.next, "records are stored in order")
        try segment.append(pieces, digest: digest, hash: hash)
        remember(sequence, payload)
    }

    func record(_ sequence: SequenceNumber) throws -> LogPayload {
        if let first = recent.first, sequence >= first.sequence, sequence <= recent[recent.count - 1].sequence {
            return recent[Int(sequence.rawValue - first.sequence.rawValue)].payload
        }
        guard let segment = segments.last(where: { $0.base < sequence }), sequence <= segment.last else {
            throw LogError.storage("record \(sequence) is not in \(path)")
        }
        return try segment.record(sequence)
    }

    /// Writes the state as a snapshot and begins a new file of records after it.
    @discardableResult
    func writeSnapshot(_ reducer: some LogReducer, at sequence: SequenceNumber, hash: LogHash) throws -> LogSnapshotFile
    {
        if let known = snapshots.last, known.info.sequence == sequence { return known }
        let file = try LogSnapshotFile(
            writing: reducer, sequence: sequence, hash: hash, to: name("snapshot", sequence))
        do {
            segments.append(try LogSegment(creating: name("records", sequence), base: sequence, hash: hash))
        } catch {
            // Records go on in the file before: a snapshot amid them would look like damage to the next start.
            unlink(name("records", sequence))
            unlink(file.path)
            throw error
        }
        snapshots.append(file)
        return file
    }

    /// Drops what only sequences before `oldest` need.
    ///
    /// - Precondition: there is a snapshot of exactly `oldest`.
    func drop(before oldest: SequenceNumber) throws {
        precondition(snapshots.contains { $0.info.sequence == oldest }, "a snapshot must be left to start from")
        // Snapshots go first: records that no snapshot needs are removed when the folder is next read, while a
        // snapshot without its records would be damage.
        for snapshot in snapshots where snapshot.info.sequence < oldest { unlink(snapshot.path) }
        try DurableFile.syncFolder(of: path + "/log.json")
        for segment in segments where segment.base < oldest { unlink(segment.path) }
        segments.removeAll { $0.base < oldest }
        snapshots.removeAll { $0.info.sequence < oldest }
    }
}
