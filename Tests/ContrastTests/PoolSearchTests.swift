import Basics
import Synchronization
import Testing

@testable import Contrast

@Suite struct PoolSearchTests {
    private struct Pool: Equatable {
        var slots: [Int]
        var similarities: [Float]
    }

    private func search(
        _ anchors: [Float], _ dimension: Int, _ memory: Memory, wanted: Int, threads: Int, listLimit: Int? = nil
    ) -> [Pool] {
        let count = anchors.count / dimension
        let search = PoolSearch(product: VectorProduct())
        if let listLimit { search.listLimit = listLimit }
        let pools = Mutex([Pool](repeating: Pool(slots: [], similarities: []), count: count))
        withExtendedLifetime(memory) {
            let candidates = CandidateSet(
                memory: memory, classes: (0..<memory.shape.classes).map { ClassID($0) }, limit: nil, seed: 0)
            search.search(
                anchors: anchors, count: count, dimension: dimension, candidates: candidates, wanted: wanted,
                threads: threads
            ) { anchor, slots, similarities in
                let pool = Pool(
                    slots: (0..<wanted).map { Int(slots[$0]) }, similarities: (0..<wanted).map { similarities[$0] })
                pools.withLock { $0[anchor] = pool }
            }
        }
        return pools.withLock { $0 }
    }

    /// What a sort of all similarities gives; rows of ±1/√D, so that any sum is exact and ties are everywhere.
    private func sorted(_ anchors: [Float], _ dimension: Int, _ rows: [Float], wanted: Int) -> [Pool] {
        (0..<anchors.count / dimension).map { a in
            let similarities = (0..<rows.count / dimension).map { row in
                (0..<dimension).reduce(Float(0)) { $0 + anchors[a * dimension + $1] * rows[row * dimension + $1] }
            }
            let order = similarities.indices.sorted { x, y in
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
                let pool = search(anchors, D, memory, wanted: wanted, threads: 2)[0]
                #expect(Set(pool.similarities) == Set(order.prefix(wanted).map { similarities[$0] }))
                #expect(pool.slots == Set(pool.slots).sorted() && pool.slots.count == wanted)
            }
        }
    }
}
