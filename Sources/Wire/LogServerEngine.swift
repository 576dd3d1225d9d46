import Basics
import Foundation

/// How a bank's log starts.
public enum LogStart: Sendable, Equatable {
    /// Sequence 0; whatever the storage folder holds of records and snapshots is removed.
    case empty
    /// A checkpoint's snapshot file; whatever the storage folder holds of records and snapshots is removed.
    case snapshot(String)
    /// Where the storage folder's last durable record is; sequence 0 where it holds nothing.
    case existing

    /// How the bank of a run's epoch starts: where it was, if compute has opened this very epoch in `folder` before, as
    /// then records may have been acknowledged that nobody else has; otherwise with `fresh`.
    public static func within(_ epoch: Epoch, folder: String, fresh: LogStart) -> LogStart {
        let reign = FileManager.default.contents(atPath: folder + "/log.json").flatMap {
            try? JSONDecoder().decode(LogFolder.Reign.self, from: $0)
        }
        return reign?.epoch == epoch && reign?.writers.isEmpty == false ? .existing : fresh
    }
}

/// The core of a bank with its files: what the socket's thread, or a test's network, drives.
///
/// A class, so that there is exactly one of its state: a copy would double a large memory at the next write.
final class LogServerEngine<Reducer: LogReducer> {
    private var core: LogServerCore<Reducer>
    private let folder: LogFolder
    private let sender: Sender
    private var sent: UInt64 = 0
    /// Snapshots that followers are reading; looked up, never iterated.
    private var offered: [LogPeer: LogSnapshotFile] = [:]
    private let onNote: @Sendable (String) -> Void

    init(
        folder path: String, reducer: Reducer, start: LogStart, knownEpoch: Epoch, sender: Sender,
        settings: LogSettings, onNote: @escaping @Sendable (String) -> Void
    ) throws {
        var reducer = reducer
        folder = try LogFolder(path: path, recent: Int(settings.servable) * 2)
        self.sender = sender
        self.onNote = onNote
        // A start from elsewhere needs nothing of what is there, which a renamed run directory has under its old name.
        let reign = start == .existing ? try folder.reign() : try? folder.reign()
        if start == .existing, let reign, reign.run != sender.run {
            throw LogError.storage("\(path) belongs to run '\(reign.run)', not '\(sender.run)'")
        }
        var sequence = SequenceNumber(0)
        var hash = LogHash.empty
        switch start {
        case .empty:
            try folder.begin(reducer, at: sequence, hash: hash)
        case .snapshot(let file):
            let info = try folder.begin(with: file, &reducer)
            sequence = info.sequence
            hash = info.hash
        case .existing:
            if let newest = try folder.load(&reducer) {
                sequence = newest.sequence
                hash = newest.hash
            } else {
                try folder.begin(reducer, at: sequence, hash: hash)
            }
        }
        // Only where the records are still those that it acknowledged may the same writer go on.
        let epoch = max(knownEpoch, reign?.epoch ?? Epoch(0))
        let writers = start == .existing && reign?.epoch == epoch ? reign?.writers ?? [] : []
        core = LogServerCore(
            reducer: reducer, epoch: epoch, writers: writers, position: sequence, hash: hash, entries: folder.entries,
            snapshots: folder.snapshots.map(\.info), settings: settings)
        if let reign, reign.epoch < epoch || writers.isEmpty {
            try folder.write(LogFolder.Reign(run: sender.run, epoch: epoch, writers: []))
        }
    }

    var position: LogServer.Position {
        LogServer.Position(epoch: core.epoch, sequence: core.position, hash: core.hash)
    }
    var statistics: LogServerStatistics { core.statistics }
    func isCutOff(_ peer: LogPeer) -> Bool { core.isCutOff(peer) }
    func admits(_ peer: LogPeer) -> Bool { core.admits(peer) }

    /// Handles one event.
    ///
    /// - Parameter send: delivers a message; false where the peer has gone.
    /// - Throws: where the storage fails. Nothing that was not stored has been acknowledged; the server must end.
    func handle(
        _ event: LogServerCore<Reducer>.Event, now: Duration, send: (LogPeer, Message) throws -> Bool
    ) throws {
        var events = [event]
        while !events.isEmpty {
            for action in core.handle(events.removeFirst(), now: now) {
                if let outcome = try perform(action, send: send) { events.append(outcome) }
            }
        }
    }

    private func perform(
        _ action: LogServerCore<Reducer>.Action, send: (LogPeer, Message) throws -> Bool
    ) throws -> LogServerCore<Reducer>.Event? {
        func deliver(_ peer: LogPeer, _ type: LogMessageType, _ body: Data, _ tensors: [WireTensor] = []) throws
            -> LogServerCore<Reducer>.Event?
        {
            sent += 1
            let message = Message(
                type.rawValue, from: sender, epoch: core.epoch, sequence: sent, body: body, tensors: tensors)
            return try send(peer, message) ? nil : .unreachable(peer)
        }
        switch action {
        case .send(let peer, let type, let body):
            return try deliver(peer, type, body)
        case .openEpoch(let epoch, let writers):
            try folder.write(LogFolder.Reign(run: sender.run, epoch: epoch, writers: writers))
        case .store(let sequence, let payload, let pieces, let digest, let hash):
            try folder.append(payload, pieces: pieces, at: sequence, digest: digest, hash: hash)
        case .sendRecord(let peer, let request, let sequence, let hash):
            let payload = try folder.record(sequence)
            let body = LogRecordBody(
                request: request, sequence: sequence, hash: hash,
                payload: String(decoding: payload.body, as: UTF8.self))
            return try deliver(peer, .record, body.wireJSON(), payload.tensors)
        case .offer(let peer, let request, let sequence):
            guard let file = folder.snapshots.last(where: { $0.info.sequence == sequence }) else {
                throw LogError.storage("snapshot \(sequence) is not in \(folder.path)")
            }
            offered[peer] = file
            let body = LogSnapshot(
                request: request, sequence: sequence, hash: file.info.hash, parts: file.info.parts,
                bytes: file.info.bytes, digest: file.info.digest)
            return try deliver(peer, .snapshot, body.wireJSON())
        case .sendPart(let peer, let part):
            guard let file = offered[peer] else { return nil }
            let payload = try file.part(part.index)
            let body = LogSnapshotPart(
                request: part.request, sequence: part.sequence, index: part.index,
                payload: String(decoding: payload.body, as: UTF8.self))
            return try deliver(peer, .snapshotPart, body.wireJSON(), payload.tensors)
        case .writeSnapshot(let peer, let request):
            do {
                let file =
                    try folder.snapshots.last { $0.info.sequence == request.sequence }
                    ?? folder.writeSnapshot(core.reducer, at: core.position, hash: core.hash)
                try file.place(as: request.folder + "/" + LogCheckpoint.fileName)
                return .snapshotWritten(peer, request, file.info, file: LogCheckpoint.fileName)
            } catch {
                return .snapshotFailed(peer, request, "\(error)")
            }
        case .drop(let oldest):
            try folder.drop(before: oldest)
        case .forget(let peer):
            offered[peer] = nil
        case .note(let text):
            onNote(text)
        }
        return nil
    }
}
