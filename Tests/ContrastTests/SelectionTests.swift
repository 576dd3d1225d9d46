import Basics
import Testing

@testable import Contrast

@Suite struct ExtremeSelectionTests {
    private func expectMatchesASort(_ values: [Float], _ wanted: Int, _ note: String) {
        let order = values.indices.sorted { a, b in values[a] != values[b] ? values[a] > values[b] : a < b }
        var result = [Int32](repeating: -1, count: wanted + 1)
        values.withUnsafeBufferPointer { values in
            result.withUnsafeMutableBufferPointer {
                ExtremeSelection().select(
                    wanted, of: values.baseAddress!, count: values.count, into: $0.baseAddress!)
            }
        }
        #expect(
            result.dropLast().map { Int($0) } == order.prefix(wanted).sorted(), "\(note), \(wanted) of \(values.count)")
        #expect(result.last == -1, "wrote beyond its room")
    }

    @Test func matchesASortForAllSmallSizesAndTies() {
        for count in 1...40 {
            for levels in [1, 2, 5, 1000] {
                var stream = KeyedRandom(seed: UInt64(count), purpose: "test", step: UInt64(levels))
                let values = (0..<count).map { _ in Float(stream.below(levels)) / Float(levels) * 2 - 1 }
                for wanted in 0...count {
                    expectMatchesASort(values, wanted, "levels \(levels)")
                    expectMatchesASort(values.map { -$0 }, wanted, "levels \(levels)")
                }
            }
        }
    }

    /// Spread out, crowded into one bin, and equal: the last two are what embeddings look like when training begins.
    @Test(arguments: [1, 1e-3, 1e-6, 0] as [Float]) func matchesASortForManyValues(spread: Float) {
        for seed in 0..<6 as Range<UInt64> {
            var stream = KeyedRandom(seed: seed, purpose: "test")
            let values = (0..<5000).map { _ in
                spread == 1 ? stream.uniform(-1, 1) : 0.99 + spread * stream.uniform(-1, 1)
            }
            for wanted in [1, 17, 500, 2500, 4999, 5000] {
                expectMatchesASort(values, wanted, "seed \(seed)")
                expectMatchesASort(values.map { -$0 }, wanted, "seed \(seed)")
            }
        }
    }

    @Test func signedZerosAreTies() {
        let values: [Float] = [0, -0.0, 0, -0.0, -0.0, 0]
        for wanted in 0...6 {
            expectMatchesASort(values, wanted, "zeros")
            expectMatchesASort(values.map { -$0 }, wanted, "zeros")
        }
    }

    @Test func limitsOfTheRangeFallIntoBins() {
        let values: [Float] = [1.001, -1.001, 1, -1, 0, 1.0005, -1.0005, 0.9999]
        for wanted in 0...8 {
            expectMatchesASort(values, wanted, "limits")
            expectMatchesASort(values.map { -$0 }, wanted, "limits")
        }
    }

    @Test func quickselectFindsEveryRank() {
        for seed in 0..<30 as Range<UInt64> {
            var stream = KeyedRandom(seed: seed, purpose: "test")
            let count = 1 + stream.below(300)
            // Different numbers in random, ascending or descending order.
            var items = stream.permutation(count).map { UInt64($0) * 3 }
            if seed % 3 == 1 { items.sort() }
            if seed % 3 == 2 { items.sort(by: >) }
            for n in 0..<count {
                var copy = items
                let found = copy.withUnsafeMutableBufferPointer { ExtremeSelection.nthSmallest(n, of: $0) }
                #expect(found == UInt64(n) * 3, "seed \(seed)")
            }
        }
    }
}

@Suite struct CandidateTests {
    /// Which rows of the memory candidates are: all of them, unless some are named.
    private func rows(of set: CandidateSet, _ positions: [Int]? = nil) -> [Int] {
        let positions = positions ?? Array(0..<set.count)
        return [Int32](unsafeUninitializedCapacity: positions.count) { buffer, count in
            set.rows(at: positions, into: buffer.baseAddress!)
            count = positions.count
        }.map { Int($0) }
    }

    private func vectors(of set: CandidateSet, _ positions: Range<Int>) -> [UnsafePointer<Float>] {
        Array(unsafeUninitializedCapacity: positions.count) { buffer, count in
            set.locate(positions, into: buffer.baseAddress!)
            count = positions.count
        }
    }

    @Test func candidatesAreInCanonicalOrderAndFilledOnly() throws {
        // Class 0 and a region part are partly or wholly empty; capacities are larger than what is filled.
        let e: [[Float]] = (0..<6).map { k in (0..<16).map { $0 == k ? 1 : 0 } }
        let memory = try makeMemory(
            dimension: 16,
            [(pixels: [], regions: e[0]), (pixels: e[1] + e[2], regions: []), (pixels: e[3], regions: e[4] + e[5])])
        withExtendedLifetime(memory) {
            let all = MemoryRows(memory)
            #expect(all.count == 6 && all.classes == 3)
            #expect((0..<3).map { all.range(of: ClassID($0)) } == [0..<1, 1..<3, 3..<6])
            func axes(_ set: CandidateSet, _ positions: Range<Int>) -> [Int?] {
                vectors(of: set, positions).map { row in (0..<16).first { row[$0] == 1 } }
            }
            let set = CandidateSet(all, classes: [0, 1, 2])
            #expect(axes(set, 0..<6) == [0, 1, 2, 3, 4, 5])
            #expect(axes(set, 3..<5) == [3, 4])
            #expect(rows(of: set, [1, 2, 5]) == [1, 2, 5])
            let withoutOne = CandidateSet(all, classes: [0, 2])
            #expect(withoutOne.count == 4 && axes(withoutOne, 0..<4) == [0, 3, 4, 5])
            #expect(rows(of: withoutOne, [1, 3]) == [3, 5] && axes(withoutOne, 2..<4) == [4, 5])
            #expect(CandidateSet(all, classes: []).count == 0)
        }
    }

    @Test func aRestrictedSearchSeesARandomNOfEveryClass() throws {
        let seed: UInt64 = 21
        let memory = try makeMemory(
            dimension: 16,
            (0..<3).map { c in
                (
                    pixels: signRows(30, dimension: 16, flips: 0.5, seed: 1, index: c),
                    regions: signRows(10, dimension: 16, flips: 0.5, seed: 2, index: c)
                )
            })
        let memoryRows = MemoryRows(memory)
        var hits = [Int](repeating: 0, count: 120)
        for ticket in 0..<3000 {
            let some = rows(
                of: CandidateSet(memoryRows, classes: [0, 1, 2], limit: 8, seed: seed &+ UInt64(ticket)))
            #expect(some == some.sorted() && Set(some).count == 24)
            for c in 0..<3 { #expect(some.count { $0 / 40 == c } == 8) }
            for i in some { hits[i] += 1 }
        }
        #expect(looksUniform(hits), "seed \(seed)")
        #expect(rows(of: CandidateSet(memoryRows, classes: [0, 1, 2], limit: 40)) == Array(0..<120))
    }
}
