import Basics
import COpenBLAS
import Testing

@testable import Contrast

@Suite struct ExtremeSelectionTests {
    private func expectMatchesASort(_ values: [Float], _ wanted: Int, _ end: ExtremeSelection.End, _ note: String) {
        let order = values.indices.sorted { a, b in
            if values[a] != values[b] { return end == .largest ? values[a] > values[b] : values[a] < values[b] }
            return a < b
        }
        var result = [Int32](repeating: -1, count: wanted + 1)
        values.withUnsafeBufferPointer { values in
            result.withUnsafeMutableBufferPointer {
                ExtremeSelection().select(
                    wanted, at: end, of: values.baseAddress!, count: values.count, into: $0.baseAddress!)
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
                    expectMatchesASort(values, wanted, .largest, "levels \(levels)")
                    expectMatchesASort(values, wanted, .smallest, "levels \(levels)")
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
                expectMatchesASort(values, wanted, .largest, "seed \(seed)")
                expectMatchesASort(values, wanted, .smallest, "seed \(seed)")
            }
        }
    }

    /// A few values are looked at before all: they may say too little, or the wrong thing.
    @Test func matchesASortWhereTheFirstLookMisleads() {
        var stream = KeyedRandom(seed: 1, purpose: "test")
        let count = 8 * 512 + 5
        let noise = (0..<count).map { _ in stream.uniform(-1, 1) }
        let regular = noise.indices.map { $0 % 8 == 0 ? Float(0.99) : noise[$0] * 0.9 }
        let inverse = noise.indices.map { $0 % 8 == 0 ? Float(-0.99) : noise[$0] * 0.9 }
        let last = noise.indices.map { $0 >= count - 5 ? Float(1) : -1 }
        for values in [noise, noise.sorted(), regular, inverse, last] {
            for wanted in [1, 3, 6, 400, 600, 3000] {
                expectMatchesASort(values, wanted, .largest, "first look")
                expectMatchesASort(values, wanted, .smallest, "first look")
            }
        }
    }

    @Test func signedZerosAreTies() {
        let values: [Float] = [0, -0.0, 0, -0.0, -0.0, 0]
        for wanted in 0...6 {
            expectMatchesASort(values, wanted, .largest, "zeros")
            expectMatchesASort(values, wanted, .smallest, "zeros")
        }
    }

    @Test func limitsOfTheRangeFallIntoBins() {
        let values: [Float] = [1.001, -1.001, 1, -1, 0, 1.0005, -1.0005, 0.9999]
        for wanted in 0...8 {
            expectMatchesASort(values, wanted, .largest, "limits")
            expectMatchesASort(values, wanted, .smallest, "limits")
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

@Suite struct SimilarityTests {
    /// Whatever kernel OpenBLAS picked for this processor computes the tile's product.
    @Test func tilesEqualPlainDotProducts() throws {
        openblas_set_num_threads(1)
        for (dimension, entries) in [(256, 1500), (16, 40), (3, 1024), (100, 2049)] {
            let rows = clusteredRows(entries, dimension: dimension, spread: 2, seed: 3, index: UInt64(entries))
            let memory = try makeMemory(
                dimension: dimension,
                [
                    (pixels: Array(rows[..<(entries / 3 * dimension)]), regions: []),
                    (pixels: [], regions: Array(rows[(entries / 3 * dimension)...])),
                ])
            let candidates = CandidateSet(memory: memory, classes: [0, 1], limit: nil, seed: 0)
            let anchors = clusteredRows(16, dimension: dimension, spread: 2, seed: 4, index: 1)
            let stride = Similarities.stride(entries)
            var result = [Float](repeating: .nan, count: 16 * stride)
            withExtendedLifetime(memory) {
                BLASProduct().compute(
                    anchors: anchors, count: 16, dimension: dimension, candidates: candidates, into: &result, threads: 1
                )
            }
            for a in 0..<16 {
                for entry in 0..<stride {
                    var expected = 0.0
                    if entry < entries {
                        for k in 0..<dimension {
                            expected += Double(anchors[a * dimension + k]) * Double(rows[entry * dimension + k])
                        }
                    }
                    // Float32 sums of at most 256 products of unit vectors: 256 * 2^-24 is 1.5e-5 at the very worst.
                    #expect(abs(Double(result[a * stride + entry]) - expected) < 2e-6)
                }
            }
        }
    }

    @Test func candidatesAreInCanonicalOrderAndFilledOnly() throws {
        // Class 0 and a region part are partly or wholly empty; capacities are larger than what is filled.
        let e: [[Float]] = (0..<6).map { k in (0..<16).map { $0 == k ? 1 : 0 } }
        let memory = try makeMemory(
            dimension: 16,
            [(pixels: [], regions: e[0]), (pixels: e[1] + e[2], regions: []), (pixels: e[3], regions: e[4] + e[5])])
        let set = CandidateSet(memory: memory, classes: [0, 1, 2], limit: nil, seed: 0)
        let axes = withExtendedLifetime(memory) { set.rows.map { row in (0..<16).first { row[$0] == 1 } } }
        #expect(axes == [0, 1, 2, 3, 4, 5])
        #expect(
            set.isContiguous(1..<3) && !set.isContiguous(2..<4) && set.isContiguous(4..<6) && !set.isContiguous(3..<6))
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
        let all = CandidateSet(memory: memory, classes: [0, 1, 2], limit: nil, seed: 0).rows
        let position = Dictionary(uniqueKeysWithValues: zip(all, 0...))
        var hits = [Int](repeating: 0, count: 120)
        for ticket in 0..<3000 {
            let some = CandidateSet(memory: memory, classes: [0, 1, 2], limit: 8, seed: seed &+ UInt64(ticket)).rows.map
            { position[$0]! }
            #expect(some == some.sorted() && Set(some).count == 24)
            for c in 0..<3 { #expect(some.count { $0 / 40 == c } == 8) }
            for i in some { hits[i] += 1 }
        }
        #expect(looksUniform(hits), "seed \(seed)")
        #expect(CandidateSet(memory: memory, classes: [0, 1, 2], limit: 40, seed: 0).rows == all)
    }
}
