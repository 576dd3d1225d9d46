import Basics
import Foundation
import Testing

@testable import Wire

/// Real sockets, threads and files.
@Suite struct LogSocketTests {
    let folder = LogTestFolder()
    let context = Context()
    /// Long enough for a machine that does ten other things; nothing waits for it when all is well.
    let patience = Duration.seconds(30)

    private var quick: LogSettings {
        var settings = LogSettings()
        settings.heartbeat = .milliseconds(50)
        return settings
    }

    private func server(_ start: LogStart = .existing) throws -> LogServer {
        try LogServer(
            bind: folder.endpoint("s"), as: Sender(run: "r", name: "bank-1"), context: context,
            folder: folder.file("bank"), reducer: Ring(), start: start, settings: quick)
    }

    private func writer() throws -> LogWriter {
        try LogWriter(
            connect: folder.endpoint("s"), as: Sender(run: "r", name: "compute-1"), context: context, settings: quick)
    }

    private func follower(_ name: String = "miner-1") throws -> LogFollower<Ring> {
        try LogFollower(
            connect: folder.endpoint("s"), as: Sender(run: "r", name: name), replica: Ring(), context: context,
            settings: quick)
    }

    private func slots(_ follower: LogFollower<Ring>, at sequence: UInt64, epoch: UInt64 = 1) throws -> [Int32] {
        try follower.read(at: SequenceNumber(sequence), epoch: Epoch(epoch), timeout: patience) { $0.slots }
    }

    private func stop(_ server: LogServer) throws {
        server.stop()
        #expect(try server.waitUntilStopped(timeout: patience))
    }

    @Test func followersCopyExactlyAsFarAsAsked() throws {
        let model = try Ring.model(30)
        let server = try server()
        let writer = try writer()
        let fast = try follower()
        let late = try follower("miner-2")
        #expect(try writer.open(epoch: Epoch(1), at: SequenceNumber(0), timeout: patience) == .empty)
        for step in 1...30 {
            try writer.append(SequenceNumber(UInt64(step)), Ring.logical(UInt64(step)))
            #expect(try slots(fast, at: UInt64(step - 1)) == model[step - 1].slots)
        }
        try writer.waitUntilAcknowledged(timeout: patience)
        #expect(server.position.hash == model[30].hash)
        #expect(try slots(late, at: 17) == model[17].slots)
        #expect(try slots(late, at: 30) == model[30].slots)
        #expect(try slots(late, at: 25) == model[25].slots)
        #expect(server.position.sequence == SequenceNumber(30))
        fast.close()
        late.close()
        writer.close()
        try stop(server)
    }

    @Test func aKilledFollowerIsReplacedByOneThatStartsAnew() throws {
        let model = try Ring.model(12)
        let server = try server()
        let writer = try writer()
        _ = try writer.open(epoch: Epoch(1), at: SequenceNumber(0), timeout: patience)
        for step in 1...6 { try writer.append(SequenceNumber(UInt64(step)), Ring.logical(UInt64(step))) }
        do {
            let first = try follower()
            #expect(try slots(first, at: 5) == model[5].slots)
            first.close()
            #expect(throws: LogError.closed) { try slots(first, at: 6) }
        }
        let second = try follower()
        #expect(try slots(second, at: 4) == model[4].slots)
        for step in 7...12 { try writer.append(SequenceNumber(UInt64(step)), Ring.logical(UInt64(step))) }
        #expect(try slots(second, at: 12) == model[12].slots)
        try stop(server)
    }

    @Test func whoCaughtUpNeedsTheBankNoMoreForTheNextTicket() throws {
        let model = try Ring.model(12)
        let server = try server()
        let writer = try writer()
        let follower = try follower()
        #expect(throws: LogError.self) {
            // No epoch is open yet.
            try follower.catchUp(lag: 1, epoch: Epoch(1), timeout: .milliseconds(200))
        }
        _ = try writer.open(epoch: Epoch(1), at: SequenceNumber(0), timeout: patience)
        try follower.catchUp(lag: 1, epoch: Epoch(1), timeout: patience)
        #expect(try slots(follower, at: 0) == model[0].slots, "less the lag is never below 0")
        for step in 1...12 { try writer.append(SequenceNumber(UInt64(step)), Ring.logical(UInt64(step))) }
        try writer.waitUntilAcknowledged(timeout: patience)
        try follower.catchUp(lag: 1, epoch: Epoch(1), timeout: patience)
        try stop(server)
        #expect(try slots(follower, at: 11) == model[11].slots)
    }

    @Test func writerAndFollowerGoOnWithARestartedBank() throws {
        let model = try Ring.model(10)
        let first = try server()
        let writer = try writer()
        let follower = try follower()
        _ = try writer.open(epoch: Epoch(1), at: SequenceNumber(0), timeout: patience)
        for step in 1...5 { try writer.append(SequenceNumber(UInt64(step)), Ring.logical(UInt64(step))) }
        #expect(try slots(follower, at: 5) == model[5].slots)
        try stop(first)
        // Nobody is there; the records wait here.
        for step in 6...10 { try writer.append(SequenceNumber(UInt64(step)), Ring.logical(UInt64(step))) }
        let second = try server()
        try writer.waitUntilAcknowledged(timeout: patience)
        #expect(try slots(follower, at: 9) == model[9].slots)
        #expect(try slots(follower, at: 10) == model[10].slots)
        #expect(second.position.hash == model[10].hash)
        try stop(second)
    }

    @Test func writerThatIsFarAheadWaitsForTheBankUntilItIsCancelled() throws {
        var settings = quick
        settings.maxUnacknowledged = 3
        let first = try server()
        let writer = try LogWriter(
            connect: folder.endpoint("s"), as: Sender(run: "r", name: "compute-1"), context: context,
            settings: settings)
        _ = try writer.open(epoch: Epoch(1), at: SequenceNumber(0), timeout: nil)
        try stop(first)
        for step in 1...3 {
            try writer.waitForRoom()
            try writer.append(SequenceNumber(UInt64(step)), Ring.logical(UInt64(step)))
        }
        #expect(throws: LogError.backlog(3)) { try writer.append(SequenceNumber(4), Ring.logical(4)) }
        let second = try server()
        try writer.waitForRoom()
        try writer.append(SequenceNumber(4), Ring.logical(4))
        try writer.waitUntilAcknowledged(timeout: patience)
        #expect(try second.position.hash == Ring.model(4)[4].hash)
        try stop(second)

        // Nobody will come any more, and somebody says so while the writer waits.
        for step in 5...7 { try writer.append(SequenceNumber(UInt64(step)), Ring.logical(UInt64(step))) }
        Thread { writer.cancel() }.start()
        #expect(throws: LogError.cancelled) { try writer.waitForRoom() }
        #expect(throws: LogError.cancelled) {
            _ = try writer.checkpoint(SequenceNumber(7), into: folder.path, timeout: nil)
        }
        #expect(throws: LogError.cancelled) {
            _ = try writer.open(epoch: Epoch(2), at: SequenceNumber(0), timeout: nil)
        }
        writer.close()
    }

    @Test func aLogResumedFromItsCheckpointContinuesTheHash() throws {
        let model = try Ring.model(9)
        let saved = folder.file("step-6")
        try FileManager.default.createDirectory(atPath: saved, withIntermediateDirectories: true)
        do {
            let server = try server()
            let writer = try writer()
            _ = try writer.open(epoch: Epoch(1), at: SequenceNumber(0), timeout: patience)
            for step in 1...6 { try writer.append(SequenceNumber(UInt64(step)), Ring.logical(UInt64(step))) }
            #expect(throws: LogError.outOfOrder(SequenceNumber(5), expected: SequenceNumber(6))) {
                try writer.checkpoint(SequenceNumber(5), into: saved, timeout: patience)
            }
            let checkpoint = try writer.checkpoint(SequenceNumber(6), into: saved, timeout: patience)
            #expect(checkpoint.hash == model[6].hash)
            #expect(checkpoint.file == "bank.snapshot")
            try writer.retain(from: SequenceNumber(6), timeout: patience)
            try writer.append(SequenceNumber(7), Ring.logical(7))
            try writer.waitUntilAcknowledged(timeout: patience)
            #expect(server.position.hash == model[7].hash)
            #expect(throws: LogError.self) {
                try writer.checkpoint(SequenceNumber(7), into: folder.file("missing"), timeout: patience)
            }
            try stop(server)
        }
        let server = try server(.snapshot(saved + "/bank.snapshot"))
        let writer = try writer()
        #expect(throws: LogError.self) { try writer.open(epoch: Epoch(1), at: SequenceNumber(6), timeout: patience) }
        #expect(throws: LogError.self) { try writer.open(epoch: Epoch(2), at: SequenceNumber(7), timeout: patience) }
        #expect(try writer.open(epoch: Epoch(3), at: SequenceNumber(6), timeout: patience) == model[6].hash)
        for step in 7...9 { try writer.append(SequenceNumber(UInt64(step)), Ring.logical(UInt64(step))) }
        try writer.waitUntilAcknowledged(timeout: patience)
        #expect(server.position.hash == model[9].hash)
        let follower = try follower()
        #expect(try slots(follower, at: 8, epoch: 3) == model[8].slots)
        #expect(throws: LogError.staleEpoch(Epoch(1), current: Epoch(3))) { try slots(follower, at: 9) }
        do {
            _ = try slots(follower, at: 5, epoch: 3)
            Issue.record("a state from before the checkpoint was served")
        } catch LogError.refused(let code, let why) {
            #expect(code == .gone)
            #expect(why.contains("oldest"))
        }
        #expect(try slots(follower, at: 9, epoch: 3) == model[9].slots)
        try stop(server)
    }

    @Test func waitsEndByTimeAndByCancelAndLeaveTheReplicaAlone() throws {
        let server = try server()
        let writer = try writer()
        let follower = try follower()
        _ = try writer.open(epoch: Epoch(1), at: SequenceNumber(0), timeout: patience)
        try writer.append(SequenceNumber(1), Ring.logical(1))
        let model = try Ring.model(2)
        #expect(try slots(follower, at: 1) == model[1].slots)
        #expect(throws: LogError.self) {
            try follower.read(at: SequenceNumber(2), epoch: Epoch(1), timeout: .milliseconds(30)) { $0.slots }
        }
        let isHeard = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            // Cancelling nobody does nothing, so it is said until somebody heard it.
            repeat { follower.cancel() } while isHeard.wait(timeout: .now() + .milliseconds(10)) == .timedOut
        }
        #expect(throws: LogError.cancelled) { try slots(follower, at: 2) }
        isHeard.signal()
        try stop(server)
        #expect(throws: LogError.outOfOrder(SequenceNumber(3), expected: SequenceNumber(2))) {
            try writer.append(SequenceNumber(3), Ring.logical(3))
        }
        writer.close()
        #expect(throws: LogError.closed) { try writer.append(SequenceNumber(2), Ring.logical(2)) }
    }

    /// A miner's threads: those with tickets of one step read together, one with another step's waits for them.
    @Test func readersOfOnePlaceReadSideBySide() throws {
        let server = try server()
        let writer = try writer()
        let follower = try follower()
        _ = try writer.open(epoch: Epoch(1), at: SequenceNumber(0), timeout: patience)
        for step in 1...2 { try writer.append(SequenceNumber(UInt64(step)), Ring.logical(UInt64(step))) }
        let model = try Ring.model(3)

        struct Seen {
            var here = 0
            var most = 0
            var slots: [[Int32]] = []
            var moved: [Int32]?
        }
        let seen = Monitor(Seen())
        let patience = patience
        for _ in 0..<3 {
            Thread.detachNewThread {
                try? follower.read(at: SequenceNumber(1), epoch: Epoch(1), timeout: patience) { replica in
                    seen.update { state in
                        state.here += 1
                        state.most = max(state.most, state.here)
                        state.slots.append(replica.slots)
                    }
                    // Each stays until all are there.
                    _ = seen.wait(until: .now() + patience) { $0.most == 3 && $0.slots.count >= 4 ? true : nil }
                    seen.update { $0.here -= 1 }
                }
            }
        }
        #expect(seen.wait(until: .now() + patience) { $0.here == 3 ? true : nil } == true)
        Thread.detachNewThread {
            let slots = try? follower.read(at: SequenceNumber(2), epoch: Epoch(1), timeout: patience) { replica in
                seen.withLock { #expect($0.here == 0, "the replica was moved under its readers") }
                return replica.slots
            }
            seen.update { $0.moved = slots ?? [] }
        }
        // A fourth joins them, whoever waits; it lets all go.
        try follower.read(at: SequenceNumber(1), epoch: Epoch(1), timeout: patience) { replica in
            seen.update { $0.slots.append(replica.slots) }
        }
        #expect(seen.wait(until: .now() + patience) { $0.moved } == model[2].slots)
        #expect(seen.withLock { $0.slots } == Array(repeating: model[1].slots, count: 4))

        // One waits for a record that does not come, another for its turn: each is freed by its own cancellation alone.
        let cancellations = [Cancellation(), Cancellation()]
        let ends = Monitor([Int: LogError]())
        for (index, cancellation) in cancellations.enumerated() {
            Thread.detachNewThread {
                do {
                    try follower.read(
                        at: SequenceNumber(3 + UInt64(index)), epoch: Epoch(1), timeout: patience, unless: cancellation
                    ) { _ in }
                } catch {
                    ends.update { $0[index] = error as? LogError }
                }
            }
        }
        cancellations[1].cancel()
        #expect(ends.wait(until: .now() + patience) { $0[1] } == .cancelled)
        #expect(ends.withLock { $0[0] } == nil)
        cancellations[0].cancel()
        #expect(ends.wait(until: .now() + patience) { $0[0] } == .cancelled)
        #expect(try slots(follower, at: 2) == model[2].slots)
        try stop(server)
    }

    /// Noise on the bank's socket costs nobody but its sender.
    @Test func aBankOutlivesPeersThatSendNoise() throws {
        let server = try server()
        let noise = try Socket(.dealer, context: context, identity: "noise")
        try noise.connect(folder.endpoint("s"))
        var random = KeyedRandom(seed: 3, purpose: "log-noise")
        for _ in 0..<40 {
            let frames = (0..<random.below(5)).map { _ in
                SharedBytes((0..<random.below(60)).map { _ in UInt8(truncatingIfNeeded: random.next()) })
            }
            try noise.send(frames + [SharedBytes([UInt8]())])
        }
        let writer = try writer()
        _ = try writer.open(epoch: Epoch(1), at: SequenceNumber(0), timeout: patience)
        try writer.append(SequenceNumber(1), Ring.logical(1))
        try writer.waitUntilAcknowledged(timeout: patience)
        #expect(try server.position.hash == Ring.model(1)[1].hash)
        // The two connections are in no order to each other.
        let deadline = ContinuousClock.now + patience
        while server.statistics.badFrames < 16, ContinuousClock.now < deadline { Thread.sleep(forTimeInterval: 0.01) }
        try stop(server)
        #expect(server.statistics.badFrames == 16)
        #expect(server.statistics.cutOffPeers == 1)
    }
}
