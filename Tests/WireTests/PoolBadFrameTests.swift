import Basics
import Foundation
import Testing

@testable import Wire

@Suite struct PoolBadFrameTests {
    private func garbage(_ text: String = "garbage") -> [SharedBytes] { [SharedBytes(Data(text.utf8))] }

    @Test func aStrangerIsCutOffAndHeardNoMore() throws {
        var pool = ConsumerHarness()
        let stranger = PeerID(bytes: [0, 1, 2, 3, 4])
        for _ in 0..<15 { pool.handle(.received(from: stranger, frames: garbage())) }
        #expect(pool.core.statistics.badFrames == 15)
        #expect(pool.core.statistics.cutOffPeers == 0)
        pool.handle(.received(from: stranger, frames: garbage()))
        #expect(pool.core.statistics.cutOffPeers == 1)
        #expect(pool.events.last == .cutOff(peer: "peer 0x0001020304"))
        for _ in 0..<100 { pool.handle(.received(from: stranger, frames: garbage())) }
        #expect(pool.core.statistics.badFrames == 16)
        #expect(pool.sent.isEmpty)
    }

    @Test func aCutOffWorkersTicketsGoToOthersAndItCannotJoinAgain() throws {
        var pool = ConsumerHarness { $0.badFrameLimit = 2 }
        let a = ScriptedWorker("a"), b = ScriptedWorker("b")
        try pool.issue(1...1)
        pool.handle(a.ready(credit: 1))
        pool.handle(a.start(1))
        pool.handle(b.ready(credit: 1))
        for _ in 0..<2 { pool.handle(.received(from: a.peer, frames: garbage())) }
        #expect(pool.tickets(to: b) == [1])
        #expect(pool.blamed == [])
        _ = pool.types(to: a)
        pool.handle(a.ready(credit: 1))
        pool.handle(a.result(1))
        #expect(pool.types(to: a) == [])
        #expect(pool.order == [])
    }

    @Test func badFramesAreReportedAtMostOnceASecond() {
        var pool = ConsumerHarness { $0.badFrameLimit = 1000 }
        let peer = PeerID("p")
        for _ in 0..<50 { pool.handle(.received(from: peer, frames: garbage())) }
        #expect(pool.events.count == 1)
        pool.now += .seconds(1)
        pool.handle(.received(from: peer, frames: garbage()))
        #expect(pool.events.count == 2)
        guard case .badFrame("p", _, unreported: 49) = pool.events[1] else {
            Issue.record("\(pool.events[1])")
            return
        }
    }

    @Test func badFramesAreCountedByTheCheckThatTheyFail() throws {
        var pool = ConsumerHarness { $0.badFrameLimit = 1000 }
        let a = ScriptedWorker("a")
        try pool.issue(1...1)
        pool.handle(a.ready(credit: 1))
        let others = ScriptedWorker("a", run: "other")
        let good = Message("bye", from: a.sender, epoch: Epoch(1), sequence: 9)
        let header = SharedBytes(Data(#"{"version":3}"#.utf8))
        let body = SharedBytes(Data("{}".utf8))
        func peer(_ frames: [SharedBytes]) -> PoolConsumerCore.Event { .received(from: PeerID("p"), frames: frames) }
        let stranger = Message("bye", from: Sender(run: "r", name: "b"), epoch: Epoch(1), sequence: 50)
        let cases: [(FrameCheck, PoolConsumerCore.Event)] = [
            (.sender, .received(from: a.peer, frames: try stranger.frames())),
            (.frames, peer(garbage())), (.header, peer(garbage() + garbage())), (.version, peer([header, body])),
            (.sizes, peer([SharedBytes(Data(count: 70_000)), body])), (.run, others.heartbeat()),
            (.tensors, peer(try good.frames() + [body])), (.type, a.message("hello")),
            (.type, a.message("welcome")), (.body, a.message("heartbeat")), (.ticket, a.message("result")),
            (.ticket, a.start(99)),
        ]
        var expected = FrameCounts()
        expected.heard = 1
        for (check, event) in cases {
            pool.handle(event)
            expected[check] += 1
            expected.heard += 1
            #expect(pool.core.statistics.frames == expected, "\(check)")
        }
        a.epoch = Epoch(2)
        pool.handle(a.start(1))
        #expect(pool.core.statistics.frames[.epoch] == 1)
        #expect(pool.core.statistics.frames.metrics("samples")["samples.bad.type"] == 2)
    }

    /// The last number there is has no successor; the consumer once trapped looking for it.
    @Test func aWorkerMayNumberItsMessagesAsItLikes() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a")
        try pool.issue(1...2)
        a.sequence = .max - 1
        pool.handle(a.ready(credit: 1))
        #expect(pool.tickets(to: a) == [1])
        a.sequence = .max - 1
        pool.handle(a.result(1))
        #expect(pool.order == [1])
        let b = ScriptedWorker("b")
        pool.handle(b.ready(credit: 1))
        b.sequence = .max - 1
        pool.handle(b.ready(credit: 1, sameSession: true))
        #expect(pool.core.statistics.workers.map(\.name) == ["a", "b"])
    }

    @Test func aBodyBeyondWhatItsTypeCanSayIsNotDecoded() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a")
        try pool.issue(1...1)
        pool.handle(a.ready(credit: 1))
        a.executing = (0..<40_000).map { TicketID(UInt64($0)) }
        pool.handle(a.heartbeat())
        #expect(pool.core.statistics.frames[.sizes] == 1)
        a.executing = []
        pool.handle(a.message("result", ticket: 1, body: [String(repeating: "x", count: 1 << 20)]))
        #expect(pool.order == [1], "a result says what it likes")
    }

    @Test func peersThatAreCutOffAreReportedAtMostOnceASecond() {
        var pool = ConsumerHarness { $0.badFrameLimit = 1 }
        for index in 0..<50 { pool.handle(.received(from: PeerID("p\(index)"), frames: garbage())) }
        #expect(pool.events.count == 2, "a bad frame and a peer cut off")
        pool.now += .seconds(1)
        pool.handle(.received(from: PeerID("late"), frames: garbage()))
        #expect(pool.events.last == .cutOff(peer: "late", unreported: 49))
        #expect(pool.core.statistics.cutOffPeers == 51)
        pool.handle(.received(from: PeerID("late"), frames: garbage()))
        #expect(pool.core.statistics.frames.unheard == 1)
    }

    @Test func refusalsAreReportedAtMostOnceASecond() {
        var pool = ConsumerHarness()
        let old = ScriptedWorker("a", incarnation: "old")
        pool.handle(old.ready(credit: 1))
        pool.handle(ScriptedWorker("a", incarnation: "new").ready(credit: 1))
        pool.events = []
        for _ in 0..<50 { pool.handle(old.ready(credit: 1)) }
        #expect(pool.events == [.refused(peer: "a", reason: "a worker of the name a was started after you")])
        #expect(pool.core.statistics.refusedPeers == 50)
    }

    @Test func aPeerOfAnotherVersionOrRunIsToldSo() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a", run: "other")
        pool.handle(a.ready(credit: 1))
        #expect(pool.core.statistics.badFrames == 1)
        var refused: PoolBody.Refused = try pool.sent[0].message.decodeBody()
        #expect(refused.code == .run && refused.ours == "r" && refused.yours == "other")

        let future = #"{"version":2,"type":"ready","whatever":[1,{"a":null}]}"#
        pool.handle(.received(from: PeerID("b"), frames: garbage(future) + garbage("{}")))
        refused = try pool.sent[1].message.decodeBody()
        #expect(refused.code == .version && refused.ours == "1" && refused.yours == "2")
    }

    @Test func whatIsNotTheWorkersToSayIsBad() throws {
        let cases: [(String, (ScriptedWorker) -> PoolConsumerCore.Event)] = [
            ("an answer to ticket 2", { $0.result(2) }),  // given to nobody
            ("never issued", { $0.result(99) }),
            ("never issued", { $0.start(99) }),
            ("names no ticket", { $0.message("result") }),
            ("not for a worker", { $0.message("welcome") }),
            ("not for a worker", { $0.message("ticket", ticket: 1) }),
            ("unknown type", { $0.message("hello") }),
            ("Heartbeat", { $0.message("heartbeat") }),
            ("Failed", { $0.message("failed", ticket: 1) }),
            ("credit 0", { $0.ready(credit: 0) }),
            ("credit 5000", { $0.ready(credit: 5000) }),
        ]
        for (words, event) in cases {
            var pool = ConsumerHarness()
            let a = ScriptedWorker("a")
            try pool.issue(1...2)
            pool.handle(a.ready(credit: 1))
            pool.handle(event(a))
            #expect(pool.core.statistics.badFrames == 1, "\(words)")
            guard case .badFrame(_, let reason, _)? = pool.events.last else {
                Issue.record("no report of \(words)")
                continue
            }
            #expect(reason.contains(words))
            #expect(pool.order == [])
            #expect(pool.core.statistics.workers.count == 1)
        }
    }

    @Test func anotherNameOnAWorkersConnectionIsBad() throws {
        var pool = ConsumerHarness()
        let a = ScriptedWorker("a"), b = ScriptedWorker("b")
        try pool.issue(1...1)
        pool.handle(a.ready(credit: 1))
        b.peer = a.peer
        pool.handle(b.result(1))
        #expect(pool.order == [])
        #expect(pool.core.statistics.badFrames == 1)
    }

    @Test func whatIsRememberedOfStrangersIsBounded() {
        var judge = FrameGuard(limit: 2, reports: .seconds(1))
        for index in 0..<10_000 {
            _ = judge.note(PeerID("s\(index)"), "bad", at: .header, now: Instant(nanoseconds: 0))
        }
        #expect(judge.remembered <= 4096)
        #expect(judge.counts.badFrames == 10_000)
        _ = judge.note(PeerID("s9999"), "bad", at: .header, now: Instant(nanoseconds: 0))
        #expect(judge.isCutOff(PeerID("s9999")))
    }
}
