import Basics
import Contrast
import Foundation
import Testing
import Wire

@testable import BankStage
@testable import MemoryKit
@testable import StageKit

/// The memory behind the log: what the bank decides, followers copy, and a checkpoint keeps.
@Suite struct MemoryLogTests {
    let shape: MemoryShape

    init() throws { shape = try MemoryShape(classes: 3, dimension: 4, pixelCapacity: 5, regionCapacity: 2, images: 6) }

    private func unitRow(_ random: inout KeyedRandom) -> [Float] {
        let row = (0..<4).map { _ in random.uniform(-1, 1) + 0.01 }
        let length = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return row.map { $0 / length }
    }

    /// More rows than a ring holds now and then, and images that return.
    private func record(_ step: UInt64) -> MemoryRecord {
        var random = KeyedRandom(seed: 5, purpose: "memory-log", step: step)
        let pixels = random.below(9)
        let regions = random.below(4)
        var rows: [Float] = []
        for _ in 0..<(pixels + regions) { rows += unitRow(&random) }
        return MemoryRecord(
            step: step, images: [Int(step) % 6], dimension: 4,
            pixelClasses: (0..<pixels).map { _ in Int32(random.below(3)) },
            regionClasses: (0..<regions).map { _ in Int32(random.below(3)) },
            regionImages: (0..<regions).map { _ in Int32(random.below(6)) }, rows: rows)
    }

    /// Ranks have stretches of a mini-batch's images, so a record's pixels and regions are stretches too.
    @Test func ranksPartsJoinToTheRecordOfTheWholeMiniBatch() throws {
        for step in 1...20 as ClosedRange<UInt64> {
            let whole = record(step)
            let (pixels, regions) = (whole.pixelClasses.count, whole.regionClasses.count)
            let parts = (0..<3).map { rank -> MemoryRecord in
                let p = pixels * rank / 3..<pixels * (rank + 1) / 3
                let r = regions * rank / 3..<regions * (rank + 1) / 3
                return MemoryRecord(
                    step: step, images: rank == 1 ? whole.images : [], dimension: 4,
                    pixelClasses: Array(whole.pixelClasses[p]), regionClasses: Array(whole.regionClasses[r]),
                    regionImages: Array(whole.regionImages[r]),
                    rows: Array(whole.rows[p.lowerBound * 4..<p.upperBound * 4])
                        + Array(whole.rows[(pixels + r.lowerBound) * 4..<(pixels + r.upperBound) * 4]))
            }
            let joined = try MemoryReducer(shape: shape).join(
                parts.map { try $0.encode() }, at: SequenceNumber(step))
            #expect(try joined.digest() == whole.encode().digest(), "step \(step)")
        }
        let other = try [record(1), record(2)].map { try $0.encode() }
        #expect(throws: WireError.self) { try MemoryReducer(shape: shape).join(other, at: SequenceNumber(1)) }
    }

    private func contents(_ memory: Memory) -> [[Float]] {
        var all: [[Float]] = []
        for c in 0..<3 {
            for part in MemoryPart.allCases {
                for slot in 0..<memory.filled(ClassID(c), part) {
                    all.append(memory.vector(ClassID(c), part, slot: slot))
                }
                all.append([])
            }
        }
        return all
    }

    private func bytes(_ state: MemoryReducer) throws -> [[UInt8]] {
        var parts: [[UInt8]] = []
        try state.writeSnapshot { part in
            parts.append(try part.encodedPieces().flatMap { $0.array(of: UInt8.self) })
        }
        return parts
    }

    private func restored<State: LogReplica>(_ source: MemoryReducer, into empty: State, at sequence: UInt64) throws
        -> State
    {
        var state = empty
        var parts: [LogPayload] = []
        try source.writeSnapshot { parts.append($0) }
        try state.beginRestore()
        for part in parts { try state.restore(part) }
        try state.endRestore(at: SequenceNumber(sequence))
        return state
    }

    @Test func replicasAndAReplayedBankEqualTheBankAtEveryStep() throws {
        var bank = MemoryReducer(shape: shape)
        var replayed = MemoryReducer(shape: shape)
        var replica = MemoryReplica(shape: shape)
        for step in 1...60 as ClosedRange<UInt64> {
            let sequence = SequenceNumber(step)
            let physical = try bank.reduce(record(step).encode(), at: sequence)
            try replica.apply(physical, at: sequence)
            try replayed.apply(physical, at: sequence)
            #expect(contents(replica.memory) == contents(bank.memory), "step \(step)")
            #expect(try bytes(replayed) == bytes(bank), "step \(step)")
            if step % 7 == 0 {
                let late = try restored(bank, into: MemoryReplica(shape: shape), at: step)
                #expect(contents(late.memory) == contents(bank.memory))
                // The bank that starts from the snapshot decides as the one that wrote it.
                replayed = try restored(bank, into: MemoryReducer(shape: shape), at: step)
            }
        }
        #expect(bank.memory.totalFilled == 3 * (5 + 2))
    }

    @Test func physicalRecordHasThisForm() throws {
        var bank = MemoryReducer(shape: shape)
        let record = MemoryRecord(
            step: 1, images: [2], dimension: 4, pixelClasses: [0, 2], regionClasses: [2], regionImages: [4],
            rows: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0])
        let logical = try record.encode()
        #expect(String(decoding: logical.body, as: UTF8.self) == #"{"images":[2],"step":1}"#)
        #expect(logical.tensors.map(\.name) == ["pixels", "pixelClasses", "regions", "regionClasses", "regionImages"])
        let physical = try bank.reduce(logical, at: SequenceNumber(1))
        #expect(String(decoding: physical.body, as: UTF8.self) == #"{"step":1}"#)
        #expect(
            try physical.tensor("writes").bytes.array(of: Int32.self) == [
                0, 0, 0, 0, -1, 2, 0, 0, 1, -1, 2, 1, 0, 2, 4,
            ])
        #expect(try physical.tensor("rows").bytes.array(of: Float.self) == record.rows)
        #expect(bank.ledger.filled(2, .regions) == 1)
    }

    @Test func anEmptyStepIsARecordToo() throws {
        var bank = MemoryReducer(shape: shape)
        let none = MemoryRecord(
            step: 1, images: [], dimension: 4, pixelClasses: [], regionClasses: [], regionImages: [], rows: [])
        let physical = try bank.reduce(none.encode(), at: SequenceNumber(1))
        var replica = MemoryReplica(shape: shape)
        try replica.apply(physical, at: SequenceNumber(1))
        #expect(replica.memory.totalFilled == 0)
    }

    @Test func refusesBadLogicalRecordsAndStaysAsItWas() throws {
        var bank = MemoryReducer(shape: shape)
        _ = try bank.reduce(record(1).encode(), at: SequenceNumber(1))
        let before = try bytes(bank)
        let good = MemoryRecord(
            step: 2, images: [1], dimension: 4, pixelClasses: [0], regionClasses: [1], regionImages: [1],
            rows: [1, 0, 0, 0, 0, 1, 0, 0])
        func refused(_ what: String, _ change: (inout MemoryRecord) -> Void) throws {
            var bad = good
            change(&bad)
            let payload = try bad.encode()
            #expect(throws: (any Error).self, "\(what)") { try bank.reduce(payload, at: SequenceNumber(2)) }
            #expect(try bytes(bank) == before, "\(what)")
        }
        try refused("class too large") { $0.pixelClasses = [3] }
        try refused("class far too large") { $0.regionClasses = [300] }
        try refused("negative class") { $0.regionClasses = [-1] }
        try refused("image too large") { $0.regionImages = [6] }
        try refused("negative image") { $0.regionImages = [-5] }
        try refused("batch image") { $0.images = [6] }
        try refused("step of another sequence") { $0.step = 3 }
        try refused("not finite") { $0.rows[0] = .nan }
        try refused("infinite") { $0.rows[4] = .infinity }
        try refused("not of unit length") { $0.rows[0] = 2 }
        try refused("another dimension") {
            $0.dimension = 2
            $0.rows = [1, 0, 1, 0]
        }
        var short = good
        short.rows.removeLast()
        #expect(throws: WireError.self) { try short.encode() }
        var missing = try good.encode()
        for index in missing.tensors.indices {
            var tensors = missing.tensors
            tensors.remove(at: index)
            #expect(throws: (any Error).self) {
                try bank.reduce(LogPayload(body: missing.body, tensors: tensors), at: SequenceNumber(2))
            }
        }
        missing.body = Data("{}".utf8)
        #expect(throws: (any Error).self) { try bank.reduce(missing, at: SequenceNumber(2)) }
        _ = try bank.reduce(good.encode(), at: SequenceNumber(2))
    }

    @Test func replicasRefuseWritesThatDoNotFit() throws {
        let rows = try WireTensor(name: "rows", shape: [1, 4], floats: [1, 0, 0, 0])
        func physical(_ writes: [Int32], rows: WireTensor) throws -> LogPayload {
            LogPayload(
                body: Data(#"{"step":1}"#.utf8),
                tensors: [
                    try WireTensor(
                        name: "writes", dtype: .int32, shape: [writes.count / 5, 5], bytes: SharedBytes(writes)),
                    rows,
                ])
        }
        var replica = MemoryReplica(shape: shape)
        let bad: [[Int32]] = [
            [3, 0, 0, 0, -1], [-1, 0, 0, 0, -1], [256, 0, 0, 0, -1], [0, 2, 0, 0, -1], [0, 0, 1, 0, -1],
            [0, 0, -1, 0, -1],
            [0, 0, 5, 0, -1], [0, 0, 0, 1, -1], [0, 0, 0, -1, -1], [0, 1, 0, 0, -1], [0, 0, 0, 0, 2],
        ]
        for writes in bad {
            let record = try physical(writes, rows: rows)
            #expect(throws: (any Error).self, "\(writes)") { try replica.apply(record, at: SequenceNumber(1)) }
        }
        let fine = try physical([0, 0, 0, 0, -1], rows: rows)
        #expect(throws: (any Error).self) { try replica.apply(fine, at: SequenceNumber(2)) }
        let wide = try WireTensor(name: "rows", shape: [1, 5], floats: [1, 0, 0, 0, 0])
        #expect(throws: (any Error).self) {
            try replica.apply(physical([0, 0, 0, 0, -1], rows: wide), at: SequenceNumber(1))
        }
        #expect(replica.memory.totalFilled == 0)
        try replica.apply(fine, at: SequenceNumber(1))
        #expect(replica.memory.vector(0, .pixels, slot: 0) == [1, 0, 0, 0])
        // A bank that replays checks the decisions too: the next pixel goes to slot 1, not again to slot 0.
        var bank = MemoryReducer(shape: shape)
        try bank.apply(fine, at: SequenceNumber(1))
        var second = fine
        second.body = Data(#"{"step":2}"#.utf8)
        #expect(throws: (any Error).self) { try bank.apply(second, at: SequenceNumber(2)) }
    }

    @Test func refusesSnapshotsThatAreNotWhole() throws {
        var bank = MemoryReducer(shape: shape)
        for step in 1...5 as ClosedRange<UInt64> {
            _ = try bank.reduce(record(step).encode(), at: SequenceNumber(step))
        }
        var parts: [LogPayload] = []
        try bank.writeSnapshot { parts.append($0) }
        #expect(parts.count == 2)
        let other = try MemoryShape(classes: 3, dimension: 4, pixelCapacity: 6, regionCapacity: 2, images: 6)
        #expect(throws: (any Error).self) { try restored(bank, into: MemoryReplica(shape: other), at: 5) }
        #expect(throws: (any Error).self) { try restored(bank, into: MemoryReducer(shape: other), at: 5) }
        var state = MemoryReducer(shape: shape)
        try state.beginRestore()
        try state.restore(parts[0])
        #expect(throws: (any Error).self) { try state.endRestore(at: SequenceNumber(5)) }
        try state.beginRestore()
        try state.restore(parts[1])
        #expect(throws: (any Error).self) { try state.endRestore(at: SequenceNumber(5)) }
        #expect(throws: (any Error).self) { try state.restore(LogPayload()) }
    }

    /// Compute, bank and miner as they are wired in a run.
    @Test func aBankServesAMinerOverASocket() throws {
        let folder = "/tmp/pfbank-\(Incarnation.fresh())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let context = Context()
        let endpoint = try Endpoint("ipc://\(folder)/s")
        let patience = Duration.seconds(30)
        func bank(_ folder: String, _ start: LogStart) throws -> LogServer {
            try LogServer(
                bind: endpoint, as: Sender(run: "r", name: "bank-1"), context: context, folder: folder,
                reducer: WatchedMemory(MemoryReducer(shape: shape), telemetry: nil), start: start)
        }
        var model = MemoryReducer(shape: shape)
        let first = try bank(folder + "/bank", .empty)
        let writer = try LogWriter(connect: endpoint, as: Sender(run: "r", name: "compute-1"), context: context)
        let follower = try LogFollower(
            connect: endpoint, as: Sender(run: "r", name: "miner-1"), replica: MemoryReplica(shape: shape),
            context: context)
        _ = try writer.open(epoch: Epoch(1), at: SequenceNumber(0), timeout: patience)
        for step in 1...12 as ClosedRange<UInt64> {
            try writer.append(SequenceNumber(step), record(step).encode())
            _ = try model.reduce(record(step).encode(), at: SequenceNumber(step))
            let memory = try follower.read(at: SequenceNumber(step), epoch: Epoch(1), timeout: patience) { $0.memory }
            #expect(contents(memory) == contents(model.memory), "step \(step)")
        }
        let checkpoint = try writer.checkpoint(SequenceNumber(12), into: folder, timeout: patience)
        #expect(checkpoint.hash == first.position.hash)
        follower.close()
        writer.close()
        first.stop()
        try first.waitUntilStopped(timeout: patience)

        let second = try bank(folder + "/again", .snapshot(folder + "/bank.snapshot"))
        #expect(second.position.sequence == SequenceNumber(12))
        second.stop()
        try second.waitUntilStopped(timeout: patience)
    }
}
