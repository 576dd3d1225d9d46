import Basics
import Foundation
import Glibc

/// The state at one sequence as a file: what a checkpoint holds, what followers are sent part by part, and what a bank
/// starts from.
///
/// Layout, integers little-endian: `PFSNAP01`, u64 sequence, 64 digits of the hash at that sequence; per part u64
/// length and its payload's bytes; u64 0, u64 parts, 64 digits of the SHA-256 of all payloads' bytes. Neither time nor
/// epoch is in it: equal states at equal histories are equal files.
public final class LogSnapshotFile {
    static let magic = "PFSNAP01"
    static let headBytes = 8 + 8 + 64
    static let tailBytes = 8 + 8 + 64

    /// What a follower is told before it fetches the parts.
    struct Info: Equatable, Sendable {
        var sequence: SequenceNumber
        var hash: LogHash
        var parts: Int
        /// All payloads together.
        var bytes: Int
        var digest: String
    }

    let info: Info
    /// The step that it is of.
    public var sequence: SequenceNumber { info.sequence }
    public var parts: Int { info.parts }
    private let file: LogFile
    private var places: [(offset: Int, length: Int)] = []
    var path: String { file.path }

    /// Opens a snapshot and checks its structure; `verify` also reads every part against the digest.
    ///
    /// - Throws: `LogError.storage` that names the file and what is wrong with it.
    public init(opening path: String, verify: Bool) throws {
        file = try LogFile(reading: path)
        let size = try file.size()
        func damaged(_ why: String) -> LogError { .storage("\(path) is no usable snapshot: \(why)") }
        guard size >= Self.headBytes + Self.tailBytes else { throw damaged("it has only \(size) bytes") }
        let head = try file.read(Self.headBytes, at: 0)
        guard head.text(at: 0, count: 8) == Self.magic else { throw damaged("it does not begin with \(Self.magic)") }
        let hash = LogHash(rawValue: head.text(at: 16, count: 64))
        guard hash.isWellFormed else { throw damaged("its hash is no hash") }
        var offset = Self.headBytes
        var bytes = 0
        while true {
            guard offset + 8 <= size else { throw damaged("it ends within part \(places.count)") }
            let length = try file.read(8, at: offset).integer(at: 0, as: UInt64.self)
            if length == 0 { break }
            guard length <= UInt64(size - offset - 8) else { throw damaged("it ends within part \(places.count)") }
            places.append((offset + 8, Int(length)))
            bytes += Int(length)
            offset += 8 + Int(length)
        }
        guard offset + Self.tailBytes == size else { throw damaged("its end is not where its parts end") }
        let tail = try file.read(Self.tailBytes, at: offset)
        guard tail.integer(at: 8, as: UInt64.self) == UInt64(places.count) else {
            throw damaged("it holds \(places.count) parts and claims another number")
        }
        info = Info(
            sequence: SequenceNumber(head.integer(at: 8)), hash: hash, parts: places.count, bytes: bytes,
            digest: tail.text(at: 16, count: 64))
        guard verify else { return }
        var digest = SHA256()
        for place in places { digest.update(try file.read(place.length, at: place.offset)) }
        guard digest.hex() == info.digest else { throw damaged("its parts do not match its SHA-256") }
    }

    /// Writes the state of a reducer aside, syncs it and renames it into place.
    init(writing reducer: some LogReducer, sequence: SequenceNumber, hash: LogHash, to path: String) throws {
        try DurableFile.write(to: path) { put in
            var head = Data(LogSnapshotFile.magic.utf8)
            head.appendLittleEndian(sequence.rawValue)
            head.append(contentsOf: hash.rawValue.utf8)
            try head.withUnsafeBytes { try put($0) }
            var digest = SHA256()
            var parts: UInt64 = 0
            try reducer.writeSnapshot { part in
                let pieces = try part.encodedPieces()
                var length = Data()
                length.appendLittleEndian(UInt64(pieces.reduce(0) { $0 + $1.count }))
                try length.withUnsafeBytes { try put($0) }
                for piece in pieces {
                    try piece.withUnsafeBytes { try put($0) }
                    digest.update(piece)
                }
                parts += 1
            }
            var tail = Data()
            tail.appendLittleEndian(UInt64(0))
            tail.appendLittleEndian(parts)
            tail.append(contentsOf: digest.hex().utf8)
            try tail.withUnsafeBytes { try put($0) }
        }
        let written = try LogSnapshotFile(opening: path, verify: false)
        info = written.info
        file = written.file
        places = written.places
    }

    /// One part.
    ///
    /// - Precondition: `0 <= index < info.parts`.
    public func part(_ index: Int) throws -> LogPayload {
        let bytes = try file.read(places[index].length, at: places[index].offset)
        return try bytes.withUnsafeBytes { try LogPayload(encoded: $0) }
    }

    /// Makes `state` the one that the file holds.
    func restore(_ state: inout some LogReplica) throws {
        try state.beginRestore()
        for index in 0..<info.parts { try state.restore(part(index)) }
        try state.endRestore(at: info.sequence)
    }

    /// Gives the file another name in `folder`, by a hard link or, across file systems, a copy; durable on return.
    func place(as target: String) throws {
        try DurableFile.replace(target) { aside in
            unlink(aside)
            guard link(path, aside) != 0 else { return }
            let out = try LogFile(creating: aside)
            let size = try file.size()
            var offset = 0
            while offset < size {
                let count = min(size - offset, 8 << 20)
                try out.write([file.read(count, at: offset)])
                offset += count
            }
            try out.sync()
        }
    }
}
