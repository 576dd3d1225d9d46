import Basics
import Configuration
import Testing

@testable import Contrast

/// A record whose rows all differ: row r points along a direction that encodes its serial number.
private struct Source {
    var serial = 0

    mutating func record(pixels: [ClassID], regions: [(ClassID, ImageID)]) throws -> LogicalRecord {
        var rows: [Float] = []
        for _ in 0..<pixels.count + regions.count {
            rows += Self.row(serial)
            serial += 1
        }
        return try LogicalRecord(
            dimension: 2, pixels: pixels, regions: regions.map { .init(classID: $0.0, image: $0.1) }, rows: rows)
    }

    /// Exact in Float32 and unit length to 1e-7 for serials up to a few thousand.
    static func row(_ serial: Int) -> [Float] {
        let y = Float(serial) / 4096
        return [(1 - y * y).squareRoot(), y]
    }

    static func serial(_ row: [Float]) -> Int { Int(row[1] * 4096) }
}

@Suite struct MemoryTests {
    private func shape(_ classes: Int = 3, T: Int, cap: Int = 4, images: Int = 8) throws -> MemoryShape {
        try MemoryShape(classes: classes, dimension: 2, pixelCapacity: T, regionCapacity: cap, images: images)
    }

    private func serials(_ memory: Memory, _ classID: ClassID, _ part: MemoryPart) -> [Int] {
        (0..<memory.filled(classID, part)).map { Source.serial(memory.vector(classID, part, slot: $0)) }
    }

    /// The model is a plain array that drops from its front.
    @Test func ringHoldsTheNewestRowsForAllSmallLengthsAndRecordSizes() throws {
        for T in 1...7 {
            for first in 0...9 {
                for second in 0...9 {
                    var source = Source()
                    var ledger = MemoryLedger(shape: try shape(T: T))
                    var memory = Memory(shape: try shape(T: T))
                    var model: [Int] = []
                    for count in [first, second, first, 1, second] {
                        let before = source.serial
                        let record = try source.record(pixels: Array(repeating: 1, count: count), regions: [])
                        try memory.apply(ledger.plan(record), record: record)
                        model += before..<before + count
                        model = Array(model.suffix(T))
                        #expect(serials(memory, 1, .pixels).sorted() == model)
                        #expect(memory.filled(1, .pixels) == ledger.filled(1, .pixels))
                        #expect(memory.filled(0, .pixels) == 0 && memory.filled(2, .pixels) == 0)
                    }
                }
            }
        }
    }

    @Test func ringAdvancesByTheRowsWritten() throws {
        var source = Source()
        var ledger = MemoryLedger(shape: try shape(T: 10))
        let first = try ledger.plan(source.record(pixels: [0, 0, 0], regions: []))
        let second = try ledger.plan(source.record(pixels: [0, 0], regions: []))
        #expect(first.map(\.slot) == [0, 1, 2])
        #expect(second.map(\.slot) == [3, 4])
    }

    @Test func wrapAroundOverwritesTheOldestNotTheNewest() throws {
        var source = Source()
        var ledger = MemoryLedger(shape: try shape(T: 5))
        var memory = Memory(shape: try shape(T: 5))
        for count in [4, 3] {
            let record = try source.record(pixels: Array(repeating: 0, count: count), regions: [])
            try memory.apply(ledger.plan(record), record: record)
        }
        // Slots 0 and 1 held the oldest rows; row 3, written last before the wrap, is still there.
        #expect(serials(memory, 0, .pixels) == [5, 6, 2, 3, 4])
    }

    @Test func everyClassIsStoredClassZeroToo() throws {
        var source = Source()
        var ledger = MemoryLedger(shape: try shape(T: 5))
        var memory = Memory(shape: try shape(T: 5))
        let record = try source.record(pixels: [2, 0, 1, 0], regions: [(0, 5), (2, 5)])
        try memory.apply(ledger.plan(record), record: record)
        #expect(serials(memory, 0, .pixels) == [1, 3])
        #expect(serials(memory, 1, .pixels) == [2])
        #expect(serials(memory, 2, .pixels) == [0])
        #expect(serials(memory, 0, .regions) == [4])
        #expect(serials(memory, 1, .regions) == [])
        #expect(serials(memory, 2, .regions) == [5])
    }

    /// The model is a plain array of (image, serial), oldest first.
    @Test(arguments: 1...5) func regionTableMatchesAPlainListForEveryCap(cap: Int) throws {
        for seed in 0..<20 {
            var stream = KeyedRandom(seed: UInt64(seed), purpose: "test")
            let shape = try shape(2, T: 1, cap: cap, images: 6)
            var source = Source()
            var ledger = MemoryLedger(shape: shape)
            var memory = Memory(shape: shape)
            var model: [[(image: Int, serial: Int)]] = [[], []]
            for _ in 0..<40 {
                var regions: [(ClassID, ImageID)] = []
                for _ in 0..<stream.below(5) {
                    let c = stream.below(2)
                    let image = stream.below(6)
                    let serial = source.serial + regions.count
                    regions.append((ClassID(c), ImageID(image)))
                    model[c].removeAll { $0.image == image }
                    if model[c].count == cap { model[c].removeFirst() }
                    model[c].append((image, serial))
                }
                let record = try source.record(pixels: [], regions: regions)
                try memory.apply(ledger.plan(record), record: record)
                for c in 0..<2 {
                    #expect(serials(memory, ClassID(c), .regions).sorted() == model[c].map(\.serial), "seed \(seed)")
                    for (image, serial) in model[c] {
                        let slot = try #require(ledger.classes[c].slotOfImage[ImageID(image)])
                        #expect(
                            Source.serial(memory.vector(ClassID(c), .regions, slot: slot)) == serial, "seed \(seed)")
                    }
                }
            }
        }
    }

    @Test func anUpdateMakesARegionTheNewest() throws {
        var source = Source()
        var ledger = MemoryLedger(shape: try shape(T: 1, cap: 2))
        _ = try ledger.plan(source.record(pixels: [], regions: [(0, 1), (0, 2), (0, 1), (0, 3)]))
        #expect(Set(ledger.classes[0].slotOfImage.keys) == [1, 3])
    }

    @Test func withoutACapEveryImageKeepsItsRegion() throws {
        let shape = try MemoryShape(settings: ContrastSettings(), classes: 2, dimension: 2, images: 30)
        #expect(shape.pixelCapacity == 300 && shape.regionCapacity == 30)
        var source = Source()
        var ledger = MemoryLedger(shape: shape)
        for image in 0..<30 { _ = try ledger.plan(source.record(pixels: [], regions: [(1, ImageID(image))])) }
        #expect((0..<30).allSatisfy { ledger.classes[1].slotOfImage[ImageID($0)] == $0 })
        var capped = ContrastSettings()
        capped.regionCap = 7
        capped.pixelQueue = 55
        let small = try MemoryShape(settings: capped, classes: 2, dimension: 2, images: 30)
        #expect(small.regionCapacity == 7 && small.pixelCapacity == 55)
    }

    @Test func partsOfNoCapacityStayEmpty() throws {
        let shape = try shape(T: 0, cap: 0)
        var source = Source()
        var ledger = MemoryLedger(shape: shape)
        #expect(try ledger.plan(source.record(pixels: [0], regions: [(0, 1)])).isEmpty)
    }

    @Test func badRecordsAreRefusedAndLeaveTheLedgerAlone() throws {
        var source = Source()
        var ledger = MemoryLedger(shape: try shape(T: 5))
        _ = try ledger.plan(source.record(pixels: [0, 1], regions: [(0, 1)]))
        let before = ledger
        #expect(throws: MemoryError.classOutOfRange(3, classes: 3)) {
            try ledger.plan(source.record(pixels: [0, 3], regions: []))
        }
        #expect(throws: MemoryError.classOutOfRange(200, classes: 3)) {
            try ledger.plan(source.record(pixels: [0], regions: [(200, 1)]))
        }
        #expect(throws: MemoryError.imageOutOfRange(8, images: 8)) {
            try ledger.plan(source.record(pixels: [0], regions: [(0, 1), (0, 8)]))
        }
        #expect(throws: MemoryError.dimensionMismatch(memory: 2, given: 1)) {
            try ledger.plan(LogicalRecord(dimension: 1, pixels: [0], regions: [], rows: [1]))
        }
        #expect(ledger == before)
    }

    @Test func badWritesAreRefusedBeforeAnythingIsWritten() throws {
        var memory = Memory(shape: try shape(T: 2))
        let good = SlotWrite(classID: 0, part: .pixels, slot: 0, row: 0)
        let bad: [SlotWrite] = [
            SlotWrite(classID: 0, part: .pixels, slot: 2, row: 0),  // a gap, and beyond the capacity
            SlotWrite(classID: 0, part: .regions, slot: 1, row: 0),  // a gap
            SlotWrite(classID: 0, part: .pixels, slot: -1, row: 0),
            SlotWrite(classID: 3, part: .pixels, slot: 0, row: 0),
            SlotWrite(classID: 0, part: .pixels, slot: 0, row: 1),
            SlotWrite(classID: 0, part: .pixels, slot: 0, row: -1),
        ]
        let rows: [Float] = [1, 0]
        for write in bad {
            #expect(throws: MemoryError.self) {
                try rows.withUnsafeBufferPointer { try memory.apply([good, write], rows: $0, dimension: 2) }
            }
            #expect(memory.totalFilled == 0)
        }
        for (rows, dimension) in [
            ([Float](repeating: 1, count: 2), 2), ([.nan, 0], 2), ([1, 0, 0], 2), ([1, 0, 0], 3),
        ] {
            #expect(throws: MemoryError.self) {
                try rows.withUnsafeBufferPointer { try memory.apply([good], rows: $0, dimension: dimension) }
            }
        }
        #expect(memory.totalFilled == 0)
    }

    @Test func copiesAreIndependent() throws {
        var memory = try makeMemory(dimension: 2, [(pixels: [1, 0, 1, 0], regions: [])])
        let old = memory
        try ([0, 1] as [Float]).withUnsafeBufferPointer {
            try memory.apply(
                [
                    SlotWrite(classID: 0, part: .pixels, slot: 1, row: 0),
                    SlotWrite(classID: 0, part: .pixels, slot: 2, row: 0),
                ], rows: $0, dimension: 2)
        }
        #expect(old.vector(0, .pixels, slot: 1) == [1, 0] && old.filled(0, .pixels) == 2)
        #expect(memory.vector(0, .pixels, slot: 1) == [0, 1] && memory.filled(0, .pixels) == 3)
    }
}

@Suite struct SnapshotTests {
    /// A ledger and its memory after some random records.
    private func state(_ seed: UInt64, steps: Int) throws -> (MemoryLedger, Memory, Source) {
        let shape = try MemoryShape(classes: 3, dimension: 2, pixelCapacity: 7, regionCapacity: 3, images: 9)
        var stream = KeyedRandom(seed: seed, purpose: "test")
        var source = Source()
        var ledger = MemoryLedger(shape: shape)
        var memory = Memory(shape: shape)
        for _ in 0..<steps {
            let record = try randomRecord(&stream, &source)
            try memory.apply(ledger.plan(record), record: record)
        }
        return (ledger, memory, source)
    }

    private func randomRecord(_ stream: inout KeyedRandom, _ source: inout Source) throws -> LogicalRecord {
        try source.record(
            pixels: (0..<stream.below(6)).map { _ in ClassID(stream.below(2)) },
            regions: (0..<stream.below(4)).map { _ in (ClassID(stream.below(2)), ImageID(stream.below(9))) })
    }

    private func read(_ bytes: [UInt8], shape: MemoryShape, chunk: Int) throws -> Memory {
        var reader = MemorySnapshotReader(shape: shape)
        for start in stride(from: 0, to: bytes.count, by: chunk) {
            try Array(bytes[start..<min(start + chunk, bytes.count)]).withUnsafeBytes { try reader.append($0) }
        }
        return try reader.finish()
    }

    @Test(arguments: [0, 1, 2, 30]) func snapshotsRestoreInPiecesOfAnySize(steps: Int) throws {
        let (_, memory, _) = try state(UInt64(steps), steps: steps)
        let snapshot = MemorySnapshot(memory)
        let whole = snapshot.bytes(in: 0..<snapshot.byteCount)
        #expect(whole.count == snapshot.byteCount)
        for chunk in [1, 3, 8, 50, 1000] {
            var pieces: [UInt8] = []
            for start in stride(from: 0, to: snapshot.byteCount, by: chunk) {
                pieces += snapshot.bytes(in: start..<min(start + chunk, snapshot.byteCount))
            }
            #expect(pieces == whole)
            let restored = MemorySnapshot(try read(whole, shape: memory.shape, chunk: chunk))
            #expect(restored.bytes(in: 0..<restored.byteCount) == whole)
        }
    }

    @Test func aSnapshotKeepsTheMemoryOfItsMoment() throws {
        var (ledger, memory, source) = try state(3, steps: 10)
        let snapshot = MemorySnapshot(memory)
        let before = snapshot.bytes(in: 0..<snapshot.byteCount)
        let record = try source.record(pixels: [0, 1, 0, 1], regions: [(0, 1)])
        try memory.apply(ledger.plan(record), record: record)
        #expect(snapshot.bytes(in: 0..<snapshot.byteCount) == before)
    }

    @Test func aRestoredLedgerPlansWhatTheOriginalPlans() throws {
        for seed in 0..<20 as Range<UInt64> {
            var (ledger, _, source) = try state(seed, steps: Int(seed) * 2)
            let bytes = ledger.encoded()
            var restored = try MemoryLedger(decoding: bytes)
            #expect(restored == ledger && restored.encoded() == bytes)
            var stream = KeyedRandom(seed: seed, purpose: "test", step: 1)
            for _ in 0..<20 {
                let record = try randomRecord(&stream, &source)
                #expect(try ledger.plan(record) == restored.plan(record))
            }
            #expect(restored.encoded() == ledger.encoded())
        }
    }

    @Test func everyTruncationIsRefused() throws {
        let (ledger, memory, _) = try state(5, steps: 20)
        let bytes = ledger.encoded()
        for count in 0..<bytes.count {
            #expect(throws: MemoryError.self) { try MemoryLedger(decoding: Array(bytes[..<count])) }
        }
        #expect(throws: MemoryError.self) { try MemoryLedger(decoding: bytes + [0]) }
        let snapshot = MemorySnapshot(memory)
        let whole = snapshot.bytes(in: 0..<snapshot.byteCount)
        for count in 0..<whole.count {
            #expect(throws: MemoryError.self) { try read(Array(whole[..<count]), shape: memory.shape, chunk: 64) }
        }
        #expect(throws: MemoryError.self) { try read(whole + [0], shape: memory.shape, chunk: 64) }
    }

    @Test func otherShapesAndLyingCountsAreRefused() throws {
        let (ledger, memory, _) = try state(6, steps: 20)
        let snapshot = MemorySnapshot(memory)
        let whole = snapshot.bytes(in: 0..<snapshot.byteCount)
        let other = try MemoryShape(classes: 3, dimension: 2, pixelCapacity: 8, regionCapacity: 3, images: 9)
        #expect(throws: MemoryError.snapshot("is of a memory of another shape")) {
            try read(whole, shape: other, chunk: 64)
        }
        // Any one bit of the headers: refused or harmless, never a crash.
        for position in 0..<28 + 24 {
            for bit in 0..<8 {
                var bent = whole
                bent[position] ^= 1 << bit
                #expect(throws: MemoryError.self) { try read(bent, shape: memory.shape, chunk: 64) }
            }
        }
        let bytes = ledger.encoded()
        for position in bytes.indices {
            for bit in 0..<8 {
                var bent = bytes
                bent[position] ^= 1 << bit
                if let ledger = try? MemoryLedger(decoding: bent) { #expect(ledger.encoded() == bent) }
            }
        }
        // A row that is no unit vector.
        var bent = whole
        bent[whole.count - 1] = 0x7f
        #expect(throws: MemoryError.self) { try read(bent, shape: memory.shape, chunk: 64) }
    }
}
