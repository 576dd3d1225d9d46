import Basics
import Foundation
import Testing

@testable import Wire

@Suite struct LogServerCoreTests {
    let folder = LogTestFolder()
    let writer = LogPeer(id: [1])
    let follower = LogPeer(id: [2])
    let compute = Sender(run: "r", name: "compute-1")
    let miner = Sender(run: "r", name: "miner-1")

    private func refusal(_ messages: [Message]) throws -> LogRefusal.Code? {
        guard let first = messages.first, first.header.type == "log.refused" else { return nil }
        return try first.decodeBody(LogRefusal.self).code
    }

    @Test func acknowledgesInOrderWithTheChainsHash() throws {
        let bench = try LogBench(folder.path)
        try bench.fill(writer, compute, epoch: 1, through: 5)
        let model = try Ring.model(5)
        let acknowledged = try bench.answers.filter { $0.message.header.type == "log.acknowledged" }
            .map { try $0.message.decodeBody(LogAcknowledged.self) }
        #expect(
            acknowledged == (1...5).map { LogAcknowledged(sequence: SequenceNumber(UInt64($0)), hash: model[$0].hash) })
    }

    @Test func acknowledgesADuplicateAgainAndRefusesAnotherRecordInItsPlace() throws {
        let bench = try LogBench(folder.path)
        try bench.fill(writer, compute, epoch: 1, through: 3)
        let again = try bench.append(writer, compute, 1, 2)
        #expect(try again.first?.decodeBody(LogAcknowledged.self).hash == Ring.model(3)[2].hash)
        let other = try bench.ask(
            writer, compute, .append, epoch: 1, LogAppend(sequence: SequenceNumber(2), payload: "{\"step\":7}"))
        #expect(try refusal(other) == .conflict)
        #expect(bench.engine.position.sequence == SequenceNumber(3))
    }

    @Test func dropsARecordBeyondTheNextAndTellsItsPositionToAPing() throws {
        let bench = try LogBench(folder.path)
        try bench.fill(writer, compute, epoch: 1, through: 1)
        #expect(try bench.append(writer, compute, 1, 3).isEmpty)
        #expect(bench.engine.statistics.gaps == 1)
        let pong = try bench.ask(writer, compute, .ping, epoch: 1, LogPing(ping: 4))
        #expect(
            try pong.first?.decodeBody(LogPong.self)
                == LogPong(ping: 4, request: 1, parked: false, next: nil, sequence: SequenceNumber(1)))
    }

    @Test func refusesWhatTheReducerFindsInvalidAndGoesOn() throws {
        let bench = try LogBench(folder.path)
        try bench.fill(writer, compute, epoch: 1, through: 1)
        let bad = try WireTensor(name: "values", dtype: .int32, shape: [1], bytes: SharedBytes([Int32(-1)]))
        let answer = try bench.ask(
            writer, compute, .append, epoch: 1, LogAppend(sequence: SequenceNumber(2), payload: "{}"), tensors: [bad])
        #expect(try refusal(answer) == .invalid)
        #expect(try bench.append(writer, compute, 1, 2).first?.header.type == "log.acknowledged")
    }

    @Test func refusesOlderEpochsOtherPositionsAndOtherWriters() throws {
        let bench = try LogBench(folder.path, knownEpoch: Epoch(3))
        func open(_ sender: Sender, _ epoch: UInt64, _ sequence: UInt64) throws -> LogRefusal.Code? {
            try refusal(
                bench.ask(writer, sender, .open, epoch: epoch, LogOpen(request: 1, sequence: SequenceNumber(sequence))))
        }
        #expect(try open(compute, 3, 0) == .epoch)
        #expect(try open(compute, 2, 0) == .epoch)
        #expect(try open(compute, 4, 1) == .sequence)
        #expect(try open(compute, 4, 0) == nil)
        let stranger = Sender(run: "r", name: "compute-1")
        #expect(try open(stranger, 4, 0) == .epoch)
        #expect(try refusal(bench.append(LogPeer(id: [9]), stranger, 4, 1)) == .writer)
        #expect(try open(stranger, 5, 0) == nil)
        #expect(try refusal(bench.append(writer, compute, 4, 1)) == .epoch)
        #expect(bench.engine.position.sequence == SequenceNumber(0))
    }

    @Test func parksAFollowerUntilTheRecordExistsAndNeverSendsMoreThanAsked() throws {
        let bench = try LogBench(folder.path)
        try bench.fill(writer, compute, epoch: 1, through: 2)
        let first = try bench.ask(
            follower, miner, .records, epoch: 1, LogRecords(request: 1, from: SequenceNumber(2), count: 3))
        #expect(first.map(\.header.type) == ["log.record"])
        for sequence in 3...6 { try bench.append(writer, compute, 1, UInt64(sequence)) }
        let sent = try bench.answers.filter { $0.peer == follower }
            .map { try $0.message.decodeBody(LogRecordBody.self).sequence.rawValue }
        #expect(sent == [2, 3, 4])
    }

    @Test func offersTheNewestSnapshotThatAFollowerMayHave() throws {
        let bench = try LogBench(folder.path)
        try bench.fill(writer, compute, epoch: 1, through: 4)
        let saved = folder.file("checkpoint")
        try FileManager.default.createDirectory(atPath: saved, withIntermediateDirectories: true)
        try bench.ask(
            writer, compute, .checkpoint, epoch: 1,
            LogCheckpointRequest(request: 2, sequence: SequenceNumber(4), folder: saved))
        func offered(_ newest: UInt64) throws -> LogSnapshot? {
            try bench.ask(
                follower, miner, .follow, epoch: 1, LogFollow(request: newest, newest: SequenceNumber(newest))
            )
            .first?.decodeBody(LogSnapshot.self)
        }
        #expect(try offered(3)?.sequence == SequenceNumber(0))
        #expect(try offered(4)?.sequence == SequenceNumber(4))
        #expect(try offered(9)?.hash == Ring.model(4)[4].hash)
        #expect(FileManager.default.fileExists(atPath: saved + "/bank.snapshot"))
    }

    /// Each retained before the one before it is 8 behind.
    @Test func checkpointsThatComeFasterThanFollowersAreDroppedAllTheSame() throws {
        let bench = try LogBench(folder.path)
        try bench.fill(writer, compute, epoch: 1, through: 1)
        for sequence in UInt64(2)...40 {
            try bench.append(writer, compute, 1, sequence)
            guard sequence % 4 == 0 else { continue }
            try bench.ask(
                writer, compute, .checkpoint, epoch: 1,
                LogCheckpointRequest(request: sequence, sequence: SequenceNumber(sequence), folder: folder.path))
            try bench.ask(
                writer, compute, .retain, epoch: 1,
                LogRetain(request: sequence + 100, sequence: SequenceNumber(sequence)))
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        #expect(names.filter { $0.hasPrefix("snapshot-") }.map { $0.suffix(2) } == ["32", "36", "40"])
        #expect(names.filter { $0.hasPrefix("records-") }.map { $0.suffix(2) } == ["32", "36", "40"])
    }

    /// The last 8 sequences stay reachable: what lies before a retained checkpoint goes only when it is 8 behind.
    @Test func dropsOldStateOnlyWhenNoFollowerMayStillNeedIt() throws {
        let bench = try LogBench(folder.path)
        try bench.fill(writer, compute, epoch: 1, through: 4)
        try bench.ask(
            writer, compute, .checkpoint, epoch: 1,
            LogCheckpointRequest(request: 2, sequence: SequenceNumber(4), folder: folder.path))
        let retained = try bench.ask(
            writer, compute, .retain, epoch: 1, LogRetain(request: 3, sequence: SequenceNumber(4)))
        #expect(retained.first?.header.type == "log.retained")
        func follow(_ newest: UInt64) throws -> Message? {
            try bench.ask(follower, miner, .follow, epoch: 1, LogFollow(request: 1, newest: SequenceNumber(newest)))
                .first
        }
        for sequence in 5...11 {
            try bench.append(writer, compute, 1, UInt64(sequence))
            #expect(try follow(3)?.header.type == "log.snapshot")
        }
        let reading = try #require(try follow(3)).decodeBody(LogSnapshot.self)
        try bench.append(writer, compute, 1, 12)
        // Whoever reads the old snapshot may finish, though its name is gone.
        let part = try bench.ask(
            follower, miner, .part, epoch: 1, LogPart(request: 2, sequence: reading.sequence, index: 0))
        #expect(part.first?.header.type == "log.snapshot-part")
        #expect(try refusal([try #require(try follow(3))]) == .gone)
        #expect(try follow(4)?.header.type == "log.snapshot")
        let old = try bench.ask(
            follower, miner, .records, epoch: 1, LogRecords(request: 4, from: SequenceNumber(4), count: 1))
        #expect(try refusal(old) == .gone)
        #expect(!FileManager.default.fileExists(atPath: folder.file("snapshot-000000000000")))
    }

    @Test func tellsWaitingFollowersOfANewEpoch() throws {
        let bench = try LogBench(folder.path)
        try bench.fill(writer, compute, epoch: 1, through: 2)
        try bench.ask(follower, miner, .records, epoch: 1, LogRecords(request: 1, from: SequenceNumber(3), count: 1))
        let early = LogPeer(id: [3])
        #expect(
            try bench.ask(
                early, Sender(run: "r", name: "miner-2"), .follow, epoch: 2,
                LogFollow(request: 1, newest: SequenceNumber(2))
            ).isEmpty)
        let successor = Sender(run: "r", name: "compute-1")
        let all = try bench.ask(writer, successor, .open, epoch: 2, LogOpen(request: 1, sequence: SequenceNumber(2)))
        #expect(Set(all.map(\.header.type)) == ["log.opened", "log.refused", "log.snapshot"])
        #expect(all.allSatisfy { $0.header.epoch == Epoch(2) })
    }

    @Test func cutsOffAPeerThatKeepsSendingNonsense() throws {
        let bench = try LogBench(folder.path)
        try bench.fill(writer, compute, epoch: 1, through: 2)
        for _ in 0..<16 { try bench.deliver(.malformed(follower, "noise")) }
        #expect(bench.engine.isCutOff(follower))
        #expect(
            try bench.ask(follower, miner, .follow, epoch: 1, LogFollow(request: 1, newest: SequenceNumber(2))).isEmpty)
        #expect(bench.engine.statistics.badFrames == 16)
        #expect(bench.engine.statistics.cutOffPeers == 1)
        #expect(try bench.append(writer, compute, 1, 3).first?.header.type == "log.acknowledged")
    }

    /// Whoever waits for a record, or writes, would have to ask again for what it was promised.
    @Test func strangersPushNobodyOutWhoWaitsOrWrites() throws {
        var settings = LogSettings()
        settings.maxPeers = 8
        let bench = try LogBench(folder.path, settings: settings)
        try bench.fill(writer, compute, epoch: 1, through: 2)
        try bench.ask(follower, miner, .records, epoch: 1, LogRecords(request: 1, from: SequenceNumber(3), count: 1))
        for index in 0..<100 as Range<UInt8> {
            bench.now += .milliseconds(1)
            let stranger = LogPeer(id: [7, index])
            let name = Sender(run: "r", name: "stranger-\(index)")
            try bench.deliver(.malformed(stranger, "noise", .header))
            #expect(try bench.ask(stranger, name, .ping, epoch: 1, LogPing(ping: 1)).count == 1)
        }
        #expect(bench.engine.statistics.peers <= 8)
        #expect(bench.engine.statistics.frames[.header] == 100)
        let all = try bench.append(writer, compute, 1, 3)
        #expect(all.map(\.header.type).sorted() == ["log.acknowledged", "log.record"])
    }

    @Test func tellsOfAFloodOnceASecond() throws {
        let bench = try LogBench(folder.path)
        for index in 0..<100 as Range<UInt8> {
            try bench.deliver(.malformed(LogPeer(id: [index]), "noise \u{1b}[2J\n", .frames))
        }
        #expect(bench.notes.all.count == 1)
        #expect(bench.notes.all.first?.contains("noise  [2J") == true, "no peer writes control characters into a log")
        bench.now += .seconds(1)
        try bench.deliver(.malformed(LogPeer(id: [0]), "noise"))
        #expect(bench.notes.all.last?.contains("99 more") == true)
    }

    @Test func doesNotDecodeABodyBeyondWhatItsTypeCanSay() throws {
        let bench = try LogBench(folder.path)
        let body = Data("{\"ping\":1,\"x\":\"\(String(repeating: "x", count: 70_000))\"}".utf8)
        let message = Message("log.ping", from: miner, epoch: Epoch(1), sequence: 1, body: body)
        #expect(try bench.deliver(.received(follower, message)).isEmpty)
        #expect(bench.engine.statistics.frames[.sizes] == 1)
    }

    @Test func countsBadMessagesAndChangesNothing() throws {
        let bench = try LogBench(folder.path)
        try bench.fill(writer, compute, epoch: 1, through: 2)
        let bodies: [(String, String)] = [
            ("log.append", "{}"), ("log.append", "[]"), ("log.append", "{\"sequence\":-1,\"payload\":\"\"}"),
            ("log.append", "{\"sequence\":1e300,\"payload\":\"\"}"), ("log.open", "{\"request\":\"1\",\"sequence\":0}"),
            ("log.follow", "{\"request\":1}"),
            ("log.part", "{\"request\":1,\"sequence\":0,\"index\":9223372036854775808}"),
            ("log.records", "{\"request\":1,\"from\":1,\"count\":0}"),
            ("log.records", "{\"request\":1,\"from\":1,\"count\":65}"),
            ("log.records", "{\"request\":1,\"from\":18446744073709551615,\"count\":1}"),
            ("log.acknowledged", "{\"sequence\":1,\"hash\":\"\"}"), ("log.nonsense", "{}"), ("", "{}"),
            ("log.ping", "{\"ping\":null}"),
        ]
        for (index, (type, body)) in bodies.enumerated() {
            let message = Message(type, from: miner, epoch: Epoch(1), sequence: 1, body: Data(body.utf8))
            #expect(try bench.deliver(.received(LogPeer(id: [9, UInt8(index)]), message)).isEmpty, "\(type) \(body)")
        }
        #expect(bench.engine.statistics.badFrames == UInt64(bodies.count))
        #expect(bench.engine.position.sequence == SequenceNumber(2))
    }

    @Test func refusesAPartOfASnapshotThatWasNotOffered() throws {
        let bench = try LogBench(folder.path)
        try bench.fill(writer, compute, epoch: 1, through: 2)
        let early = try bench.ask(
            follower, miner, .part, epoch: 1, LogPart(request: 1, sequence: SequenceNumber(0), index: 0))
        #expect(try refusal(early) == .gone)
        try bench.ask(follower, miner, .follow, epoch: 1, LogFollow(request: 2, newest: SequenceNumber(2)))
        for index in [-1, 4, Int.max] {
            #expect(
                try bench.ask(
                    follower, miner, .part, epoch: 1, LogPart(request: 3, sequence: SequenceNumber(0), index: index)
                ).isEmpty)
        }
        #expect(bench.engine.statistics.badFrames == 3)
    }

    @Test func reportsACheckpointThatCannotBeWrittenAndGoesOn() throws {
        let bench = try LogBench(folder.path)
        try bench.fill(writer, compute, epoch: 1, through: 2)
        let answer = try bench.ask(
            writer, compute, .checkpoint, epoch: 1,
            LogCheckpointRequest(request: 2, sequence: SequenceNumber(2), folder: folder.file("missing")))
        #expect(try refusal(answer) == .storage)
        #expect(try answer.first?.decodeBody(LogRefusal.self).message.contains("No such file") == true)
        #expect(try bench.append(writer, compute, 1, 3).first?.header.type == "log.acknowledged")
        let late = try bench.ask(
            writer, compute, .checkpoint, epoch: 1,
            LogCheckpointRequest(request: 3, sequence: SequenceNumber(1), folder: folder.path))
        #expect(try refusal(late) == .sequence)
    }
}
