import Basics
import Foundation
import Glibc
import Testing

@testable import Wire

@Suite struct LogStorageTests {
    let folder = LogTestFolder()
    let writer = LogPeer(id: [1])
    let compute = Sender(run: "r", name: "compute-1")

    /// A log of five records with a checkpoint at 3, and the bytes of its last file.
    private func written() throws -> (last: String, bytes: [UInt8]) {
        let bench = try LogBench(folder.path)
        try bench.fill(writer, compute, epoch: 7, through: 3)
        try bench.ask(
            writer, compute, .checkpoint, epoch: 7,
            LogCheckpointRequest(request: 2, sequence: SequenceNumber(3), folder: folder.path))
        for sequence in 4...5 { try bench.append(writer, compute, 7, UInt64(sequence)) }
        let last = folder.file("records-000000000003")
        return (last, [UInt8](try #require(FileManager.default.contents(atPath: last))))
    }

    /// A checkpoint fails between its snapshot and the file for the records after it, as on a full disk: the log goes on,
    /// and its files are sound for the next start.
    @Test func checkpointThatFailsHalfwayDamagesNothing() throws {
        let next = folder.file("records-000000000005")
        do {
            _ = try written()
            let bench = try LogBench(folder.path)
            try bench.ask(writer, compute, .open, epoch: 7, LogOpen(request: 1, sequence: SequenceNumber(5)))
            try FileManager.default.createDirectory(atPath: next, withIntermediateDirectories: false)
            let request = LogCheckpointRequest(request: 2, sequence: SequenceNumber(5), folder: folder.path)
            let refused = try bench.ask(writer, compute, .checkpoint, epoch: 7, request)
            #expect(try refused.first?.decodeBody(LogRefusal.self).code == .storage)
            #expect(!FileManager.default.fileExists(atPath: folder.file("snapshot-000000000005")))
            try FileManager.default.removeItem(atPath: next)
            try bench.append(writer, compute, 7, 6)
        }
        let bench = try LogBench(folder.path)
        #expect(bench.engine.position.sequence == SequenceNumber(6))
    }

    @Test func bankGoesOnInTheEpochThatItsLogWasOpenedInAndInNoOther() throws {
        #expect(LogStart.within(Epoch(7), folder: folder.path, fresh: .empty) == .empty)
        _ = try written()
        #expect(LogStart.within(Epoch(7), folder: folder.path, fresh: .empty) == .existing)
        #expect(LogStart.within(Epoch(8), folder: folder.path, fresh: .snapshot("s")) == .snapshot("s"))
        // A start of epoch 8 that died before compute opened it has acknowledged nothing.
        _ = try LogBench(folder.path, start: .empty, knownEpoch: Epoch(7))
        #expect(LogStart.within(Epoch(7), folder: folder.path, fresh: .empty) == .empty)
        #expect(LogStart.within(Epoch(8), folder: folder.path, fresh: .empty) == .empty)
    }

    @Test func newStartDoesNotNeedWhatADamagedOneLeft() throws {
        _ = try written()
        try overwrite(folder.file("log.json"), Array("{".utf8))
        #expect(throws: LogError.self) { _ = try LogBench(folder.path) }
        #expect(LogStart.within(Epoch(7), folder: folder.path, fresh: .empty) == .empty)
        let bench = try LogBench(folder.path, start: .empty, knownEpoch: Epoch(7))
        try bench.fill(writer, compute, epoch: 8, through: 2)
        #expect(bench.engine.position.epoch == Epoch(8))
    }

    private func overwrite(_ path: String, _ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { try DurableFile.write($0, to: path) }
    }

    @Test func goesOnWhereTheLastDurableRecordIs() throws {
        _ = try written()
        let bench = try LogBench(folder.path)
        #expect(
            bench.engine.position
                == .init(epoch: Epoch(7), sequence: SequenceNumber(5), hash: try Ring.model(5)[5].hash))
        // The same start of compute may go on, and every record is still known.
        let answer = try bench.ask(writer, compute, .open, epoch: 7, LogOpen(request: 1, sequence: SequenceNumber(4)))
        #expect(answer.first?.header.type == "log.opened")
        #expect(try bench.append(writer, compute, 7, 2).first?.header.type == "log.acknowledged")
        #expect(bench.engine.statistics.duplicates == 1)
        #expect(
            try bench.append(writer, compute, 7, 6).first?.decodeBody(LogAcknowledged.self).hash
                == Ring.model(6)[6].hash)
    }

    /// Whatever a crash leaves of the last record is cut off; the ones before it stay.
    @Test func cutsAnUnfinishedLastRecordAtEveryLength() throws {
        let (last, bytes) = try written()
        let head = LogSegment.headBytes
        let firstLength = Int(bytes[head..<head + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) })
        let endOfFirst = head + LogSegment.recordHeadBytes + firstLength
        for length in endOfFirst..<bytes.count {
            try overwrite(last, Array(bytes[..<length]))
            let bench = try LogBench(folder.path)
            #expect(bench.engine.position.sequence == SequenceNumber(4), "cut at \(length) of \(bytes.count)")
            if length % 17 == 0 {
                try bench.ask(writer, compute, .open, epoch: 7, LogOpen(request: 1, sequence: SequenceNumber(4)))
                try bench.append(writer, compute, 7, 5)
                let again = FileManager.default.contents(atPath: last).map { [UInt8]($0) }
                #expect(again == bytes, "cut at \(length)")
            }
        }
        for length in 0..<head {
            try overwrite(last, Array(bytes[..<length]))
            #expect(try LogBench(folder.path).engine.position.sequence == SequenceNumber(3))
        }
    }

    /// A file system may have extended the file without having written all its pages.
    @Test func cutsALastRecordOfZerosOrNoise() throws {
        let (last, bytes) = try written()
        try overwrite(last, bytes + [UInt8](repeating: 0, count: 500))
        #expect(try LogBench(folder.path).engine.position.sequence == SequenceNumber(5))
        var torn = bytes
        torn[bytes.count - 1] ^= 1
        try overwrite(last, torn)
        #expect(try LogBench(folder.path).engine.position.sequence == SequenceNumber(4))
    }

    @Test func refusesDamageThatIsNoUnfinishedRecord() throws {
        let (last, bytes) = try written()
        // Any byte of the file's head, and a byte of record 4's sequence, hash and payload.
        let head = LogSegment.headBytes
        for index in Array(0..<head) + [head + 8, head + 100, head + LogSegment.recordHeadBytes + 3] {
            var damaged = bytes
            damaged[index] ^= 1
            try overwrite(last, damaged)
            #expect(throws: LogError.self, "byte \(index)") { try LogBench(folder.path) }
        }
        try overwrite(last, bytes)
        unlink(folder.file("records-000000000000"))
        #expect(throws: LogError.self) { try LogBench(folder.path) }
    }

    @Test func refusesADamagedSnapshotAndNamesIt() throws {
        _ = try written()
        let path = folder.file("bank.snapshot")
        let bytes = [UInt8](try #require(FileManager.default.contents(atPath: path)))
        let copy = LogTestFolder()
        for length in 0..<bytes.count {
            try overwrite(copy.file("x"), Array(bytes[..<length]))
            #expect(throws: LogError.self, "\(length) bytes") {
                try LogSnapshotFile(opening: copy.file("x"), verify: true)
            }
        }
        for index in bytes.indices where !(8..<80).contains(index) {
            var damaged = bytes
            damaged[index] ^= 1
            try overwrite(copy.file("x"), damaged)
            #expect(throws: LogError.self, "byte \(index)") {
                try LogSnapshotFile(opening: copy.file("x"), verify: true)
            }
        }
        do {
            _ = try LogBench(folder.file("other"), start: .snapshot(copy.file("x")))
            Issue.record("a damaged snapshot was accepted")
        } catch {
            #expect("\(error)".contains(copy.file("x")))
        }
    }

    @Test func startsFromASnapshotWithTheSameHashAndBytesAsTheUninterruptedLog() throws {
        _ = try written()
        let other = LogTestFolder()
        let bench = try LogBench(other.path, start: .snapshot(folder.file("bank.snapshot")), knownEpoch: Epoch(7))
        #expect(
            bench.engine.position
                == .init(epoch: Epoch(7), sequence: SequenceNumber(3), hash: try Ring.model(3)[3].hash))
        let successor = Sender(run: "r", name: "compute-1")
        try bench.fill(writer, successor, epoch: 8, from: 3, through: 5)
        #expect(bench.engine.position.hash == (try Ring.model(5)[5].hash))
        for name in ["snapshot-000000000003", "records-000000000003"] {
            #expect(
                FileManager.default.contents(atPath: folder.file(name))
                    == FileManager.default.contents(atPath: other.file(name)))
        }
        // A start from a checkpoint forgets what came after it.
        let back = try LogBench(folder.path, start: .snapshot(folder.file("bank.snapshot")))
        #expect(back.engine.position.sequence == SequenceNumber(3))
        #expect(back.engine.position.epoch == Epoch(7))
        let zombie = try back.append(writer, compute, 7, 4)
        #expect(zombie.first?.header.type == "log.refused")
        #expect(try LogBench(folder.path, start: .empty).engine.position.sequence == SequenceNumber(0))
    }

    @Test func refusesTheStorageOfAnotherRun() throws {
        _ = try written()
        #expect(throws: LogError.self) {
            try LogServerEngine(
                folder: folder.path, reducer: Ring(), start: .existing, knownEpoch: Epoch(0),
                sender: Sender(run: "other", name: "bank-1"), settings: LogSettings(), onNote: { _ in })
        }
    }

    @Test func renamedRunBeginsAnewInTheStorageOfItsOldName() throws {
        _ = try written()
        let renamed = Sender(run: "other", name: "bank-1")
        for start in [LogStart.empty, .existing] {
            let engine = try LogServerEngine(
                folder: folder.path, reducer: Ring(), start: start, knownEpoch: Epoch(9), sender: renamed,
                settings: LogSettings(), onNote: { _ in })
            #expect(engine.position.sequence == SequenceNumber(0))
        }
    }

    @Test func snapshotTakesAnotherNameOrLeavesNothingAside() throws {
        let file = try LogSnapshotFile(
            writing: Ring(capacity: 3), sequence: SequenceNumber(0), hash: .empty, to: folder.file("s"))
        // The second time the name is one of the same file already.
        for _ in 1...2 { try file.place(as: folder.file("t")) }
        #expect(try LogSnapshotFile(opening: folder.file("t"), verify: true).sequence == SequenceNumber(0))
        try FileManager.default.createDirectory(atPath: folder.file("taken"), withIntermediateDirectories: false)
        let error = #expect(throws: UserError.self) { try file.place(as: folder.file("taken")) }
        #expect(error?.description.contains("Is a directory") == true)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["s", "t", "taken"])
    }

    @Test func snapshotFileHasTheseBytes() throws {
        var ring = Ring(capacity: 3)
        _ = try ring.reduce(Ring.logical(1), at: SequenceNumber(1))
        _ = try LogSnapshotFile(
            writing: ring, sequence: SequenceNumber(1), hash: Ring.model(1, capacity: 3)[1].hash, to: folder.file("s"))
        let bytes = [UInt8](try #require(FileManager.default.contents(atPath: folder.file("s"))))
        var reader = Data(bytes)
        func take(_ count: Int) -> Data {
            defer { reader = Data(reader.dropFirst(count)) }
            return Data(reader.prefix(count))
        }
        #expect(take(8) == Data("PFSNAP01".utf8))
        #expect(take(8) == Data([1, 0, 0, 0, 0, 0, 0, 0]))
        #expect(take(64) == Data(try Ring.model(1, capacity: 3)[1].hash.rawValue.utf8))
        var parts: [[UInt8]] = []
        for values in [[Int32(ring.next), ring.slots[0], ring.slots[1]], [ring.slots[2]]] {
            let described =
                #"[{"bytes":\#(values.count * 4),"dtype":"int32","name":"slots","shape":[\#(values.count)]}]"#
            var part = Data()
            part.append(contentsOf: [UInt8(described.utf8.count), 0, 0, 0])
            part.append(contentsOf: described.utf8)
            part.append(contentsOf: [2, 0, 0, 0])
            part.append(contentsOf: "{}".utf8)
            for value in values { Swift.withUnsafeBytes(of: value.littleEndian) { part.append(contentsOf: $0) } }
            parts.append([UInt8](part))
            #expect(take(8) == Data([UInt8(part.count), 0, 0, 0, 0, 0, 0, 0]))
            #expect(take(part.count) == part)
        }
        #expect(take(16) == Data([0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]))
        var digest = SHA256()
        for part in parts { digest.update(SharedBytes(part)) }
        #expect(take(64) == Data(digest.hex().utf8))
        #expect(reader.isEmpty)
    }
}
