import Basics
import Foundation
import Testing

@testable import Wire

/// Writer and follower alone, against a bank that is played by hand.
@Suite struct LogPeerCoreTests {
    let bank = Sender(run: "r", name: "bank-1")
    let start = Duration.seconds(100)

    private func message(
        _ type: LogMessageType, epoch: UInt64 = 1, from sender: Sender? = nil, _ body: some Encodable,
        tensors: [WireTensor] = []
    ) throws -> Message {
        Message(
            type.rawValue, from: sender ?? bank, epoch: Epoch(epoch), sequence: 1, body: try body.wireJSON(),
            tensors: tensors)
    }

    private func sent(_ actions: [LogWriterCore.Action]) -> [LogMessageType] {
        actions.compactMap { if case .send(let type, _, _) = $0 { type } else { nil } }
    }

    private func sent(_ actions: [LogFollowerCore.Action]) -> [LogMessageType] {
        actions.compactMap { if case .send(let type, _) = $0 { type } else { nil } }
    }

    // MARK: Writer

    private func openWriter(at sequence: UInt64 = 0) throws -> LogWriterCore {
        var core = LogWriterCore(settings: LogSettings())
        #expect(sent(core.handle(.open(Epoch(1), SequenceNumber(sequence)), now: start)) == [.open])
        let opened = LogOpened(request: 1, sequence: SequenceNumber(sequence), hash: .empty)
        _ = core.handle(.received(try message(.opened, opened)), now: start)
        return core
    }

    @Test func writerWaitsForNothingWhileAllIsAcknowledged() throws {
        var core = try openWriter()
        #expect(core.nextDeadline == nil)
        #expect(sent(core.handle(.append(SequenceNumber(1), try Ring.logical(1)), now: start)) == [.append])
        #expect(core.nextDeadline == start + .seconds(1))
        let acknowledged = LogAcknowledged(sequence: SequenceNumber(1), hash: .empty)
        _ = core.handle(.received(try message(.acknowledged, acknowledged)), now: start)
        #expect(core.nextDeadline == nil)
    }

    @Test func writerSendsAgainOnlyWhatWentOutBeforeThePing() throws {
        var core = try openWriter()
        _ = core.handle(.append(SequenceNumber(1), try Ring.logical(1)), now: start)
        #expect(sent(core.handle(.tick, now: start + .milliseconds(999))).isEmpty)
        #expect(sent(core.handle(.tick, now: start + .seconds(1))) == [.ping])
        _ = core.handle(.append(SequenceNumber(2), try Ring.logical(2)), now: start + .seconds(1))
        let pong = LogPong(ping: 1, request: 1, parked: false, next: nil, sequence: SequenceNumber(0))
        let actions = core.handle(.received(try message(.pong, pong)), now: start + .seconds(1))
        #expect(sent(actions) == [.append])
        // An answer to an earlier ping says nothing about what was sent since.
        #expect(sent(core.handle(.tick, now: start + .seconds(2))) == [.ping])
        #expect(sent(core.handle(.received(try message(.pong, pong)), now: start + .seconds(2))).isEmpty)
    }

    @Test func writerOpensAgainForARestartedBankAndEndsWhereItLostRecords() throws {
        var core = try openWriter()
        _ = core.handle(.append(SequenceNumber(1), try Ring.logical(1)), now: start)
        let one = LogAcknowledged(sequence: SequenceNumber(1), hash: .empty)
        _ = core.handle(.received(try message(.acknowledged, one)), now: start)
        _ = core.handle(.append(SequenceNumber(2), try Ring.logical(2)), now: start)
        _ = core.handle(.tick, now: start + .seconds(1))
        let other = Sender(run: "r", name: "bank-1")
        let pong = LogPong(ping: 1, request: 0, parked: false, next: nil, sequence: SequenceNumber(1))
        #expect(
            sent(core.handle(.received(try message(.pong, from: other, pong)), now: start + .seconds(1))) == [.open])
        var lost = core
        let back = LogOpened(request: 2, sequence: SequenceNumber(1), hash: .empty)
        #expect(
            sent(core.handle(.received(try message(.opened, from: other, back)), now: start + .seconds(1))) == [.append]
        )
        let short = LogOpened(request: 2, sequence: SequenceNumber(0), hash: .empty)
        let actions = lost.handle(.received(try message(.opened, from: other, short)), now: start + .seconds(1))
        guard case .failed(let error)? = actions.last else {
            Issue.record("the writer went on with a bank that lost records")
            return
        }
        #expect(error == .lostRecords(acknowledged: SequenceNumber(1), position: SequenceNumber(0)))
    }

    @Test func checkpointWaitsForItsRecord() throws {
        var core = try openWriter()
        _ = core.handle(.append(SequenceNumber(1), try Ring.logical(1)), now: start)
        let control = LogWriterCore.Control.checkpoint(SequenceNumber(1), folder: "/x")
        #expect(sent(core.handle(.control(control, token: 9), now: start)).isEmpty)
        let one = LogAcknowledged(sequence: SequenceNumber(1), hash: .empty)
        #expect(sent(core.handle(.received(try message(.acknowledged, one)), now: start)) == [.checkpoint])
    }

    // MARK: Bank

    @Test func bankStoresBeforeItAcknowledges() throws {
        var core = LogServerCore(
            reducer: Ring(), epoch: Epoch(0), writers: [], position: SequenceNumber(0), hash: .empty, entries: [],
            snapshots: [], settings: LogSettings())
        let peer = LogPeer(id: [1])
        let compute = Sender(run: "r", name: "compute-1")
        func index(_ actions: [LogServerCore<Ring>.Action], _ isIt: (LogServerCore<Ring>.Action) -> Bool) throws -> Int
        {
            let found = actions.firstIndex(where: isIt)
            return try #require(found)
        }
        let open = LogOpen(request: 1, sequence: SequenceNumber(0))
        let opening = core.handle(.received(peer, try message(.open, from: compute, open)), now: start)
        let epoch = try index(opening) { if case .openEpoch = $0 { true } else { false } }
        let opened = try index(opening) { if case .send(_, .opened, _) = $0 { true } else { false } }
        #expect(epoch < opened)
        let record = try Ring.logical(1)
        let append = LogAppend(sequence: SequenceNumber(1), payload: String(decoding: record.body, as: UTF8.self))
        let appending = core.handle(
            .received(peer, try message(.append, from: compute, append, tensors: record.tensors)), now: start)
        let stored = try index(appending) { if case .store = $0 { true } else { false } }
        let acknowledged = try index(appending) { if case .send(_, .acknowledged, _) = $0 { true } else { false } }
        #expect(stored < acknowledged)
    }

    // MARK: Follower

    private func goal(_ sequence: UInt64, epoch: UInt64 = 1) -> LogFollowerCore.Goal {
        LogFollowerCore.Goal(epoch: Epoch(epoch), sequence: SequenceNumber(sequence))
    }

    private func emptySnapshot(_ request: UInt64) -> LogSnapshot {
        LogSnapshot(
            request: request, sequence: SequenceNumber(0), hash: .empty, parts: 0, bytes: 0, digest: SHA256().hex())
    }

    private func physical(_ sequence: UInt64) throws -> LogPayload {
        var ring = Ring()
        for earlier in 1..<sequence { _ = try ring.reduce(Ring.logical(earlier), at: SequenceNumber(earlier)) }
        return try ring.reduce(Ring.logical(sequence), at: SequenceNumber(sequence))
    }

    private func record(_ sequence: UInt64, request: UInt64, epoch: UInt64 = 1, hash: LogHash? = nil) throws -> Message
    {
        let payload = try physical(sequence)
        return try message(
            .record, epoch: epoch,
            LogRecordBody(
                request: request, sequence: SequenceNumber(sequence),
                hash: hash ?? Ring.model(sequence)[Int(sequence)].hash,
                payload: String(decoding: payload.body, as: UTF8.self)), tensors: payload.tensors)
    }

    private func applied(_ actions: [LogFollowerCore.Action]) -> [UInt64] {
        actions.compactMap { if case .apply(let sequence, _) = $0 { sequence.rawValue } else { nil } }
    }

    /// A follower that has been told where the log begins and asks for records under request 2.
    private func follower(at target: UInt64) throws -> LogFollowerCore {
        var core = LogFollowerCore(settings: LogSettings())
        #expect(sent(core.handle(.advance(goal(target)), now: start)) == [.follow])
        let actions = core.handle(.received(try message(.snapshot, emptySnapshot(1))), now: start)
        #expect(sent(actions) == [.records])
        return core
    }

    @Test func followerFetchesAheadButAppliesOnlyWhatIsAsked() throws {
        var core = try follower(at: 1)
        #expect(applied(core.handle(.received(try record(1, request: 2)), now: start)) == [1])
        for sequence in 2...4 as ClosedRange<UInt64> {
            #expect(applied(core.handle(.received(try record(sequence, request: 2)), now: start)).isEmpty)
        }
        #expect(core.position == SequenceNumber(1))
        #expect(applied(core.handle(.advance(goal(3)), now: start)) == [2, 3])
        #expect(core.position == SequenceNumber(3))
    }

    @Test func followerCatchesUpToWhereTheBankIsLessTheLag() throws {
        var core = LogFollowerCore(settings: LogSettings())
        let asked = core.handle(.catchUp(Epoch(1), lag: 1), now: start)
        #expect(sent(asked) == [.follow])
        // At the snapshot it asks where the bank is, again where the answer is lost, and applies nothing meanwhile.
        #expect(sent(core.handle(.received(try message(.snapshot, emptySnapshot(1))), now: start)) == [.ping])
        #expect(sent(core.handle(.tick, now: start + .seconds(1))) == [.ping])
        let pong = LogPong(ping: 2, request: 1, parked: false, next: nil, sequence: SequenceNumber(3))
        let told = core.handle(.received(try message(.pong, pong)), now: start + .seconds(1))
        #expect(sent(told) == [.records])
        #expect(applied(core.handle(.received(try record(1, request: 2)), now: start + .seconds(1))) == [1])
        let last = core.handle(.received(try record(2, request: 2)), now: start + .seconds(1))
        #expect(applied(last) == [2])
        #expect(last.contains { if case .reached = $0 { true } else { false } })
        // The next record may be newer than what a ticket names.
        #expect(applied(core.handle(.received(try record(3, request: 2)), now: start + .seconds(1))).isEmpty)
        #expect(core.position == SequenceNumber(2))
    }

    @Test func followerThatWaitsForRecordsCatchesUpAllTheSame() throws {
        var core = try follower(at: 1)
        #expect(sent(core.handle(.catchUp(Epoch(1), lag: 1), now: start)) == [.ping])
        #expect(applied(core.handle(.received(try record(1, request: 2)), now: start)).isEmpty)
        let pong = LogPong(ping: 1, request: 2, parked: false, next: nil, sequence: SequenceNumber(2))
        #expect(sent(core.handle(.received(try message(.pong, pong)), now: start)) == [.records])
        #expect(applied(core.handle(.received(try record(1, request: 3)), now: start)) == [1])
    }

    @Test func followerThatCatchesUpGivesWayToANewEpoch() throws {
        var core = LogFollowerCore(settings: LogSettings())
        _ = core.handle(.catchUp(Epoch(1), lag: 1), now: start)
        let news = LogPong(ping: 9, request: 0, parked: false, next: nil, sequence: SequenceNumber(0))
        let actions = core.handle(.received(try message(.pong, epoch: 2, news)), now: start)
        guard case .failed(.staleEpoch)? = actions.last else {
            Issue.record("nobody was told of the new epoch")
            return
        }
        #expect(sent(core.handle(.catchUp(Epoch(2), lag: 1), now: start)) == [.follow])
    }

    @Test func followerStartsAnewWhereTheHashDoesNotContinue() throws {
        var core = try follower(at: 2)
        let wrong = try record(1, request: 2, hash: Ring.model(2)[2].hash)
        let actions = core.handle(.received(wrong), now: start)
        #expect(applied(actions).isEmpty)
        #expect(sent(actions) == [.follow])
        #expect(core.badFrames == 1)
        #expect(core.position == nil)
    }

    @Test func followerDropsASnapshotThatDoesNotMatchItsDigest() throws {
        var core = LogFollowerCore(settings: LogSettings())
        _ = core.handle(.advance(goal(1)), now: start)
        var snapshot = emptySnapshot(1)
        snapshot.parts = 1
        _ = core.handle(.received(try message(.snapshot, snapshot)), now: start)
        let part = LogSnapshotPart(request: 2, sequence: SequenceNumber(0), index: 0, payload: "{}")
        let actions = core.handle(.received(try message(.snapshotPart, part)), now: start)
        #expect(core.position == nil)
        #expect(core.badFrames == 1)
        #expect(sent(actions) == [.follow])
        #expect(!actions.contains { if case .endRestore = $0 { true } else { false } })
    }

    @Test func followerIgnoresLateAnswersAndOlderEpochs() throws {
        var core = try follower(at: 1)
        #expect(core.handle(.received(try record(1, request: 1)), now: start).isEmpty)
        #expect(applied(core.handle(.received(try record(1, request: 2, epoch: 0)), now: start)).isEmpty)
        #expect(applied(core.handle(.received(try record(1, request: 2)), now: start)) == [1])
        #expect(core.handle(.received(try record(1, request: 2)), now: start).isEmpty)
        #expect(core.badFrames == 0)
    }

    @Test func followerDropsAllAtANewEpochOrANewStartOfTheBank() throws {
        for isEpoch in [true, false] {
            var core = try follower(at: 1)
            _ = core.handle(.received(try record(1, request: 2)), now: start)
            _ = core.handle(.received(try record(2, request: 2)), now: start)
            #expect(core.buffered == 1)
            let pong = LogPong(ping: 9, request: 0, parked: false, next: nil, sequence: SequenceNumber(2))
            let other = Sender(run: "r", name: "bank-1")
            let news = try isEpoch ? message(.pong, epoch: 2, pong) : message(.pong, from: other, pong)
            _ = core.handle(.received(news), now: start)
            #expect(core.position == nil)
            #expect(core.buffered == 0)
            let again = core.handle(.advance(goal(1, epoch: isEpoch ? 2 : 1)), now: start)
            #expect(sent(again) == [.follow])
            // What the former start of the bank sent is late.
            if !isEpoch { #expect(core.handle(.received(try record(3, request: 2)), now: start).isEmpty) }
            if isEpoch {
                let stale = core.handle(.advance(goal(1)), now: start)
                guard case .failed(.staleEpoch)? = stale.last else {
                    Issue.record("an older epoch's goal was not refused")
                    continue
                }
            }
        }
    }

    @Test func followerAsksAgainOnlyWhereThePongSaysThatTheQuestionIsLost() throws {
        var core = try follower(at: 1)
        #expect(sent(core.handle(.tick, now: start + .seconds(1))) == [.ping])
        func pong(_ ping: UInt64, request: UInt64, next: UInt64?) throws -> Message {
            try message(
                .pong,
                LogPong(
                    ping: ping, request: request, parked: next != nil, next: next.map { SequenceNumber($0) },
                    sequence: SequenceNumber(0)))
        }
        #expect(core.handle(.received(try pong(1, request: 2, next: 1)), now: start + .seconds(1)).isEmpty)
        #expect(sent(core.handle(.tick, now: start + .seconds(2))) == [.ping])
        // It waits there for the record after one that never came.
        #expect(sent(core.handle(.received(try pong(2, request: 2, next: 2)), now: start + .seconds(2))) == [.records])
        #expect(sent(core.handle(.tick, now: start + .seconds(3))) == [.ping])
        #expect(
            sent(core.handle(.received(try pong(3, request: 2, next: nil)), now: start + .seconds(3))) == [.records])
    }

    @Test func followerGivesUpAReplicaThatThrew() throws {
        var core = try follower(at: 1)
        _ = core.handle(.received(try record(1, request: 2)), now: start)
        let actions = core.handle(.replicaFailed("no"), now: start)
        guard case .failed(.replica("no"))? = actions.last else {
            Issue.record("nobody was told")
            return
        }
        #expect(sent(core.handle(.advance(goal(1)), now: start)) == [.follow])
    }

    @Test func followerCountsBadMessages() throws {
        var core = try follower(at: 1)
        for (type, body) in [
            ("log.record", "{}"), ("log.open", #"{"request":1,"sequence":0}"#), ("log.x", "{}"), ("log.pong", "[]"),
            ("log.refused", #"{"request":2,"code":"unheard","message":""}"#),
        ] {
            let message = Message(type, from: bank, epoch: Epoch(1), sequence: 1, body: Data(body.utf8))
            let actions = core.handle(.received(message), now: start)
            #expect(sent(actions).isEmpty && applied(actions).isEmpty, "\(type)")
        }
        #expect(core.badFrames == 5)
    }
}
