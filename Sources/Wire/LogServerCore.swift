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
    /// Bad frames by what was wrong with them.
    public var frames = FrameCounts()
    public var badFrames: UInt64 { UInt64(frames.badFrames) }
    public var cutOffPeers: Int { frames.cutOffPeers }
    public var peers = 0
    public var traffic = Traffic()

    public init() {}
}

/// The bank's side of the log, without sockets and files: events in, actions out.
///
/// Actions are carried out in order; `store` before the acknowledgement behind it is what makes it durable first.
struct LogServerCore<Reducer: LogReducer> {
    enum Event {
        case received(LogPeer, Message)
        /// A frame that was no message, and the check that it failed.
        case malformed(LogPeer, String, FrameCheck = .frames)
        /// A message to it could not be delivered: it has gone.
        case unreachable(LogPeer)
        case snapshotWritten(LogPeer, LogCheckpointRequest, LogSnapshotFile.Info, file: String)
        case snapshotFailed(LogPeer, LogCheckpointRequest, String)
    }

    enum Action {
        case send(LogPeer, LogMessageType, Data)
        case openEpoch(Epoch, [Incarnation?])
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

    var reducer: Reducer
    var epoch: Epoch
    var writers: LogWriters
    var position: SequenceNumber
    var hash: LogHash
    var statistics = LogServerStatistics()
    /// Digest and hash of records `oldest + 1 ... position`.
    var kept: Deque<(digest: String, hash: LogHash)> = []
    var oldest: SequenceNumber
    var snapshots: [LogSnapshotFile.Info]
    var retainFrom: SequenceNumber?
    let settings: LogSettings
    /// In the order of their first message; order decides who is sent to first and nothing else.
    var peers = LogPeerTable()
    private var guardian: FrameGuard
    /// What the message in hand is being checked for.
    private var check = FrameCheck.type
    /// What the event in hand asks for so far; none between events.
    var actions: [Action] = []

    /// - Parameters:
    ///   - reducer: the state at `position`.
    ///   - epoch: the newest epoch known to have been; only newer ones, or the writers' own, are opened.
    ///   - writers: the starts of compute that opened it, by rank; none where it is only known to have been.
    ///   - entries: digests and hashes of the records between the first snapshot and `position`.
    init(
        reducer: Reducer, epoch: Epoch, writers: [Incarnation?], position: SequenceNumber, hash: LogHash,
        entries: [(digest: String, hash: LogHash)], snapshots: [LogSnapshotFile.Info], settings: LogSettings
    ) {
        self.reducer = reducer
        self.epoch = epoch
        self.writers = LogWriters(writers, ahead: settings.servable)
        self.position = position
        self.hash = hash
        kept = Deque(entries)
        oldest = SequenceNumber(position.rawValue - UInt64(entries.count))
        self.snapshots = snapshots
        self.settings = settings
        guardian = FrameGuard(limit: settings.badFrameLimit, reports: settings.badFrameReports)
    }

    func isCutOff(_ peer: LogPeer) -> Bool { guardian.isCutOff(PeerID(bytes: peer.id)) }

    /// Whether a message of this peer is to be read; counts it where not.
    mutating func admits(_ peer: LogPeer) -> Bool {
        defer { statistics.frames = guardian.counts }
        return guardian.admits(PeerID(bytes: peer.id))
    }

    mutating func handle(_ event: Event, now: Duration) -> [Action] {
        defer { actions = [] }
        switch event {
        case .received(let id, let message):
            guard !isCutOff(id) else { break }
            do {
                check = .type
                // A stranger's noise must not push anybody out of the table of peers.
                let type = try message.logType()
                check = .sizes
                guard type == .append || message.body.count <= PoolConsumerCore.ownBodyBytes else {
                    throw WireError.tooLarge(
                        what: "body of '\(type.rawValue)'", bytes: message.body.count,
                        limit: PoolConsumerCore.ownBodyBytes)
                }
                check = .type
                try receive(message, type, from: touch(id, now: now))
            } catch {
                bad(id, "\(error)", check, now)
            }
        case .malformed(let id, let why, let check):
            if !isCutOff(id) { bad(id, why, check, now) }
        case .unreachable(let id): forget(id)
        case .snapshotWritten(let id, let request, let info, let file):
            if !snapshots.contains(where: { $0.sequence == info.sequence }) { snapshots.append(info) }
            reply(
                .checkpointed,
                LogCheckpointed(
                    request: request.request, sequence: info.sequence, hash: info.hash, file: file, bytes: info.bytes),
                to: id)
        case .snapshotFailed(let id, let request, let why):
            refuse(.storage, why, request.request, to: id)
        }
        statistics.peers = peers.count
        return actions
    }

    // MARK: Peers

    private mutating func touch(_ id: LogPeer, now: Duration) -> Int {
        let (place, gaveUp) = peers.touch(id, now: now, limit: settings.maxPeers, writers: writers.incarnations)
        if let gaveUp { forget(gaveUp) }
        return place
    }

    /// Waits for nothing more on a peer's behalf, and releases what is held for it.
    private mutating func forget(_ id: LogPeer) {
        actions.append(.forget(id))
        guard let index = peers.place(of: id) else { return }
        peers[index].parked = nil
        peers[index].offered = nil
    }

    private mutating func bad(_ id: LogPeer, _ why: String, _ check: FrameCheck, _ now: Duration) {
        let verdict = guardian.note(
            PeerID(bytes: id.id), why, at: check, now: Instant(nanoseconds: now.wholeNanoseconds))
        statistics.frames = guardian.counts
        switch verdict {
        case .nothing: break
        case .report(let event): actions.append(.note("\(event)"))
        case .cutOff(let events):
            actions += events.map { .note("\($0)") }
            forget(id)
        }
    }

    private mutating func receive(_ message: Message, _ type: LogMessageType, from index: Int) throws {
        if peers[index].incarnation != message.header.incarnation {
            // Another process under this routing id: what the old one asked for no longer holds.
            peers[index].incarnation = message.header.incarnation
            peers[index].request = 0
            forget(peers[index].id)
        }
        check = .body
        switch type {
        case .open: try open(message, index)
        case .append: try append(message, index)
        case .checkpoint: try checkpoint(message, index)
        case .retain: try retain(message, index)
        case .follow: try follow(message, index)
        case .part: try part(message, index)
        case .records: try records(message, index)
        case .ping: try ping(message, index)
        case .opened, .acknowledged, .checkpointed, .retained, .snapshot, .snapshotPart, .record, .pong, .refused:
            check = .type
            throw WireError.malformed("'\(type.rawValue)' is nothing that a bank receives")
        }
    }

    mutating func reply(_ type: LogMessageType, _ body: some Encodable, to peer: LogPeer) {
        // Encoding integers and strings cannot fail.
        guard let data = try? body.wireJSON() else { return }
        actions.append(.send(peer, type, data))
    }

    mutating func refuse(_ code: LogRefusal.Code, _ why: String, _ request: UInt64, to peer: LogPeer) {
        reply(.refused, LogRefusal(request: request, code: code, message: why), to: peer)
    }
}
