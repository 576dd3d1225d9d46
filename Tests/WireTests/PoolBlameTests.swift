import Basics
import Foundation
import Testing

@testable import Wire

/// Whom a death is blamed on, and what becomes of a ticket that kills.
@Suite struct PoolBlameTests {
    @Test func onlyTheExecutingTicketIsBlamedAndIsThenExecutedAlone() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a"), b = ScriptedWorker("b"), c = ScriptedWorker("c")
        try pool.issue(1...6)
        pool.handle(a.ready(credit: 3))
        pool.handle(a.start(2))
        pool.handle(.unreachable(a.peer))
        #expect(pool.blamed == [2])
        pool.handle(b.ready(credit: 4))
        #expect(pool.tickets(to: b) == [2])  // alone, whatever its credit
        pool.handle(c.ready(credit: 2))
        #expect(pool.tickets(to: c) == [1, 3])  // the innocent ones go on elsewhere, oldest first
        pool.handle(b.result(2))
        #expect(pool.tickets(to: b) == [4, 5, 6])
    }

    @Test func aWorkerUnderLoadIsEmptiedForASuspect() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a"), b = ScriptedWorker("b")
        try pool.issue(1...9)
        pool.handle(a.ready(credit: 2))
        pool.handle(b.ready(credit: 2))
        _ = pool.tickets(to: a)
        #expect(pool.tickets(to: b) == [3, 4])
        pool.handle(a.start(1))
        pool.handle(.unreachable(a.peer))
        pool.handle(b.result(3))
        #expect(pool.tickets(to: b) == [])
        pool.handle(b.result(4))
        #expect(pool.tickets(to: b) == [1])
        pool.handle(b.result(1))
        #expect(pool.tickets(to: b) == [2, 5])
    }

    @Test func threeIsolatedDeathsEndThePoolInTicketOrder() throws {
        var pool = ConsumerHarness()
        try pool.issue(1...3)
        let first = ScriptedWorker("w", incarnation: "i0")
        pool.handle(first.ready(credit: 2))
        pool.handle(first.start(2))
        pool.handle(.unreachable(first.peer))
        for life in 1...3 {
            let worker = ScriptedWorker("w", incarnation: "i\(life)")
            pool.handle(worker.ready(credit: 2))
            #expect(pool.tickets(to: worker) == [2])
            #expect(pool.failures.isEmpty)
            pool.handle(worker.start(2))
            pool.handle(.unreachable(worker.peer))
        }
        // Ticket 1 comes first: the failure waits for its turn.
        #expect(pool.failures.isEmpty)
        let last = ScriptedWorker("w", incarnation: "i9")
        pool.handle(last.ready(credit: 2))
        #expect(pool.tickets(to: last) == [1, 3])
        pool.handle(last.result(1))
        #expect(pool.order == [1])
        #expect(pool.failures.count == 1)
        #expect(pool.failures[0].ticket == 2)
        #expect(pool.failures[0].message.contains("3 workers died"))
        pool.handle(last.result(3))
        #expect(pool.order == [1])
    }

    @Test func aSkippedTicketKeepsItsPlace() throws {
        var pool = ConsumerHarness { $0.skipFailed = true }
        let a = ScriptedWorker("a")
        try pool.issue(1...3)
        pool.handle(a.ready(credit: 3))
        pool.handle(a.failed(2, "cannot read x.jpg:\nit is truncated"))
        pool.handle(a.result(3))
        pool.handle(a.result(1))
        #expect(pool.order == [1, 2, 3])
        #expect(pool.delivered[1].skipped == "cannot read x.jpg: it is truncated")
        #expect(pool.failures.isEmpty)
        #expect(
            pool.events.contains(.skipped(ticket: 2, epoch: Epoch(1), reason: "cannot read x.jpg: it is truncated")))
    }

    @Test func aFailureEndsThePoolAndNamesTicketAndWorker() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a")
        try pool.issue(1...2)
        pool.handle(a.ready(credit: 2))
        pool.handle(a.failed(1, "label value 200"))
        #expect(pool.failures == [PoolFailure(ticket: 1, epoch: Epoch(1), workers: ["a"], message: "label value 200")])
        pool.handle(.reset(Epoch(2)))
        try pool.issue(1...1)
        a.epoch = Epoch(2)
        pool.handle(a.result(1))
        #expect(pool.order == [1])
    }

    @Test func anExpectedLossBlamesNobody() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a"), b = ScriptedWorker("b")
        try pool.issue(1...2)
        pool.handle(a.ready(credit: 2))
        pool.handle(a.start(1))
        pool.handle(.expectLoss("a"))
        pool.handle(.unreachable(a.peer))
        pool.handle(b.ready(credit: 2))
        #expect(pool.blamed == [])
        #expect(pool.tickets(to: b) == [1, 2])
    }

    @Test func anExpectationHoldsForOneLoss() throws {
        var pool = ConsumerHarness()
        try pool.issue(1...1)
        pool.handle(.expectLoss("a"))
        for life in 1...2 {
            let a = ScriptedWorker("a", incarnation: "i\(life)")
            pool.handle(a.ready(credit: 1))
            pool.handle(a.start(1))
            pool.handle(.unreachable(a.peer))
            #expect(pool.blamed.count == life - 1)
        }
    }

    @Test func aLossExplainedAfterwardsAbsolves() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a"), b = ScriptedWorker("b")
        try pool.issue(1...3)
        pool.handle(a.ready(credit: 1))
        pool.handle(a.start(1))
        pool.handle(.unreachable(a.peer))
        #expect(pool.blamed == [1])
        pool.handle(.expectLoss("a"))
        pool.handle(b.ready(credit: 3))
        #expect(pool.tickets(to: b) == [1, 2, 3])
    }

    @Test func aStoppedWorkerThatReturnsWasNotKilled() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a")
        try pool.issue(1...3)
        pool.handle(a.ready(credit: 1))
        pool.handle(a.start(1))
        pool.pass(.seconds(11))
        #expect(pool.blamed == [1])
        a.executing = []
        pool.handle(a.ready(credit: 3))
        #expect(pool.tickets(to: a) == [1, 1, 2, 3])
        #expect(pool.events.contains(.absolved(ticket: 1, worker: "a")))
    }

    @Test func anIdleWorkersDeathBlamesNothing() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a"), b = ScriptedWorker("b")
        try pool.issue(1...2)
        pool.handle(a.ready(credit: 2))
        pool.handle(a.start(1))
        pool.handle(a.result(1))
        pool.handle(.reportLoss("a"))  // between two tickets
        pool.handle(b.ready(credit: 2))
        #expect(pool.blamed == [])
        #expect(pool.tickets(to: b) == [2])
    }

    @Test func aWorkerThatStillExecutesIsNotAlone() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a"), b = ScriptedWorker("b")
        try pool.issue(1...2)
        pool.handle(a.ready(credit: 1))
        pool.handle(b.ready(credit: 1))
        pool.handle(a.start(1))
        pool.handle(b.start(2))
        b.executing = [2]
        pool.handle(b.ready(credit: 1))  // a new session while 2 is still being executed
        _ = pool.tickets(to: b)
        pool.handle(.unreachable(a.peer))
        #expect(pool.tickets(to: b) == [])
        pool.handle(b.result(2))
        #expect(pool.tickets(to: b) == [1])
    }
}
