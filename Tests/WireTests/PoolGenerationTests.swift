import Basics
import Foundation
import Testing

@testable import Wire

/// A ticket is executed by workers of its own generation only, whoever has time.
@Suite struct PoolGenerationTests {
    @Test func ticketsGoToWorkersOfTheirGenerationOnly() throws {
        var pool = ConsumerHarness()
        let old = ScriptedWorker("old"), new = ScriptedWorker("new")
        pool.handle(old.ready(credit: 4))
        pool.handle(new.ready(credit: 4, generation: 1))
        try pool.issue(1...3)
        try pool.issue(4...6, generation: 1)
        #expect(pool.tickets(to: old) == [1, 2, 3])
        #expect(pool.tickets(to: new) == [4, 5, 6])
        for id in [5, 4, 6] as [UInt64] { pool.handle(new.result(id)) }
        #expect(pool.order == [], "results wait for earlier tickets, whoever has those")
        for id in [1, 2, 3] as [UInt64] { pool.handle(old.result(id)) }
        #expect(pool.order == [1, 2, 3, 4, 5, 6])
    }

    @Test func generationWithoutWorkersHoldsUpNoOther() throws {
        var pool = ConsumerHarness()
        let old = ScriptedWorker("old"), new = ScriptedWorker("new")
        pool.handle(old.ready(credit: 1))
        try pool.issue(1...2, generation: 1)
        try pool.issue(3...4)
        #expect(pool.tickets(to: old) == [3])
        #expect(pool.core.statistics.queued == 3)
        pool.handle(old.result(3))
        #expect(pool.tickets(to: old) == [4])
        pool.handle(new.ready(credit: 4, generation: 1))
        #expect(pool.tickets(to: new) == [1, 2])
    }

    @Test func lostWorkersTicketsStayInTheirGeneration() throws {
        var pool = ConsumerHarness()
        let old = ScriptedWorker("old"), new = ScriptedWorker("new"), other = ScriptedWorker("other")
        pool.handle(old.ready(credit: 4))
        pool.handle(new.ready(credit: 4, generation: 1))
        try pool.issue(1...2, generation: 1)
        #expect(pool.tickets(to: new) == [1, 2])
        pool.handle(.expectLoss("new"))
        pool.handle(.reportLoss("new"))
        #expect(pool.tickets(to: old) == [])
        #expect(pool.core.statistics.reissued == 2)
        pool.handle(other.ready(credit: 4, generation: 1))
        #expect(pool.tickets(to: other) == [1, 2])
    }

    @Test func blamedTicketIsExecutedAloneByItsGeneration() throws {
        var pool = ConsumerHarness()
        let old = ScriptedWorker("old"), new = ScriptedWorker("new"), other = ScriptedWorker("other")
        pool.handle(old.ready(credit: 4))
        pool.handle(new.ready(credit: 4, generation: 1))
        try pool.issue(1...1, generation: 1)
        pool.handle(new.start(1))
        pool.handle(.reportLoss("new"))
        #expect(pool.blamed == [1])
        #expect(pool.tickets(to: old) == [], "an idle worker of another generation is no help")
        pool.handle(other.ready(credit: 4, generation: 1))
        #expect(pool.tickets(to: other) == [1])
        try pool.issue(2...2, generation: 1)
        #expect(pool.tickets(to: other) == [], "nothing beside the suspect")
        // The other generation's work goes on.
        try pool.issue(3...3)
        #expect(pool.tickets(to: old) == [3])
        pool.handle(other.result(1))
        #expect(pool.tickets(to: other) == [2])
    }

    @Test func resultThatComesLateWithdrawsTheTicketFromItsLine() throws {
        var pool = ConsumerHarness()
        let new = ScriptedWorker("new"), other = ScriptedWorker("other")
        pool.handle(new.ready(credit: 1, generation: 1))
        try pool.issue(1...1, generation: 1)
        pool.pass(.seconds(11))
        #expect(pool.core.statistics.queued == 1)
        pool.handle(new.result(1))
        #expect(pool.order == [1])
        pool.handle(other.ready(credit: 1, generation: 1))
        #expect(pool.tickets(to: other) == [])
    }

    @Test func statisticsTellTheGenerations() throws {
        var pool = ConsumerHarness()
        let old = ScriptedWorker("old"), new = ScriptedWorker("new")
        pool.handle(old.ready(credit: 1))
        pool.handle(new.ready(credit: 1, generation: 1))
        #expect(pool.core.statistics.workers(of: .first).map(\.name) == ["old"])
        #expect(pool.core.statistics.workers(of: Generation(1)).map(\.name) == ["new"])
        pool.handle(.drain("new"))
        #expect(pool.core.statistics.workers(of: Generation(1)).isEmpty)
        #expect(pool.events.contains(.joined(worker: "new", credit: 1, generation: Generation(1))))
    }

    @Test func negativeGenerationIsABadFrame() {
        var pool = ConsumerHarness()
        pool.handle(ScriptedWorker("odd").ready(credit: 1, generation: -1))
        #expect(pool.core.statistics.workers.isEmpty)
        #expect(pool.core.statistics.badFrames == 1)
    }

    @Test func readyNamesItsGenerationUnlessItIsTheFirst() throws {
        func body(_ generation: Generation) throws -> String {
            var core = PoolWorkerCore(
                as: PoolGoldenTests.worker, consumers: ["c"], generation: generation, credit: 2,
                settings: PoolSettings(), now: Instant(nanoseconds: 0))
            guard case .send(_, let frames)? = core.handle(.tick, now: Instant(nanoseconds: 0)).first else { return "" }
            return String(decoding: frames[1].data, as: UTF8.self)
        }
        #expect(try body(.first) == #"{"credit":2,"executing":[],"session":1}"#)
        #expect(try body(Generation(3)) == #"{"credit":2,"executing":[],"generation":3,"session":1}"#)
    }
}
