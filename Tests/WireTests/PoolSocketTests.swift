import Basics
import Foundation
import Testing

@testable import Wire

@Suite(.serialized, .timeLimit(.minutes(2))) struct PoolSocketTests {
    private let folder = SocketFolder()
    private let context = Context()

    private static func double(_ ticket: Ticket, _: TicketContext) throws -> TicketOutput {
        let x = try #require(ticket.tensors.first).bytes.array(of: Float.self)
        return TicketOutput(
            body: ticket.body, tensors: [try WireTensor(name: "y", shape: [x.count], floats: x.map { $0 * 2 })])
    }

    private func ticket(_ id: UInt64) throws -> Ticket {
        Ticket(
            id: TicketID(id), body: Data("{\"id\":\(id)}".utf8),
            tensors: [try WireTensor(name: "x", shape: [2], floats: [Float(id), 1])])
    }

    private func check(_ result: TicketResult, _ id: UInt64) {
        #expect(result.id.rawValue == id)
        #expect(String(decoding: result.body, as: UTF8.self) == "{\"id\":\(id)}")
        #expect(result.tensors.first?.bytes.array(of: Float.self) == [Float(id) * 2, 2])
    }

    @Test func severalWorkersServeOneConsumerInOrder() throws {
        let events = Recorder<PoolEvent>()
        let pool = try PoolConsumer.quick(folder.endpoint(), context: context) { events.note($0) }
        let workers = try (0..<3).map {
            try RunningWorker("loader-\($0)", [folder.endpoint()], context: context, execute: Self.double)
        }
        // On busy cores one worker would have done all before the others are there.
        for worker in 0..<3 {
            #expect(events.first { $0 == .joined(worker: "loader-\(worker)", credit: 2) } != nil)
        }
        for id in 1...500 as ClosedRange<UInt64> { try pool.issue(ticket(id)) }
        var who: Set<String> = []
        for id in 1...500 as ClosedRange<UInt64> {
            let result = try pool.expectNext()
            check(result, id)
            who.insert(result.worker)
        }
        #expect(who.count > 1)
        #expect(try pool.next(timeout: .milliseconds(1)) == nil)
        for worker in workers { worker.worker.drain() }
        for worker in workers { try worker.join() }
        #expect(pool.statistics.badFrames == 0)
        #expect(pool.statistics.delivered == 500)
    }

    @Test func aWorkerThatComesFirstWaitsForItsConsumer() throws {
        let worker = try RunningWorker("loader-0", [folder.endpoint()], context: context, execute: Self.double)
        Thread.sleep(forTimeInterval: 0.2)  // several unsuccessful dials
        let pool = try PoolConsumer.quick(folder.endpoint(), context: context)
        try pool.issue(ticket(1))
        check(try pool.expectNext(), 1)
        worker.worker.stop()
        try worker.join()
    }

    /// The first `ready` finds no connection; the next would be due only after longer than `expectNext` waits.
    @Test func joiningDoesNotWaitForTheBeat() throws {
        var slow = PoolSettings.quick
        slow.heartbeat = .seconds(60)
        slow.silence = .seconds(120)
        let worker = try RunningWorker(
            "loader-0", [folder.endpoint()], context: context, settings: slow, execute: Self.double)
        Thread.sleep(forTimeInterval: 0.2)
        let pool = try PoolConsumer.quick(folder.endpoint(), context: context, settings: slow)
        try pool.issue(ticket(1))
        check(try pool.expectNext(), 1)
        worker.worker.stop()
        try worker.join()
    }

    @Test func aWorkerKilledWhileItExecutesLosesNothing() throws {
        let events = Recorder<PoolEvent>()
        let pool = try PoolConsumer.quick(folder.endpoint(), context: context) { events.note($0) }
        for id in 1...20 as ClosedRange<UInt64> { try pool.issue(ticket(id)) }
        do {
            let victim = try BarePeer("loader-0", folder.endpoint(), context: context)
            victim.socket.linger = 200
            try victim.ready(credit: 8)
            for _ in 0..<8 { _ = try victim.receive("ticket") }
            try victim.send("start", ticket: 1)
            #expect(events.first { $0 == .joined(worker: "loader-0", credit: 8) } != nil)
            victim.socket.close()  // no goodbye
        }
        // Noticed by the closed connection long before silence would tell.
        #expect(events.first { $0 == .lost(worker: "loader-0", cause: .unreachable, reissued: 8) } != nil)
        #expect(events.first { $0 == .blamed(ticket: 1, worker: "loader-0", isolated: 0) } != nil)
        let worker = try RunningWorker(
            "loader-1", [folder.endpoint()], context: context, credit: 4, execute: Self.double)
        for id in 1...20 as ClosedRange<UInt64> { check(try pool.expectNext(), id) }
        #expect(pool.statistics.reissued == 8)
        worker.worker.drain()
        try worker.join()
    }

    @Test func heartbeatsGoOnWhileATicketIsExecuted() throws {
        var settings = PoolSettings.quick
        settings.heartbeat = .milliseconds(20)
        settings.silence = .seconds(4)
        let pool = try PoolConsumer.quick(folder.endpoint(), context: context, settings: settings)
        let worker = try RunningWorker("loader-0", [folder.endpoint()], context: context, settings: settings) {
            ticket, _ in
            Thread.sleep(forTimeInterval: 6)
            return TicketOutput(body: ticket.body)
        }
        try pool.issue(ticket(1))
        #expect(try pool.expectNext().id == 1)
        #expect(pool.statistics.reissued == 0)
        #expect(pool.statistics.lostWorkers == 0)
        worker.worker.stop()
        try worker.join()
    }

    @Test func severalThreadsExecuteAtTheSameTime() throws {
        let pool = try PoolConsumer.quick(folder.endpoint(), context: context)
        let inside = Monitor(0)
        let worker = try RunningWorker("loader-0", [folder.endpoint()], context: context, credit: 4, threads: 3) {
            ticket, _ in
            inside.update { $0 += 1 }
            // Goes on only once three are inside.
            guard inside.wait(until: .now() + .seconds(30), for: { $0 >= 3 ? true : nil }) != nil else {
                throw UserError("alone")
            }
            return TicketOutput(body: ticket.body)
        }
        for id in 1...3 as ClosedRange<UInt64> { try pool.issue(ticket(id)) }
        for id in 1...3 as ClosedRange<UInt64> { #expect(try pool.expectNext().id.rawValue == id) }
        worker.worker.drain()
        try worker.join()
    }

    /// What comes while others are executed is executed together, so many at most; one that fails fails alone.
    @Test func ticketsThatWaitAreExecutedTogether() throws {
        let pool = try PoolConsumer.quick(folder.endpoint(), context: context)
        let worker = try PoolWorker(
            consumers: [folder.endpoint()], as: Sender(run: "r", name: "miner-0"), credit: 4, context: context,
            settings: .quick)
        let sizes = Recorder<Int>()
        let thread = Thread {
            try? worker.run(together: 3, threads: 2) { tasks in
                sizes.note(tasks.count)
                Thread.sleep(forTimeInterval: 0.05)
                return tasks.map { task in
                    Result {
                        if task.ticket.id == 41 { throw UserError("no pixels") }
                        return try Self.double(task.ticket, task.context)
                    }
                }
            }
            sizes.note(0)
        }
        thread.start()
        for id in 1...42 as ClosedRange<UInt64> { try pool.issue(ticket(id)) }
        for id in 1...40 as ClosedRange<UInt64> { check(try pool.expectNext(), id) }
        #expect(throws: PoolFailure(ticket: 41, epoch: Epoch(1), workers: ["miner-0"], message: "no pixels")) {
            try pool.expectNext()
        }
        #expect(sizes.all.max() == 3)
        #expect(worker.statistics.busy >= .seconds(0.1) * (sizes.all.count - 1))
        worker.drain()
        #expect(sizes.first { $0 == 0 } == 0)
    }

    @Test func oneWorkerServesSeveralConsumersUntilAllDrainIt() throws {
        let pools = try (0..<2).map { try PoolConsumer.quick(folder.endpoint("p\($0)"), context: context) }
        let worker = try RunningWorker(
            "loader-0", [folder.endpoint("p0"), folder.endpoint("p1")], context: context, execute: Self.double)
        for pool in pools { for id in 1...50 as ClosedRange<UInt64> { try pool.issue(ticket(id)) } }
        for pool in pools { for id in 1...50 as ClosedRange<UInt64> { check(try pool.expectNext(), id) } }
        for pool in pools { pool.drain(worker: "loader-0") }
        try worker.join()
        for pool in pools { pool.close() }
    }

    @Test func aThrownErrorEndsThePoolWithTicketWorkerAndMessage() throws {
        let pool = try PoolConsumer.quick(folder.endpoint(), context: context)
        let worker = try RunningWorker("loader-0", [folder.endpoint()], context: context) { ticket, _ in
            if ticket.id == 2 { throw UserError("x.jpg: truncated") }
            return TicketOutput(body: ticket.body)
        }
        for id in 1...3 as ClosedRange<UInt64> { try pool.issue(ticket(id)) }
        #expect(try pool.expectNext().id == 1)
        let failure = PoolFailure(ticket: 2, epoch: Epoch(1), workers: ["loader-0"], message: "x.jpg: truncated")
        #expect(throws: failure) { try pool.next() }
        #expect(throws: failure) { try pool.next() }
        try pool.reset(epoch: Epoch(2))
        try pool.issue(ticket(1))
        #expect(try pool.expectNext().id == 1)
        worker.worker.stop()
        try worker.join()
    }

    @Test func aRefusalMakesRunThrow() throws {
        let events = Recorder<PoolEvent>()
        let pool = try PoolConsumer.quick(folder.endpoint(), context: context) { events.note($0) }
        defer { pool.close() }
        let old = try RunningWorker("loader-0", [folder.endpoint()], context: context, execute: Self.double)
        #expect(events.first { if case .joined("loader-0", _, _) = $0 { true } else { false } } != nil)
        let new = try RunningWorker("loader-0", [folder.endpoint()], context: context, execute: Self.double)
        let error = #expect(throws: PoolError.self) { try old.join() }
        let reason = "a worker of the name loader-0 was started after you"
        #expect("\(try #require(error))" == "compute-0 refuses loader-0: \(reason)")
        #expect(events.first { $0 == .refused(peer: "loader-0", reason: reason) } != nil)
        new.worker.stop()
        try new.join()
    }

    @Test func aNewEpochFreesAWorkerThatWaits() throws {
        let pool = try PoolConsumer.quick(folder.endpoint(), context: context)
        let waiting = Recorder<Bool>()
        let worker = try RunningWorker("miner-0", [folder.endpoint()], context: context) { ticket, context in
            guard context.epoch == Epoch(1) else { return TicketOutput(body: ticket.body) }
            // Waits for what never comes, as a miner for a record of an epoch that is over.
            let gate = Monitor(false)
            context.cancellation.onCancel { gate.update { $0 = true } }
            waiting.note(true)
            _ = gate.wait(until: .now() + .seconds(30)) { $0 ? true : nil }
            #expect(context.cancellation.isCancelled)
            throw UserError("must not be told")
        }
        try pool.issue(ticket(1))
        #expect(waiting.first { $0 } != nil)
        try pool.reset(epoch: Epoch(2))
        try pool.issue(ticket(1))
        #expect(try pool.expectNext().id == 1)
        worker.worker.stop()
        try worker.join()
    }

    @Test func resultsOfAnOlderEpochAreNeverSeenAfterReset() throws {
        let pool = try PoolConsumer.quick(folder.endpoint(), context: context)
        let worker = try RunningWorker(
            "loader-0", [folder.endpoint()], context: context, credit: 4, execute: Self.double)
        for epoch in 2...40 as ClosedRange<UInt64> {
            for id in 1...8 as ClosedRange<UInt64> { try pool.issue(ticket(id)) }
            if epoch % 2 == 0 { check(try pool.expectNext(), 1) }
            try pool.reset(epoch: Epoch(epoch))
        }
        let last = try ticket(3)
        try pool.issue(last)
        check(try pool.expectNext(), 3)
        worker.worker.stop()
        try worker.join()
    }

    @Test func wrongUseIsAnErrorThatSaysWhat() throws {
        var settings = PoolSettings.quick
        settings.limits.bodyBytes = 100
        let pool = try PoolConsumer.quick(folder.endpoint(), context: context, settings: settings)
        try pool.issue(Ticket(id: 5))
        #expect(throws: PoolError.ticketNotAscending(5, after: 5)) { try pool.issue(Ticket(id: 5)) }
        #expect(throws: PoolError.ticketNotAscending(4, after: 5)) { try pool.issue(Ticket(id: 4)) }
        #expect(throws: PoolError.ticketTooLarge(6, "body of 101 bytes; the limit is 100")) {
            try pool.issue(Ticket(id: 6, body: Data(count: 101)))
        }
        #expect(throws: PoolError.epochNotAscending(Epoch(1), after: Epoch(1))) { try pool.reset(epoch: Epoch(1)) }
        pool.close()
        pool.close()
        #expect(throws: PoolError.closed) { try pool.issue(Ticket(id: 7)) }
        #expect(throws: PoolError.closed) { try pool.next() }
        #expect(throws: WireError.self) {
            try PoolConsumer.quick(Endpoint("ipc:///nowhere/at/all"), context: context)
        }
    }

    @Test func aWaitingCallerIsFreedByClose() throws {
        let pool = try PoolConsumer.quick(folder.endpoint(), context: context)
        let outcome = Recorder<String>()
        let thread = Thread {
            do { _ = try pool.next() } catch { outcome.note("\(error)") }
        }
        thread.start()
        Thread.sleep(forTimeInterval: 0.05)
        pool.close()
        #expect(outcome.first { _ in true } == "the pool is closed")
    }

    @Test func aWorkerGoesOnWithTheConsumersSuccessor() throws {
        let worker = try RunningWorker("loader-0", [folder.endpoint()], context: context, execute: Self.double)
        for epoch in 1...3 as ClosedRange<UInt64> {
            let pool = try PoolConsumer(
                endpoint: folder.endpoint(), as: Sender(run: "r", name: "compute-0"), epoch: Epoch(epoch),
                context: context, settings: .quick)
            try pool.issue(ticket(epoch))
            check(try pool.expectNext(), epoch)
            pool.close()
        }
        worker.worker.stop()
        try worker.join()
    }
}
