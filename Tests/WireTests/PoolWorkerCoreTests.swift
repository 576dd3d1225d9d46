import Basics
import Foundation
import Testing

@testable import Wire

/// A worker core, a clock, and consumers whose messages the test writes itself.
private struct WorkerHarness {
    var core: PoolWorkerCore
    var now = Instant(nanoseconds: 1_000_000_000)
    var sent: [(consumer: Int, message: Message)] = []
    var executing: [(id: PoolWorkerCore.ExecutionID, ticket: UInt64, consumer: Int)] = []
    var cancelled: [PoolWorkerCore.ExecutionID] = []
    var events: [PoolEvent] = []
    var ended = false
    var error: PoolError?
    /// What happened, in order: types sent and executions begun.
    var trace: [String] = []
    var numbers: [UInt64]
    var incarnation = "c1"
    var epoch: UInt64 = 1

    init(consumers: Int = 1, credit: Int = 2, executors: Int = 1, change: (inout PoolSettings) -> Void = { _ in }) {
        var settings = PoolSettings()
        change(&settings)
        core = PoolWorkerCore(
            as: Sender(run: "r", name: "loader-0", incarnation: Incarnation(rawValue: "w1")),
            consumers: (0..<consumers).map { "c\($0)" }, credit: credit, executors: executors, settings: settings,
            now: now)
        numbers = Array(repeating: 0, count: consumers)
    }

    mutating func handle(_ event: PoolWorkerCore.Event) {
        for action in core.handle(event, now: now) {
            switch action {
            case .send(let consumer, let frames):
                let message = try! Message(frames: frames, run: "r")
                sent.append((consumer, message))
                trace.append(message.header.type)
            case .execute(let id, let ticket, let consumer, _):
                executing.append((id, ticket.id.rawValue, consumer))
                trace.append("execute \(ticket.id)")
            case .cancel(let id): cancelled.append(id)
            case .report(let event): events.append(event)
            case .end(let reason):
                ended = true
                error = reason
            }
        }
    }

    mutating func say(
        _ type: String, to consumer: Int = 0, ticket: UInt64? = nil, number: UInt64? = nil,
        body: some Encodable = [String: String]()
    ) {
        numbers[consumer] += 1
        let message = Message(
            type, from: Sender(run: "r", name: "compute-\(consumer)", incarnation: Incarnation(rawValue: incarnation)),
            epoch: Epoch(epoch), sequence: number ?? numbers[consumer], body: try! body.wireJSON(),
            ticket: ticket.map { TicketID($0) })
        handle(.received(consumer: consumer, frames: try! message.frames()))
    }

    mutating func welcome(_ consumer: Int = 0, session: Int? = nil) {
        numbers[consumer] = 0
        say(
            "welcome", to: consumer,
            body: PoolBody.Welcome(
                heartbeatMilliseconds: 1000, session: session ?? core.links[consumer].session,
                silenceMilliseconds: 10_000))
    }

    mutating func finish(_ ticket: UInt64, _ finish: PoolWorkerCore.Finish = .output(TicketOutput())) {
        let place = executing.firstIndex { $0.ticket == ticket }!
        handle(.finished(executing.remove(at: place).id, finish))
    }

    mutating func takeTrace() -> [String] {
        defer { trace = [] }
        return trace
    }
}

@Suite struct PoolWorkerCoreTests {
    private func joined(
        consumers: Int = 1, executors: Int = 1, change: (inout PoolSettings) -> Void = { _ in }
    ) -> WorkerHarness {
        var worker = WorkerHarness(consumers: consumers, executors: executors, change: change)
        worker.handle(.tick)
        for consumer in 0..<consumers { worker.welcome(consumer) }
        _ = worker.takeTrace()
        return worker
    }

    @Test func itSaysReadyUntilItIsWelcome() throws {
        var worker = WorkerHarness()
        worker.handle(.tick)
        worker.handle(.tick)
        #expect(worker.trace == ["ready"])
        worker.now += .seconds(1)
        worker.handle(.tick)
        #expect(worker.trace == ["ready", "ready"])
        let ready: PoolBody.Ready = try worker.sent[1].message.decodeBody()
        #expect(ready == PoolBody.Ready(credit: 2, executing: [], session: 1))
        worker.welcome()
        worker.now += .milliseconds(900)
        worker.handle(.tick)
        #expect(worker.trace == ["ready", "ready"])
        worker.now += .milliseconds(100)
        worker.handle(.tick)
        #expect(worker.trace == ["ready", "ready", "heartbeat"])
    }

    @Test func readyThatFoundNoConnectionIsTriedAgainSoon() {
        var worker = WorkerHarness()
        worker.handle(.tick)
        worker.handle(.unsent(consumer: 0))
        worker.now += .milliseconds(49)
        worker.handle(.tick)
        #expect(worker.trace == ["ready"])
        worker.now += .milliseconds(1)
        worker.handle(.tick)
        #expect(worker.trace == ["ready", "ready"])
        // This one was sent: it is repeated at the pace of heartbeats.
        worker.now += .milliseconds(999)
        worker.handle(.tick)
        #expect(worker.trace == ["ready", "ready"])
        worker.welcome()
        let due = worker.core.nextDeadline
        worker.handle(.unsent(consumer: 0))
        #expect(worker.core.nextDeadline == due)
    }

    @Test func startIsSaidBeforeExecutingAndTicketsGoOldestFirst() {
        var worker = joined()
        worker.say("ticket", ticket: 5)
        worker.say("ticket", ticket: 7)
        worker.say("ticket", ticket: 6)
        #expect(worker.takeTrace() == ["start", "execute 5"])
        worker.finish(5)
        #expect(worker.takeTrace() == ["result", "start", "execute 6"])
        worker.finish(6)
        worker.finish(7)
        #expect(
            worker.sent.filter { $0.message.header.type == "result" }.map { $0.message.header.ticket } == [5, 6, 7])
    }

    @Test func heartbeatsSayWhatIsExecuted() throws {
        var worker = joined(executors: 2)
        for id in [1, 2, 3] as [UInt64] { worker.say("ticket", ticket: id) }
        worker.now += .seconds(1)
        worker.handle(.tick)
        let heartbeat: PoolBody.Heartbeat = try worker.sent.last!.message.decodeBody()
        #expect(heartbeat.executing == [1, 2])
    }

    @Test func consumersTakeTurns() {
        var worker = joined(consumers: 2)
        for id in [1, 2] as [UInt64] { worker.say("ticket", to: 0, ticket: id) }
        for id in [1, 2] as [UInt64] { worker.say("ticket", to: 1, ticket: id) }
        var order: [String] = []
        while let next = worker.executing.first {
            order.append("\(next.consumer):\(next.ticket)")
            worker.executing.removeAll()
            worker.handle(.finished(next.id, .output(TicketOutput())))
        }
        #expect(order == ["0:1", "1:1", "0:2", "1:2"])
    }

    @Test func aGapInTheConsumersMessagesMeansJoiningAnew() throws {
        var worker = joined()
        worker.say("ticket", ticket: 1)
        worker.say("ticket", ticket: 2)
        worker.say("heartbeat", number: 9)
        #expect(worker.takeTrace() == ["start", "execute 1", "ready"])
        let ready: PoolBody.Ready = try worker.sent.last!.message.decodeBody()
        #expect(ready.session == 2 && ready.executing == [1])
        worker.finish(1)  // still told: it may be the first
        #expect(worker.takeTrace() == ["result"])
        worker.welcome(session: 1)  // an old one
        worker.say("ticket", ticket: 3)
        #expect(worker.takeTrace() == [])
        worker.welcome(session: 2)
        worker.say("ticket", ticket: 2)
        #expect(worker.takeTrace() == ["start", "execute 2"])
    }

    @Test func aRepeatedWelcomeThatComesFirstMeansThatTicketsWereLost() {
        var worker = WorkerHarness()
        worker.handle(.tick)
        worker.say(
            "welcome", number: 3,
            body: PoolBody.Welcome(heartbeatMilliseconds: 1000, session: 1, silenceMilliseconds: 10_000))
        #expect(worker.takeTrace() == ["ready", "ready"])
        #expect(worker.core.links[0].session == 2)
    }

    @Test func aSilentConsumerIsJoinedAnew() {
        var worker = joined()
        worker.say("ticket", ticket: 1)
        worker.say("ticket", ticket: 2)
        worker.now += .seconds(10)
        worker.handle(.tick)
        #expect(worker.takeTrace() == ["start", "execute 1", "ready"])
        #expect(worker.core.links[0].queue.isEmpty)
    }

    @Test func aRestartedConsumerIsJoinedAnewAndOldWorkIsVoid() {
        var worker = joined()
        worker.say("ticket", ticket: 1)
        worker.incarnation = "c2"
        worker.epoch = 2
        worker.numbers = [0]
        worker.say("again", number: 0, body: PoolBody.Again(reason: "unknown"))
        worker.welcome()
        #expect(worker.cancelled.count == 1)
        worker.finish(1)
        #expect(worker.takeTrace() == ["start", "execute 1", "ready"])
        worker.incarnation = "c1"
        worker.epoch = 1
        worker.say("ticket", ticket: 9)  // the replaced consumer still lives
        #expect(worker.takeTrace() == [])
        #expect(worker.core.statistics.stale == 1)
    }

    @Test func aNewEpochCancelsAndDropsTheOld() {
        var worker = joined()
        worker.say("ticket", ticket: 1)
        worker.say("ticket", ticket: 2)
        worker.epoch = 2
        worker.say("reset")
        #expect(worker.cancelled == [worker.executing[0].id])
        worker.say("ticket", ticket: 1)
        #expect(worker.takeTrace() == ["start", "execute 1"])  // the one executor is still busy
        let old = worker.executing.removeFirst()
        worker.handle(.finished(old.id, .output(TicketOutput())))
        #expect(worker.takeTrace() == ["start", "execute 1"])
        worker.finish(1)
        #expect(worker.sent.last?.message.header.epoch == Epoch(2))
        #expect(worker.core.statistics.abandoned == 1)
    }

    @Test func aTicketGivenAgainWhileItIsExecutedIsNotExecutedTwice() {
        var worker = joined()
        worker.say("ticket", ticket: 1)
        worker.say("again", number: 0, body: PoolBody.Again(reason: "lost"))
        worker.welcome()
        worker.say("ticket", ticket: 1)
        #expect(worker.takeTrace() == ["start", "execute 1", "ready", "start"])
        worker.finish(1)
        #expect(worker.takeTrace() == ["result"])
    }

    @Test func errorsAndUnsendableResultsAreFailuresOfOneLine() throws {
        var worker = joined { $0.limits.bodyBytes = 1000 }
        worker.say("ticket", ticket: 1)
        worker.finish(1, .failed("cannot read\nx.jpg"))
        var failed: PoolBody.Failed = try worker.sent.last!.message.decodeBody()
        #expect(failed.error == "cannot read x.jpg")
        worker.say("ticket", ticket: 2)
        worker.finish(2, .output(TicketOutput(body: Data(count: 1001))))
        failed = try worker.sent.last!.message.decodeBody()
        #expect(failed.error == "its result cannot be sent: body of 1001 bytes; the limit is 1000")
    }

    @Test func aRefusalEndsTheWorkerWithTheConsumersReason() {
        var worker = WorkerHarness()
        worker.handle(.tick)
        worker.say(
            "refused", number: 0,
            body: PoolBody.Refused(code: .superseded, ours: "a later start", reason: "too late", yours: "w1"))
        #expect(worker.ended)
        #expect(worker.error == .refused(worker: "loader-0", consumer: "compute-0", reason: "too late"))
    }

    @Test func drainingFinishesWhatIsExecutedAndHandsBackTheRest() {
        var worker = joined()
        worker.say("ticket", ticket: 1)
        worker.say("ticket", ticket: 2)
        worker.handle(.drain)
        #expect(worker.takeTrace() == ["start", "execute 1", "drain"])
        worker.say("ticket", ticket: 3)
        #expect(!worker.ended)
        worker.finish(1)
        #expect(worker.takeTrace() == ["result", "bye"])
        #expect(worker.ended && worker.error == nil)
    }

    @Test func aConsumerDrainsItsOwnLinkOnly() {
        var worker = joined(consumers: 2)
        worker.say("drain", to: 0)
        #expect(worker.takeTrace() == ["bye"])
        #expect(!worker.ended)
        worker.say("ticket", to: 1, ticket: 4)
        #expect(worker.takeTrace() == ["start", "execute 4"])
        worker.say("drain", to: 1)
        worker.finish(4)
        #expect(worker.ended)
    }

    @Test func drainingWithoutAConsumerNeitherWaitsNorSpins() {
        var worker = joined()
        worker.say("ticket", ticket: 1)
        worker.say("bye")
        worker.handle(.drain)
        worker.now += .seconds(5)
        worker.handle(.tick)
        #expect(worker.core.nextDeadline! > worker.now)
        worker.finish(1)
        #expect(worker.ended)
    }

    @Test func stoppingCancelsAndSaysGoodbye() {
        var worker = joined()
        worker.say("ticket", ticket: 1)
        worker.handle(.stop)
        #expect(worker.takeTrace() == ["start", "execute 1", "bye"])
        #expect(worker.cancelled.count == 1 && worker.ended)
        #expect(worker.core.nextDeadline == nil)
    }

    @Test func aConsumerThatKeepsSendingBadFramesIsGivenUp() {
        var worker = joined { $0.badFrameLimit = 3 }
        for _ in 0..<3 { worker.say("result", ticket: 1) }
        #expect(worker.ended)
        guard case .badConsumer(_, let reason)? = worker.error else {
            Issue.record("\(String(describing: worker.error))")
            return
        }
        #expect(reason.contains("not for a consumer"))
    }
}
