import Basics
import Synchronization
import Testing

@testable import Contrast

@Suite struct PoolSearchTests {
    private struct Pool: Equatable {
        var slots: [Int]
        var similarities: [Float]
    }

    /// - Parameters:
    ///   - seekers: all anchors together, of all candidates, if left out. They draw little, so where lists are short, candidates
    ///     are marked.
    ///   - step: so many ranks of a pool are passed over for one that is asked for.
    private func search(
        _ anchors: [Float], _ dimension: Int, _ memory: Memory, wanted: Int = 0, seekers: [Seekers]? = nil,
        threads: Int, listLimit: Int? = nil, step: Int = 1
    ) -> [Pool] {
        let count = anchors.count / dimension
        let seekers = seekers ?? [Seekers(anchors: 0..<count, wanted: wanted, drawn: 1)]
        let search = PoolSearch(product: VectorProduct())
        if let listLimit { search.listLimit = listLimit }
        let pools = Mutex([Pool](repeating: Pool(slots: [], similarities: []), count: count))
        withExtendedLifetime(memory) {
            let candidates = CandidateSet(
                MemoryRows(memory), classes: (0..<memory.shape.classes).map { ClassID($0) })
            search.search(
                anchors: anchors, dimension: dimension, seekers: seekers, candidates: candidates, threads: threads
            ) { anchor, found in
                let wanted = seekers.first { $0.anchors.contains(anchor) }!.wanted
                let ranks = Array(stride(from: 0, to: wanted, by: step))
                var positions = [Int32](repeating: -1, count: ranks.count)
                var similarities = [Float](repeating: .nan, count: ranks.count)
                found.take(ranks, positions: &positions, similarities: &similarities)
                let pool = Pool(slots: positions.map { Int($0) }, similarities: similarities)
                pools.withLock { $0[anchor] = pool }
            }
        }
        return pools.withLock { $0 }
    }

    /// What a sort of all similarities gives; rows of ±1/√D, so that any sum is exact and ties are everywhere.
    private func sorted(
        _ anchors: [Float], _ dimension: Int, _ rows: [Float], wanted: Int, excluded: Range<Int> = 0..<0
    ) -> [Pool] {
        (0..<anchors.count / dimension).map { a in
            let similarities = (0..<rows.count / dimension).map { row in
                (0..<dimension).reduce(Float(0)) { $0 + anchors[a * dimension + $1] * rows[row * dimension + $1] }
            }
            let order = similarities.indices.filter { !excluded.contains($0) }.sorted { x, y in
                similarities[x] != similarities[y] ? similarities[x] > similarities[y] : x < y
            }
            let slots = order.prefix(wanted).sorted()
            return Pool(slots: slots, similarities: slots.map { similarities[$0] })
        }
    }

    /// Few candidates and many, so that limits are guessed; pools small and large; lists of all anchors and of one.
    @Test(arguments: [40, 1500, 9000]) func equalsASort(rows count: Int) throws {
        let D = 16
        let rows = signRows(count, dimension: D, flips: 0.4, seed: 5)
        let memory = try makeMemory(
            dimension: D,
            [
                (pixels: Array(rows[..<(count / 3 * D)]), regions: []),
                (pixels: [], regions: Array(rows[(count / 3 * D)...])),
            ])
        let anchors = signRows(5, dimension: D, flips: 0.5, seed: 6)
        for wanted in [1, count / 10, count / 2, count - 1, count] {
            let expected = sorted(anchors, D, rows, wanted: wanted)
            for threads in [1, 2, 5] {
                #expect(search(anchors, D, memory, wanted: wanted, threads: threads) == expected)
                #expect(search(anchors, D, memory, wanted: wanted, threads: threads, listLimit: 1) == expected)
                let third = expected.map { pool in
                    let ranks = Array(stride(from: 0, to: wanted, by: 3))
                    return Pool(slots: ranks.map { pool.slots[$0] }, similarities: ranks.map { pool.similarities[$0] })
                }
                for limit in [1, 1 << 30] {
                    #expect(
                        search(anchors, D, memory, wanted: wanted, threads: threads, listLimit: limit, step: 3) == third
                    )
                }
            }
        }
    }

    /// Several classes' anchors pass together, each without its own class, of which one fills several tiles, one lies within a
    /// tile and one is none at all; some pools are so large that nothing can be guessed.
    @Test(arguments: [300, 9000]) func whoSeeksTogetherFindsWhatEachAloneFinds(rows count: Int) throws {
        let D = 16
        let rows = signRows(count, dimension: D, flips: 0.4, seed: 7)
        let memory = try makeMemory(dimension: D, [(pixels: rows, regions: [])])
        let anchors = signRows(70, dimension: D, flips: 0.5, seed: 8)
        let excluded = [0..<count / 2, count / 2..<count / 2 + 20, 0..<0, count - 5..<count, count / 3..<count]
        let ends = [3, 10, 41, 42, 70]
        for part in [1, 10, 2, 1000] {
            let seekers = zip(ends.indices, ends).map { index, end in
                Seekers(
                    anchors: (index == 0 ? 0 : ends[index - 1])..<end,
                    wanted: max(1, (count - excluded[index].count) / part), drawn: 1, excluded: excluded[index])
            }
            let expected = seekers.flatMap { seekers in
                sorted(
                    Array(anchors[seekers.anchors.lowerBound * D..<seekers.anchors.upperBound * D]), D, rows,
                    wanted: seekers.wanted, excluded: seekers.excluded)
            }
            for (threads, listLimit) in [(1, nil), (2, nil), (5, 40_000), (2, 1)] as [(Int, Int?)] {
                #expect(
                    search(anchors, D, memory, seekers: seekers, threads: threads, listLimit: listLimit) == expected,
                    "\(part) \(threads)")
            }
        }
    }

    /// The few that are looked at first are evenly spread: here they are all near the anchor and the others are not, or the
    /// other way round, so that lists end up too long or too short.
    @Test func whereTheFirstLookMisleadsAllAreLookedAt() throws {
        let D = 4
        let count = 16_384
        // The looked-at ones, 1,024 of these.
        let looked = Set((0..<1024).map { $0 * count / 1024 })
        for lookedAreNear in [true, false] {
            var stream = KeyedRandom(seed: 3, purpose: "test")
            var rows: [Float] = []
            for i in 0..<count {
                let near: Float = looked.contains(i) == lookedAreNear ? 1 : -1
                rows += unit([near, stream.uniform(-1, 1), stream.uniform(-1, 1), stream.uniform(-1, 1)])
            }
            let memory = try makeMemory(dimension: D, [(pixels: rows, regions: [])])
            let anchors: [Float] = [1, 0, 0, 0]
            let similarities = (0..<count).map { rows[$0 * D] }
            for wanted in [100, 1638, 8000] {
                let order = similarities.indices.sorted { similarities[$0] > similarities[$1] }
                for listLimit in [1, 1 << 20] {
                    let pool = search(anchors, D, memory, wanted: wanted, threads: 2, listLimit: listLimit)[0]
                    #expect(Set(pool.similarities) == Set(order.prefix(wanted).map { similarities[$0] }))
                    #expect(pool.slots == Set(pool.slots).sorted() && pool.slots.count == wanted)
                }
            }
        }
    }
}
