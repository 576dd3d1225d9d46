import Basics
import Testing

@testable import Wire

@Suite struct WorkerQueueTests {
    @Test func whoeverHasLeastIsFirstAndOfEqualsTheSmallest() {
        var queue = WorkerQueue()
        #expect(queue.first == nil)
        for member in 0..<3 { queue.set(member, load: 0) }
        #expect(queue.first == 0)
        queue.set(0, load: 1)
        #expect(queue.first == 1)
        queue.set(1, load: 1)
        queue.set(2, load: 1)
        #expect(queue.first == 0)
        queue.set(0, load: nil)
        queue.set(1, load: 0)
        #expect(queue.first == 1)
        queue.set(1, load: nil)
        queue.set(2, load: nil)
        #expect(queue.first == nil && queue.count == 0)
    }

    /// Against a plain table; members beyond one word of bits.
    @Test(arguments: 0..<20 as Range<UInt64>) func keepsTheOrderOfAPlainTable(seed: UInt64) {
        var random = KeyedRandom(seed: seed, purpose: "queue")
        var queue = WorkerQueue()
        var table: [Int: Int] = [:]
        for _ in 0..<2000 {
            let member = random.below(150)
            let load = random.below(5) == 0 ? nil : random.below(7)
            queue.set(member, load: load)
            table[member] = load
            let first = table.min { ($0.value, $0.key) < ($1.value, $1.key) }?.key
            #expect(queue.first == first, "seed \(seed)")
            #expect(queue.count == table.count, "seed \(seed)")
        }
    }

    @Test func aTableForgetsWhoLeftAndUsesTheirPlaces() throws {
        var pool = ConsumerHarness()
        var workers: [ScriptedWorker] = []
        for index in 0..<20 {
            let worker = ScriptedWorker("w\(index)")
            pool.handle(worker.ready(credit: 1))
            workers.append(worker)
        }
        for worker in workers.prefix(10) { pool.handle(worker.bye()) }
        try pool.issue(1...30)
        for worker in workers.prefix(10) { #expect(pool.tickets(to: worker) == []) }
        for (index, worker) in workers.suffix(10).enumerated() {
            #expect(pool.tickets(to: worker) == [UInt64(index + 1)])
        }
        let late = ScriptedWorker("late")
        pool.handle(late.ready(credit: 2))
        #expect(pool.tickets(to: late) == [11, 12])
    }
}
