import Basics
import Foundation

/// What the bank does for the one that writes.
extension LogServerCore {
    mutating func open(_ message: Message, _ index: Int, _ actions: inout [Action]) throws {
        let body = try message.decodeBody(LogOpen.self)
        let peer = peers[index].id
        peers[index].request = body.request
        let asked = message.header.epoch
        guard asked.rawValue >= 1 else { throw WireError.malformed("epochs count from 1") }
        if asked < epoch || (asked == epoch && writer != message.header.incarnation) {
            let why = asked < epoch ? "is over" : "was already opened"
            return refuse(
                .epoch, "epoch \(asked) \(why); the log is at epoch \(epoch)", body.request, to: peer, &actions)
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
            refuse(
                .writer, "epoch \(epoch) was not opened by this start of \(message.header.sender)", request,
                to: peers[index].id, &actions)
            return false
        }
        return true
    }

    mutating func append(_ message: Message, _ index: Int, _ actions: inout [Action]) throws {
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

    mutating func checkpoint(_ message: Message, _ index: Int, _ actions: inout [Action]) throws {
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

    mutating func retain(_ message: Message, _ index: Int, _ actions: inout [Action]) throws {
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
}
