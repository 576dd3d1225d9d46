import Basics
import Foundation
import Testing

@testable import Wire

@Suite struct PoolConsumerCoreTests {
    // MARK: Order and credit

    @Test func ticketsGoToFreeCreditOldestFirst() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a"), b = ScriptedWorker("b")
        try pool.issue(1...5)
        pool.handle(a.ready(credit: 2))
        #expect(pool.tickets(to: a) == [1, 2])
        pool.handle(b.ready(credit: 1))
        #expect(pool.tickets(to: b) == [3])
        pool.handle(a.result(2))
        #expect(pool.tickets(to: a) == [4])
        pool.handle(b.result(3))
        #expect(pool.tickets(to: b) == [5])
        #expect(pool.core.statistics.inFlight == 3)
    }

    @Test func ticketsSpreadOverWorkersBeforeAnybodyGetsASecond() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a"), b = ScriptedWorker("b")
        pool.handle(a.ready(credit: 4))
        pool.handle(b.ready(credit: 4))
        try pool.issue(1...4)
        #expect(pool.tickets(to: a) == [1, 3])
        #expect(pool.tickets(to: b) == [2, 4])
    }

    @Test func resultsAreHandedOnInTicketOrder() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a")
        try pool.issue(1...4)
        pool.handle(a.ready(credit: 4))
        pool.handle(a.result(3))
        pool.handle(a.result(2))
        #expect(pool.order == [])
        #expect(pool.core.statistics.waiting == 2)
        pool.handle(a.result(1))
        #expect(pool.order == [1, 2, 3])
        pool.handle(a.result(4))
        #expect(pool.order == [1, 2, 3, 4])
        #expect(pool.delivered.allSatisfy { $0.worker == "a" && $0.skipped == nil })
        #expect(pool.core.statistics.waiting == 0)
    }

    @Test func theWelcomeIsNumberOneAndTellsTheTimes() throws {
        var pool = ConsumerHarness { $0.heartbeat = .milliseconds(200) }
        let a = ScriptedWorker("a")
        try pool.issue(1...1)
        pool.handle(a.ready(credit: 1))
        #expect(pool.sent.map(\.message.header.type) == ["welcome", "ticket"])
        #expect(pool.sent.map(\.message.header.sequence) == [1, 2])
        let welcome: PoolBody.Welcome = try pool.sent[0].message.decodeBody()
        #expect(welcome == PoolBody.Welcome(heartbeatMilliseconds: 200, session: 1, silenceMilliseconds: 10_000))
    }

    @Test func aRepeatedReadyOfTheSameSessionTakesNothingBack() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a"), b = ScriptedWorker("b")
        try pool.issue(1...2)
        pool.handle(a.ready(credit: 2))
        #expect(pool.tickets(to: a) == [1, 2])
        pool.handle(a.ready(credit: 2, sameSession: true))
        pool.handle(b.ready(credit: 2))
        #expect(pool.tickets(to: b) == [])
        #expect(pool.types(to: a) == ["welcome", "welcome"])
        #expect(pool.core.statistics.reissued == 0)
    }

    // MARK: Losses

    @Test func aSilentWorkerLosesItsTicketsAndMayReturn() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a"), b = ScriptedWorker("b")
        try pool.issue(1...2)
        pool.handle(a.ready(credit: 1))
        pool.handle(b.ready(credit: 1))
        pool.pass(.seconds(9), alive: [b])
        #expect(pool.core.statistics.workers.count == 2)
        pool.pass(.seconds(2), alive: [b])
        #expect(pool.core.statistics.workers.map(\.name) == ["b"])
        pool.handle(b.result(2))
        #expect(pool.tickets(to: b) == [2, 1])
        _ = pool.types(to: a)

        // It wakes, is told that it is unknown, and says READY again.
        pool.handle(a.heartbeat())
        #expect(pool.types(to: a) == ["again"])
        try pool.issue(3...3)
        pool.handle(a.ready(credit: 1))
        #expect(pool.tickets(to: a) == [3])
        pool.handle(b.result(1))
        pool.handle(a.result(3))
        #expect(pool.order == [1, 2, 3])
    }

    @Test func theFirstResultOfAReissuedTicketCountsWhoeverSendsIt() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a"), b = ScriptedWorker("b")
        try pool.issue(1...1)
        pool.handle(a.ready(credit: 1))
        pool.pass(.seconds(11))
        pool.handle(b.ready(credit: 1))
        #expect(pool.tickets(to: b) == [1])
        pool.handle(a.result(1))
        #expect(pool.delivered.map(\.worker) == ["a"])
        pool.handle(b.result(1))
        #expect(pool.delivered.count == 1)
        #expect(pool.core.statistics.duplicates == 1)
        #expect(pool.core.statistics.inFlight == 0)
    }

    @Test func aLateResultTakesTheTicketOutOfTheLine() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a"), b = ScriptedWorker("b")
        try pool.issue(1...1)
        pool.handle(a.ready(credit: 1))
        pool.handle(.unreachable(a.peer))
        #expect(pool.core.statistics.queued == 1)
        pool.handle(a.result(1))
        #expect(pool.order == [1])
        #expect(pool.core.statistics.queued == 0)
        pool.handle(b.ready(credit: 1))
        #expect(pool.tickets(to: b) == [])
    }

    @Test func byeHandsEverythingBackWithoutBlame() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a"), b = ScriptedWorker("b")
        try pool.issue(1...3)
        pool.handle(a.ready(credit: 3))
        pool.handle(a.start(1))
        pool.handle(a.bye())
        pool.handle(b.ready(credit: 3))
        #expect(pool.tickets(to: b) == [1, 2, 3])
        #expect(pool.blamed == [])
        #expect(pool.core.statistics.reissued == 3)
        #expect(pool.core.statistics.lostWorkers == 0)
    }

    @Test func aNewIncarnationReplacesTheOldForGood() throws {
        var pool = ConsumerHarness()
        let old = ScriptedWorker("a", incarnation: "i1"), new = ScriptedWorker("a", incarnation: "i2")
        try pool.issue(1...2)
        pool.handle(old.ready(credit: 2))
        pool.handle(new.ready(credit: 2))
        #expect(pool.tickets(to: new) == [1, 2])
        _ = pool.types(to: old)
        pool.handle(old.ready(credit: 2))
        #expect(pool.types(to: old) == ["refused"])
        #expect(pool.core.statistics.workers.count == 1)
        #expect(pool.core.statistics.refusedPeers == 1)
    }

    @Test func aGapInAWorkersMessagesMakesItJoinAnew() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a")
        try pool.issue(1...1)
        pool.handle(a.ready(credit: 1))
        _ = pool.types(to: a)
        _ = a.result(1)  // lost on the way
        pool.handle(a.heartbeat())
        #expect(pool.types(to: a) == ["again"])
        pool.handle(a.ready(credit: 1))
        #expect(pool.types(to: a) == ["welcome", "ticket"])
        #expect(pool.blamed == [])
    }

    @Test func repeatedMessagesAreDropped() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a")
        try pool.issue(1...2)
        pool.handle(a.ready(credit: 2))
        let result = a.result(1)
        pool.handle(result)
        pool.handle(result)
        #expect(pool.order == [1])
        #expect(pool.core.statistics.duplicates == 1)
        #expect(pool.core.statistics.inFlight == 1)
    }

    @Test func heartbeatsGoToEveryWorkerAndWakeTheShellInTime() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a"), b = ScriptedWorker("b")
        pool.handle(a.ready(credit: 1))
        pool.handle(b.ready(credit: 1))
        #expect(pool.core.nextDeadline == pool.now + .seconds(1))
        _ = (pool.types(to: a), pool.types(to: b))
        pool.now += .seconds(1)
        pool.handle(.tick)
        #expect(pool.types(to: a) == ["heartbeat"])
        #expect(pool.types(to: b) == ["heartbeat"])
        for _ in 0..<8 {
            pool.now += .seconds(1)
            pool.handle(.tick)
        }
        pool.now += .milliseconds(500)
        #expect(pool.core.nextDeadline.millisecondsLeft(at: pool.now) == 500)
        #expect(pool.core.statistics.workers.count == 2)
        pool.now += .milliseconds(500)
        pool.handle(.tick)
        #expect(pool.core.statistics.workers.isEmpty)
    }

    // MARK: Epochs

    @Test func aResetDropsAllThatIsOlder() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a")
        try pool.issue(1...4)
        pool.handle(a.ready(credit: 2))
        pool.handle(a.result(2))
        pool.handle(.reset(Epoch(2)))
        #expect(
            pool.core.statistics.inFlight == 0 && pool.core.statistics.queued == 0 && pool.core.statistics.waiting == 0)
        #expect(pool.types(to: a).last == "reset")
        pool.handle(a.result(1))
        #expect(pool.order == [])
        #expect(pool.core.statistics.stale == 1)
        try pool.issue(1...1)
        a.epoch = Epoch(2)
        #expect(pool.tickets(to: a) == [1])
        pool.handle(a.result(1))
        #expect(pool.order == [1])
    }

    @Test func aMessageFromAFutureEpochIsBad() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a")
        try pool.issue(1...1)
        pool.handle(a.ready(credit: 1))
        a.epoch = Epoch(7)
        pool.handle(a.result(1))
        #expect(pool.order == [])
        #expect(pool.core.statistics.badFrames == 1)
    }

    // MARK: Drains

    @Test func aDrainedWorkerGetsNothingMoreAndIsNotBlamed() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a"), b = ScriptedWorker("b")
        try pool.issue(1...3)
        pool.handle(a.ready(credit: 2))
        pool.handle(a.start(1))
        pool.handle(.drain("a"))
        #expect(pool.types(to: a) == ["welcome", "ticket", "ticket", "drain"])
        pool.handle(a.message("drain"))  // it keeps what it executes and hands back the rest
        pool.handle(b.ready(credit: 3))
        #expect(pool.tickets(to: b) == [2, 3])
        pool.handle(a.result(1))
        #expect(pool.types(to: a) == [])
        pool.handle(a.bye())
        #expect(pool.order == [1])
        #expect(pool.blamed == [])
        #expect(pool.core.statistics.workers.map(\.name) == ["b"])
    }

    @Test func aDrainThatWasLostIsSaidAgain() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a")
        pool.handle(a.ready(credit: 1))
        pool.handle(.drain("a"))
        _ = pool.types(to: a)
        pool.handle(a.ready(credit: 1))
        try pool.issue(1...1)
        #expect(pool.types(to: a) == ["welcome", "drain"])
    }
}
