import Basics
import Foundation
import Testing

@testable import Wire

/// Several ranks that write one log.
@Suite struct LogRanksTests {
    let folder = LogTestFolder()
    let peers = [LogPeer(id: [1]), LogPeer(id: [2])]
    let ranks = [Sender(run: "r", name: "compute-1"), Sender(run: "r", name: "compute-2")]

    private func refusal(_ messages: [Message]) throws -> LogRefusal.Code? {
        guard let last = messages.last, last.header.type == "log.refused" else { return nil }
        return try last.decodeBody(LogRefusal.self).code
    }

    private func open(_ bench: LogBench, _ rank: Int, epoch: UInt64 = 1, at sequence: UInt64 = 0, ranks count: Int = 2)
        throws -> [Message]
    {
        try bench.ask(
            peers[rank], ranks[rank], .open, epoch: epoch,
            LogOpen(request: 1, sequence: SequenceNumber(sequence), rank: rank, ranks: count))
    }

    /// Appends a rank's part of a record.
    @discardableResult
    private func append(_ bench: LogBench, _ rank: Int, _ sequence: UInt64, of count: Int = 2) throws -> [Message] {
        let record = try Ring.logical(sequence, rank: rank, of: count)
        return try bench.ask(
            peers[rank], ranks[rank], .append, epoch: 1,
            LogAppend(sequence: SequenceNumber(sequence), payload: String(decoding: record.body, as: UTF8.self)),
            tensors: record.tensors)
    }

    private func bench(_ start: LogStart = .existing) throws -> LogBench {
        let bench = try LogBench(folder.path, start: start)
        for rank in 0..<2 { #expect(try open(bench, rank).first?.header.type == "log.opened") }
        return bench
    }

    @Test func aRecordIsTheRanksPartsInTheirOrderWhateverComesFirst() throws {
        let bench = try bench()
        let model = try Ring.model(3)
        for (sequence, order) in [(1, [0, 1]), (2, [1, 0]), (3, [1, 0])] as [(UInt64, [Int])] {
            #expect(try append(bench, order[0], sequence).isEmpty, "nobody is told before all parts are there")
            #expect(bench.engine.position.sequence == SequenceNumber(sequence - 1))
            let before = bench.answers.count
            try append(bench, order[1], sequence)
            let answers = bench.answers[before...]
            #expect(answers.map(\.peer) == peers)
            for answer in answers {
                #expect(
                    try answer.message.decodeBody(LogAcknowledged.self)
                        == LogAcknowledged(
                            sequence: SequenceNumber(sequence), hash: model[Int(sequence)].hash))
            }
        }
    }

    @Test func partsOfLaterRecordsWaitForALateRankAndNoMoreThanAFew() throws {
        let bench = try bench()
        for sequence in 1...20 as ClosedRange<UInt64> { #expect(try append(bench, 1, sequence).isEmpty) }
        #expect(bench.engine.statistics.gaps == 12, "8 are kept")
        for sequence in 1...8 as ClosedRange<UInt64> {
            try append(bench, 0, sequence)
            #expect(bench.engine.position.sequence == SequenceNumber(sequence))
        }
        try append(bench, 0, 9)
        #expect(bench.engine.position.sequence == SequenceNumber(8), "what was not kept has to come again")
        try append(bench, 1, 9)
        #expect(try bench.engine.position.hash == Ring.model(9)[9].hash)
    }

    @Test func repeatedPartsAreKnownByTheirBytes() throws {
        let bench = try bench()
        try append(bench, 0, 1)
        #expect(try append(bench, 0, 1).isEmpty)
        #expect(bench.engine.statistics.duplicates == 1)
        func other(_ sequence: UInt64) throws -> LogRefusal.Code? {
            try refusal(
                bench.ask(
                    peers[0], ranks[0], .append, epoch: 1,
                    LogAppend(sequence: SequenceNumber(sequence), payload: "{\"step\":99}")))
        }
        #expect(try other(1) == .conflict)
        try append(bench, 1, 1)
        let again = try append(bench, 1, 1)
        #expect(try again.last?.decodeBody(LogAcknowledged.self).hash == Ring.model(1)[1].hash)
        #expect(try other(1) == .conflict)
    }

    @Test func aRestartedBankTakesTheSameRanksBackAndTheirUnacknowledgedParts() throws {
        let bench = try bench()
        try append(bench, 0, 1)
        try append(bench, 1, 1)
        try append(bench, 0, 2)
        let restarted = try LogBench(folder.path)
        let stranger = Sender(run: "r", name: "compute-2")
        #expect(
            try refusal(
                restarted.ask(
                    LogPeer(id: [9]), stranger, .open, epoch: 1,
                    LogOpen(request: 1, sequence: SequenceNumber(1), rank: 1, ranks: 2))) == .epoch)
        // Rank 1 never got the acknowledgement of record 1.
        #expect(try open(restarted, 1, at: 0).first?.header.type == "log.opened")
        #expect(try append(restarted, 1, 1).last?.header.type == "log.acknowledged")
        #expect(try append(restarted, 1, 2).isEmpty)
        #expect(try open(restarted, 0, at: 1).first?.header.type == "log.opened")
        try append(restarted, 0, 2)
        #expect(try restarted.engine.position.hash == Ring.model(2)[2].hash)
    }

    @Test func ranksMustAgreeOnHowManyTheyAreAndWhereTheyStart() throws {
        let bench = try LogBench(folder.path)
        #expect(try open(bench, 1).first?.header.type == "log.opened")
        #expect(try refusal(open(bench, 0, ranks: 3)) == .epoch)
        #expect(try refusal(open(bench, 0, at: 1)) == .sequence)
        #expect(try open(bench, 0).first?.header.type == "log.opened")
        let late = Sender(run: "r", name: "compute-1")
        #expect(
            try refusal(
                bench.ask(
                    LogPeer(id: [7]), late, .open, epoch: 1,
                    LogOpen(request: 1, sequence: SequenceNumber(0), rank: 0, ranks: 2))) == .epoch)
        try bench.ask(
            peers[0], ranks[0], .open, epoch: 2, LogOpen(request: 2, sequence: SequenceNumber(0), rank: 2, ranks: 2))
        #expect(bench.engine.statistics.badFrames == 1)
    }

    @Test func aNewEpochForgetsPartsOfTheOldOne() throws {
        let bench = try bench()
        try append(bench, 0, 1)
        let next = Sender(run: "r", name: "compute-1")
        let opened = try bench.ask(
            peers[0], next, .open, epoch: 2, LogOpen(request: 1, sequence: SequenceNumber(0), rank: 0, ranks: 2))
        #expect(opened.last?.header.type == "log.opened")
        #expect(try refusal(append(bench, 1, 1)) == .epoch)
        #expect(bench.engine.position.sequence == SequenceNumber(0))
    }

    @Test func aWrongPartIsToldToAllRanksAndChangesNothing() throws {
        let bench = try bench()
        let bad = try WireTensor(name: "values", dtype: .int32, shape: [1], bytes: SharedBytes([Int32(-1)]))
        try append(bench, 0, 1)
        let before = bench.answers.count
        try bench.ask(
            peers[1], ranks[1], .append, epoch: 1, LogAppend(sequence: SequenceNumber(1), payload: "{\"step\":1}"),
            tensors: [bad])
        #expect(bench.answers[before...].map(\.peer) == peers)
        for answer in bench.answers[before...] { #expect(try refusal([answer.message]) == .invalid) }
        try append(bench, 0, 1)
        try append(bench, 1, 1)
        #expect(try bench.engine.position.hash == Ring.model(1)[1].hash)
    }

    @Test func onlyTheFirstRankAsksForCheckpoints() throws {
        let bench = try bench()
        try append(bench, 0, 1)
        try append(bench, 1, 1)
        func checkpoint(_ rank: Int) throws -> Message? {
            try bench.ask(
                peers[rank], ranks[rank], .checkpoint, epoch: 1,
                LogCheckpointRequest(request: 5, sequence: SequenceNumber(1), folder: folder.path)
            ).last
        }
        #expect(try refusal([#require(try checkpoint(1))]) == .writer)
        #expect(try checkpoint(0)?.header.type == "log.checkpointed")
    }

    @Test func aSingleWritersBytesAreWhatTheyWere() throws {
        let open = LogOpen(request: 3, sequence: SequenceNumber(4))
        #expect(String(decoding: try open.wireJSON(), as: UTF8.self) == "{\"request\":3,\"sequence\":4}")
        let rank = LogOpen(request: 3, sequence: SequenceNumber(4), rank: 1, ranks: 2)
        #expect(
            String(decoding: try rank.wireJSON(), as: UTF8.self)
                == "{\"rank\":1,\"ranks\":2,\"request\":3,\"sequence\":4}")
        let single = try LogBench(folder.file("single"))
        try single.fill(peers[0], ranks[0], epoch: 1, through: 1)
        let written = try String(contentsOfFile: folder.file("single/log.json"), encoding: .utf8)
        #expect(
            written == "{\"epoch\":1,\"run\":\"r\",\"version\":1,\"writer\":\"\(ranks[0].incarnation)\"}\n")
    }

    /// Two writers and a bank on real sockets, one of them late.
    @Test func twoWritersOverSockets() throws {
        let context = Context()
        let endpoint = try folder.endpoint("memory")
        let server = try LogServer(
            bind: endpoint, as: Sender(run: "r", name: "bank-1"), context: context, folder: folder.file("bank"),
            reducer: Ring(), start: .empty)
        let writers = try (0..<2).map {
            try LogWriter(connect: endpoint, as: ranks[$0], rank: $0, of: 2, context: context)
        }
        for writer in writers {
            _ = try writer.open(epoch: Epoch(1), at: SequenceNumber(0), timeout: .seconds(20))
        }
        let model = try Ring.model(12)
        for sequence in 1...6 as ClosedRange<UInt64> {
            try writers[1].append(SequenceNumber(sequence), Ring.logical(sequence, rank: 1, of: 2))
        }
        for sequence in 1...12 as ClosedRange<UInt64> {
            try writers[0].append(SequenceNumber(sequence), Ring.logical(sequence, rank: 0, of: 2))
            if sequence > 6 {
                try writers[1].append(SequenceNumber(sequence), Ring.logical(sequence, rank: 1, of: 2))
            }
        }
        for writer in writers { try writer.waitUntilAcknowledged(timeout: .seconds(20)) }
        for writer in writers { writer.close() }
        server.stop()
        try server.waitUntilStopped()
        #expect(server.position.hash == model[12].hash)
    }
}
