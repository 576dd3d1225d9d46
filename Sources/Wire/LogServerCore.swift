import Basics
import DequeModule
import Foundation

/// A connection to the bank: the routing id that the ROUTER sees.
struct LogPeer: Hashable, Sendable {
    var id: [UInt8]
}

/// What a bank has done so far.
public struct LogServerStatistics: Sendable, Equatable, Codable {
    public var appended: UInt64 = 0
    /// Records that came again and were acknowledged again.
    public var duplicates: UInt64 = 0
    /// Records dropped because the one before them was lost; they came again.
    public var gaps: UInt64 = 0
    public var recordsSent: UInt64 = 0
    public var partsSent: UInt64 = 0
    public var badFrames: UInt64 = 0
    public var cutOffPeers = 0
    public var peers = 0

    public init() {}
}

/// The bank's side of the log, without sockets and files: events in, actions out.
///
/// Actions are carried out in order; `store` before the acknowledgement behind it is what makes it durable first.
struct LogServerCore<Reducer: LogReducer> {
    enum Event {
        case received(LogPeer, Message)
        /// A frame that was no message.
        case malformed(LogPeer, String)
        /// A message to it could not be delivered: it has gone.
        case unreachable(LogPeer)
        case snapshotWritten(LogPeer, LogCheckpointRequest, LogSnapshotFile.Info, file: String)
        case snapshotFailed(LogPeer, LogCheckpointRequest, String)
    }

    enum Action {
        case send(LogPeer, LogMessageType, Data)
        case openEpoch(Epoch, Incarnation)
        case store(SequenceNumber, LogPayload, pieces: [SharedBytes], digest: String, hash: LogHash)
        case sendRecord(LogPeer, request: UInt64, SequenceNumber, LogHash)
        /// Tells of a snapshot and keeps it readable for this peer.
        case offer(LogPeer, request: UInt64, SequenceNumber)
        case sendPart(LogPeer, LogPart)
        /// Snapshots the reducer's state and places it in the request's folder; the outcome comes back as an event.
        case writeSnapshot(LogPeer, LogCheckpointRequest)
        case drop(before: SequenceNumber)
        /// Releases what is held for a peer.
        case forget(LogPeer)
        case note(String)
    }

    struct Peer {
        enum Parked: Equatable {
            case follow(LogFollow, epoch: Epoch)
            case records(request: UInt64, next: SequenceNumber, remaining: Int)
        }
        var id: LogPeer
        var name = "?"
        var incarnation: Incarnation?
        var lastHeard: Duration
        var request: UInt64 = 0
        var parked: Parked?
        var offered: LogSnapshotFile.Info?
        var badFrames = 0
        var isCutOff = false
    }

    private(set) var reducer: Reducer
    private(set) var epoch: Epoch
    private(set) var writer: Incarnation?
    private(set) var position: SequenceNumber
    private(set) var hash: LogHash
    private(set) var statistics = LogServerStatistics()
    /// Digest and hash of records `oldest + 1 ... position`.
    private var ledger: Deque<(digest: String, hash: LogHash)> = []
    private var oldest: SequenceNumber
    private var snapshots: [LogSnapshotFile.Info]
    private var retainFrom: SequenceNumber?
    private let settings: LogSettings
    /// In the order of their first message; order decides who is sent to first and nothing else.
    private var peers: [Peer] = []

    /// - Parameters:
    ///   - reducer: the state at `position`.
    ///   - epoch: the newest epoch known to have been; only newer ones, or `writer`'s own, are opened.
    ///   - entries: digests and hashes of the records between the first snapshot and `position`.
    init(
        reducer: Reducer, epoch: Epoch, writer: Incarnation?, position: SequenceNumber, hash: LogHash,
        entries: [(digest: String, hash: LogHash)], snapshots: [LogSnapshotFile.Info], settings: LogSettings
    ) {
        self.reducer = reducer
        self.epoch = epoch
        self.writer = writer
        self.position = position
        self.hash = hash
        ledger = Deque(entries)
        oldest = SequenceNumber(position.rawValue - UInt64(entries.count))
        self.snapshots = snapshots
        self.settings = settings
    }

    func isCutOff(_ peer: LogPeer) -> Bool { peers.first { $0.id == peer }?.isCutOff ?? false }

    mutating func handle(_ event: Event, now: Duration) -> [Action] {
        var actions: [Action] = []
        switch event {
        case .received(let id, let message):
            let index = touch(id, now: now, &actions)
            guard !peers[index].isCutOff else { break }
            do {
                try receive(message, from: index, &actions)
            } catch {
                bad(index, "\(error)", &actions)
            }
        case .malformed(let id, let why):
            let index = touch(id, now: now, &actions)
            if !peers[index].isCutOff { bad(index, why, &actions) }
        case .unreachable(let id):
            if let index = peers.firstIndex(where: { $0.id == id }) {
                peers[index].parked = nil
                peers[index].offered = nil
                actions.append(.forget(id))
            }
        case .snapshotWritten(let id, let request, let info, let file):
            if !snapshots.contains(where: { $0.sequence == info.sequence }) { snapshots.append(info) }
            reply(
                .checkpointed,
                LogCheckpointed(
                    request: request.request, sequence: info.sequence, hash: info.hash, file: file, bytes: info.bytes),
                to: id, &actions)
        case .snapshotFailed(let id, let request, let why):
            refuse(.storage, why, request.request, to: id, &actions)
        }
        statistics.peers = peers.count
        return actions
    }

    // MARK: Peers

    private mutating func touch(_ id: LogPeer, now: Duration, _ actions: inout [Action]) -> Int {
        if let index = peers.firstIndex(where: { $0.id == id }) {
            peers[index].lastHeard = now
            return index
        }
        if peers.count >= settings.maxPeers, let idle = peers.indices.min(by: { peers[$0].lastHeard < peers[$1].lastHeard }) {
            actions.append(.forget(peers[idle].id))
            peers.remove(at: idle)
        }
        peers.append(Peer(id: id, lastHeard: now))
        return peers.count - 1
    }

    private mutating func bad(_ index: Int, _ why: String, _ actions: inout [Action]) {
        statistics.badFrames += 1
        peers[index].badFrames += 1
        actions.append(.note("dropped a bad frame of \(peers[index].name): \(why)"))
        guard peers[index].badFrames >= settings.badFrameLimit else { return }
        peers[index].isCutOff = true
        peers[index].parked = nil
        peers[index].offered = nil
        statistics.cutOffPeers += 1
        actions.append(.forget(peers[index].id))
        actions.append(.note("\(peers[index].name) sent \(settings.badFrameLimit) bad frames and is heard no more"))
    }

    private mutating func receive(_ message: Message, from index: Int, _ actions: inout [Action]) throws {
        let type = try message.logType()
        if peers[index].incarnation != message.header.incarnation {
            // Another process under this routing id: what the old one asked for no longer holds.
            peers[index].incarnation = message.header.incarnation
            peers[index].name = message.header.sender
            peers[index].request = 0
            peers[index].parked = nil
            peers[index].offered = nil
            actions.append(.forget(peers[index].id))
        }
        switch type {
        case .open: try open(message, index, &actions)
        case .append: try append(message, index, &actions)
        case .checkpoint: try checkpoint(message, index, &actions)
        case .retain: try retain(message, index, &actions)
        case .follow: try follow(message, index, &actions)
        case .part: try part(message, index, &actions)
        case .records: try records(message, index, &actions)
        case .ping: try ping(message, index, &actions)
        case .opened, .acknowledged, .checkpointed, .retained, .snapshot, .snapshotPart, .record, .pong, .refused:
            throw WireError.malformed("'\(type.rawValue)' is nothing that a bank receives")
        }
    }

    private func reply(_ type: LogMessageType, _ body: some Encodable, to peer: LogPeer, _ actions: inout [Action]) {
        // Encoding integers and strings cannot fail.
        guard let data = try? body.wireJSON() else { return }
        actions.append(.send(peer, type, data))
    }

    private func refuse(
        _ code: LogRefusal.Code, _ why: String, _ request: UInt64, to peer: LogPeer, _ actions: inout [Action]
    ) {
        reply(.refused, LogRefusal(request: request, code: code, message: why), to: peer, &actions)
    }

    // MARK: The writer

    private mutating func open(_ message: Message, _ index: Int, _ actions: inout [Action]) throws {
        let body = try message.decodeBody(LogOpen.self)
        let peer = peers[index].id
        peers[index].request = body.request
        let asked = message.header.epoch
        guard asked.rawValue >= 1 else { throw WireError.malformed("epochs count from 1") }
        if asked < epoch || (asked == epoch && writer != message.header.incarnation) {
            let why = asked < epoch ? "is over" : "was already opened"
            return refuse(.epoch, "epoch \(asked) \(why); the log is at epoch \(epoch)", body.request, to: peer, &actions)
        }
        guard asked == epoch ? body.sequence <= position : body.sequence == position else {
            return refuse(
                .sequence, "the log is at sequence \(position), the writer at \(body.sequence)", body.request, to: peer,
                &actions)
        }
        if asked > epoch {
            epoch = asked
            writer = message.header.incarnation
            actions.append(.openEpoch(epoch, message.header.incarnation))
            actions.append(.note("epoch \(epoch) opened by \(message.header.sender) at sequence \(position)"))
            for follower in peers.indices {
                guard case .records(let request, _, _) = peers[follower].parked else { continue }
                peers[follower].parked = nil
                refuse(.epoch, "the log is at epoch \(epoch)", request, to: peers[follower].id, &actions)
            }
        }
        reply(.opened, LogOpened(request: body.request, sequence: position, hash: hash), to: peer, &actions)
        for follower in peers.indices { serve(follower, &actions) }
    }

    /// Whether the sender is the one that may write now; says no to it where not.
    private func isWriter(_ message: Message, request: UInt64, _ index: Int, _ actions: inout [Action]) -> Bool {
        if message.header.epoch != epoch {
            refuse(
                .epoch, "the log is at epoch \(epoch), the message of epoch \(message.header.epoch)", request,
                to: peers[index].id, &actions)
            return false
        }
        if message.header.incarnation != writer {
            refuse(.writer, "epoch \(epoch) was not opened by this start of \(message.header.sender)", request,
                to: peers[index].id, &actions)
            return false
        }
        return true
    }

    private mutating func append(_ message: Message, _ index: Int, _ actions: inout [Action]) throws {
        let body = try message.decodeBody(LogAppend.self)
        let peer = peers[index].id
        guard isWriter(message, request: 0, index, &actions) else { return }
        let logical = message.logPayload(body.payload)
        if body.sequence <= position {
            guard body.sequence > oldest else {
                return refuse(.gone, "record \(body.sequence) is older than what is kept", 0, to: peer, &actions)
            }
            let known = ledger[Int(body.sequence.rawValue - oldest.rawValue) - 1]
            guard try logical.digest() == known.digest else {
                return refuse(
                    .conflict, "record \(body.sequence) was acknowledged with other bytes", 0, to: peer, &actions)
            }
            statistics.duplicates += 1
            return reply(
                .acknowledged, LogAcknowledged(sequence: body.sequence, hash: known.hash), to: peer, &actions)
        }
        guard body.sequence == position.next else {
            // One before it was lost with a connection; the writer learns so from the answer to its next ping.
            statistics.gaps += 1
            return
        }
        let digest = try logical.digest()
        let physical: LogPayload
        do {
            physical = try reducer.reduce(logical, at: body.sequence)
        } catch {
            return refuse(.invalid, "record \(body.sequence): \(error)", 0, to: peer, &actions)
        }
        let pieces = try physical.encodedPieces()
        position = body.sequence
        hash = hash.extended(by: pieces)
        ledger.append((digest, hash))
        statistics.appended += 1
        actions.append(.store(position, physical, pieces: pieces, digest: digest, hash: hash))
        reply(.acknowledged, LogAcknowledged(sequence: position, hash: hash), to: peer, &actions)
        for follower in peers.indices { serve(follower, &actions) }
        dropWhatNobodyMayNeed(&actions)
    }

    private mutating func checkpoint(_ message: Message, _ index: Int, _ actions: inout [Action]) throws {
        let body = try message.decodeBody(LogCheckpointRequest.self)
        peers[index].request = body.request
        guard isWriter(message, request: body.request, index, &actions) else { return }
        guard body.sequence == position || snapshots.contains(where: { $0.sequence == body.sequence }) else {
            return refuse(
                .sequence, "a snapshot of exactly sequence \(body.sequence) cannot be made at \(position)",
                body.request, to: peers[index].id, &actions)
        }
        actions.append(.writeSnapshot(peers[index].id, body))
    }

    private mutating func retain(_ message: Message, _ index: Int, _ actions: inout [Action]) throws {
        let body = try message.decodeBody(LogRetain.self)
        peers[index].request = body.request
        guard isWriter(message, request: body.request, index, &actions) else { return }
        if body.sequence > oldest {
            guard snapshots.contains(where: { $0.sequence == body.sequence }) else {
                return refuse(
                    .sequence, "there is no snapshot of sequence \(body.sequence) to retain", body.request,
                    to: peers[index].id, &actions)
            }
            retainFrom = body.sequence
        }
        reply(.retained, LogRetained(request: body.request, sequence: body.sequence), to: peers[index].id, &actions)
        dropWhatNobodyMayNeed(&actions)
    }

    /// Forgets what lies before the retained checkpoint, but not while a follower may still have to start there.
    private mutating func dropWhatNobodyMayNeed(_ actions: inout [Action]) {
        guard let from = retainFrom, position.rawValue >= from.rawValue + settings.servable else { return }
        retainFrom = nil
        snapshots.removeAll { $0.sequence < from }
        ledger.removeFirst(Int(from.rawValue - oldest.rawValue))
        oldest = from
        actions.append(.drop(before: from))
    }

    // MARK: Followers

    private mutating func follow(_ message: Message, _ index: Int, _ actions: inout [Action]) throws {
        let body = try message.decodeBody(LogFollow.self)
        peers[index].request = body.request
        peers[index].parked = .follow(body, epoch: message.header.epoch)
        serve(index, &actions)
    }

    private mutating func part(_ message: Message, _ index: Int, _ actions: inout [Action]) throws {
        let body = try message.decodeBody(LogPart.self)
        peers[index].request = body.request
        peers[index].parked = nil
        guard message.header.epoch == epoch else {
            return refuse(.epoch, "the log is at epoch \(epoch)", body.request, to: peers[index].id, &actions)
        }
        guard let offered = peers[index].offered, offered.sequence == body.sequence else {
            return refuse(
                .gone, "no snapshot of sequence \(body.sequence) was offered", body.request, to: peers[index].id,
                &actions)
        }
        guard (0..<offered.parts).contains(body.index) else {
            throw WireError.malformed("part \(body.index) of a snapshot of \(offered.parts)")
        }
        statistics.partsSent += 1
        actions.append(.sendPart(peers[index].id, body))
    }

    private mutating func records(_ message: Message, _ index: Int, _ actions: inout [Action]) throws {
        let body = try message.decodeBody(LogRecords.self)
        // 64 is far more than any follower has room for.
        guard (1...64).contains(body.count) else { throw WireError.malformed("\(body.count) records asked for") }
        peers[index].request = body.request
        peers[index].parked = nil
        guard message.header.epoch == epoch else {
            return refuse(.epoch, "the log is at epoch \(epoch)", body.request, to: peers[index].id, &actions)
        }
        guard body.from <= SequenceNumber(position.rawValue + settings.servable) else {
            throw WireError.malformed("records from \(body.from) asked for at \(position)")
        }
        peers[index].parked = .records(request: body.request, next: body.from, remaining: body.count)
        peers[index].offered = nil
        actions.append(.forget(peers[index].id))
        serve(index, &actions)
    }

    private func ping(_ message: Message, _ index: Int, _ actions: inout [Action]) throws {
        let body = try message.decodeBody(LogPing.self)
        let peer = peers[index]
        var next: SequenceNumber?
        if case .records(_, let awaited, _) = peer.parked { next = awaited }
        reply(
            .pong,
            LogPong(
                ping: body.ping, request: peer.request, parked: peer.parked != nil, next: next, sequence: position),
            to: peer.id, &actions)
    }

    /// Answers what a follower waits for as far as it exists.
    private mutating func serve(_ index: Int, _ actions: inout [Action]) {
        let peer = peers[index].id
        switch peers[index].parked {
        case nil: return
        case .follow(let body, let asked):
            guard writer != nil, epoch >= asked else { return }
            peers[index].parked = nil
            guard let snapshot = snapshots.last(where: { $0.sequence <= body.newest }) else {
                return refuse(
                    .gone, "the oldest state that is kept is that of sequence \(oldest), not \(body.newest)",
                    body.request, to: peer, &actions)
            }
            peers[index].offered = snapshot
            actions.append(.offer(peer, request: body.request, snapshot.sequence))
        case .records(let request, var next, var remaining):
            while remaining > 0, next <= position {
                guard next > oldest else {
                    peers[index].parked = nil
                    return refuse(.gone, "record \(next) is older than what is kept", request, to: peer, &actions)
                }
                let entry = ledger[Int(next.rawValue - oldest.rawValue) - 1]
                actions.append(.sendRecord(peer, request: request, next, entry.hash))
                statistics.recordsSent += 1
                next = next.next
                remaining -= 1
            }
            peers[index].parked = remaining > 0 ? .records(request: request, next: next, remaining: remaining) : nil
        }
    }
}
