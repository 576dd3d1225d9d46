import Basics
import Testing

@testable import Wire

@Suite struct WorkerQueueTests {
    @Test func whoeverHasLeastIsFirstAndEqualsTakeTurns() {
        var queue = WorkerQueue()
        #expect(queue.first == nil)
        for member in 0..<3 { queue.set(member, load: 0) }
        #expect(queue.first == 0)
        queue.set(0, load: 1)
        #expect(queue.first == 1)
        queue.set(1, load: 1)
        queue.set(2, load: 1)
        #expect(queue.first == 0, "it has had one for longest")
        queue.set(0, load: nil)
        queue.set(1, load: 0)
        #expect(queue.first == 1)
        queue.set(1, load: nil)
        queue.set(2, load: nil)
        #expect(queue.first == nil && queue.count == 0)
    }

    /// Against a plain list, whose order of equals is that of their last change.
    @Test(arguments: 0..<20 as Range<UInt64>) func keepsTheOrderOfAPlainList(seed: UInt64) {
        var random = KeyedRandom(seed: seed, purpose: "queue")
        var queue = WorkerQueue()
        var list: [(member: Int, load: Int)] = []
        for _ in 0..<2000 {
            let member = random.below(40)
            let load = random.below(5) == 0 ? nil : random.below(7)
            queue.set(member, load: load)
            if list.first(where: { $0.member == member })?.load != load {
                list.removeAll { $0.member == member }
                if let load { list.append((member, load)) }
            }
            let least = list.map(\.load).min()
            #expect(queue.first == list.first { $0.load == least }?.member, "seed \(seed)")
            #expect(queue.count == list.count, "seed \(seed)")
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
