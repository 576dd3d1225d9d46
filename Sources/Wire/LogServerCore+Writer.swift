import Basics
import Foundation

/// What the bank does for those that write.
extension LogServerCore {
    mutating func open(_ message: Message, _ index: Int) throws {
        let body = try message.decodeBody(LogOpen.self)
        let peer = peers[index].id
        peers[index].request = body.request
        let (rank, ranks) = try body.place()
        let asked = message.header.epoch
        let incarnation = message.header.incarnation
        guard asked.rawValue >= 1 else { throw WireError.malformed("epochs count from 1") }
        let isAgain = asked == epoch && ranks == writers.count && writers.rank(of: incarnation) == rank
        // Another rank opened the epoch. Nothing was stored in it yet: that takes a part of this rank too.
        let joins = asked == epoch && writers.awaits(rank, of: ranks)
        guard asked > epoch || isAgain || joins else {
            let why = asked < epoch ? "is over" : "was already opened"
            return refuse(.epoch, "epoch \(asked) \(why); the log is at epoch \(epoch)", body.request, to: peer)
        }
        guard isAgain ? body.sequence <= position : body.sequence == position else {
            return refuse(
                .sequence, "the log is at sequence \(position), the writer at \(body.sequence)", body.request, to: peer)
        }
        if asked > epoch {
            epoch = asked
            writers = LogWriters(Array(repeating: nil, count: ranks), ahead: settings.servable)
            actions.append(.note("epoch \(epoch) opened by \(message.header.sender) at sequence \(position)"))
            for follower in peers.indices {
                guard case .records(let request, _, _) = peers[follower].parked else { continue }
                peers[follower].parked = nil
                refuse(.epoch, "the log is at epoch \(epoch)", request, to: peers[follower].id)
            }
        }
        if !isAgain {
            writers.enter(incarnation, as: rank)
            actions.append(.openEpoch(epoch, writers.incarnations))
        }
        writers.note(peer, of: rank)
        reply(.opened, LogOpened(request: body.request, sequence: position, hash: hash), to: peer)
        for follower in peers.indices { serve(follower) }
    }

    /// The rank of the sender, if it is one that may write now; says no to it where not.
    private mutating func rank(of message: Message, request: UInt64, _ index: Int) -> Int? {
        if message.header.epoch != epoch {
            refuse(
                .epoch, "the log is at epoch \(epoch), the message of epoch \(message.header.epoch)", request,
                to: peers[index].id)
            return nil
        }
        guard let rank = writers.rank(of: message.header.incarnation) else {
            refuse(
                .writer, "epoch \(epoch) was not opened by this start of \(message.header.sender)", request,
                to: peers[index].id)
            return nil
        }
        return rank
    }

    /// Checkpoints are rank 0's, which writes the run's files.
    private mutating func isFirstWriter(_ message: Message, request: UInt64, _ index: Int) -> Bool {
        guard let rank = self.rank(of: message, request: request, index) else { return false }
        if rank > 0 {
            refuse(.writer, "checkpoints are asked for by rank 0, not \(rank)", request, to: peers[index].id)
        }
        return rank == 0
    }

    mutating func append(_ message: Message, _ index: Int) throws {
        let body = try message.decodeBody(LogAppend.self)
        let peer = peers[index].id
        guard let rank = self.rank(of: message, request: 0, index) else { return }
        writers.note(peer, of: rank)
        let logical = message.logPayload(body.payload)
        if body.sequence <= position {
            guard body.sequence > oldest else {
                return refuse(.gone, "record \(body.sequence) is older than what is kept", 0, to: peer)
            }
            let known = kept[Int(body.sequence.rawValue - oldest.rawValue) - 1]
            let expected = writers.count > 1 ? writers.digest(of: rank, at: body.sequence) : known.digest
            guard try expected == nil || logical.digest() == expected else {
                return refuse(.conflict, "record \(body.sequence) was acknowledged with other bytes", 0, to: peer)
            }
            statistics.duplicates += 1
            return reply(.acknowledged, LogAcknowledged(sequence: body.sequence, hash: known.hash), to: peer)
        }
        switch writers.take(logical, digest: try logical.digest(), of: rank, at: body.sequence, after: position) {
        case .kept: break
        case .duplicate: statistics.duplicates += 1
        case .conflict:
            return refuse(
                .conflict, "record \(body.sequence) of rank \(rank) came before with other bytes", 0, to: peer)
        // The writer learns so from the answer to its next ping.
        case .early: statistics.gaps += 1
        }
        while let parts = writers.takeNext(position.next) {
            guard try commit(parts) else { return writers.forgetParts() }
        }
    }

    /// Makes the next record of the parts that the ranks sent, or says to all that it cannot.
    private mutating func commit(_ parts: [LogPayload]) throws -> Bool {
        let sequence = position.next
        let logical: LogPayload
        let physical: LogPayload
        do {
            logical = parts.count == 1 ? parts[0] : try reducer.join(parts, at: sequence)
            physical = try reducer.reduce(logical, at: sequence)
        } catch {
            for writer in writers.peers { refuse(.invalid, "record \(sequence): \(error)", 0, to: writer) }
            return false
        }
        let digest = try logical.digest()
        let pieces = try physical.encodedPieces()
        position = sequence
        hash = hash.extended(by: pieces)
        kept.append((digest, hash))
        statistics.appended += 1
        actions.append(.store(position, physical, pieces: pieces, digest: digest, hash: hash))
        for writer in writers.peers {
            reply(.acknowledged, LogAcknowledged(sequence: position, hash: hash), to: writer)
        }
        for follower in peers.indices { serve(follower) }
        dropWhatNobodyMayNeed()
        return true
    }

    mutating func checkpoint(_ message: Message, _ index: Int) throws {
        let body = try message.decodeBody(LogCheckpointRequest.self)
        peers[index].request = body.request
        guard isFirstWriter(message, request: body.request, index) else { return }
        guard body.sequence == position || snapshots.contains(where: { $0.sequence == body.sequence }) else {
            return refuse(
                .sequence, "a snapshot of exactly sequence \(body.sequence) cannot be made at \(position)",
                body.request, to: peers[index].id)
        }
        actions.append(.writeSnapshot(peers[index].id, body))
    }

    mutating func retain(_ message: Message, _ index: Int) throws {
        let body = try message.decodeBody(LogRetain.self)
        peers[index].request = body.request
        guard isFirstWriter(message, request: body.request, index) else { return }
        if body.sequence > oldest {
            guard snapshots.contains(where: { $0.sequence == body.sequence }) else {
                return refuse(
                    .sequence, "there is no snapshot of sequence \(body.sequence) to retain", body.request,
                    to: peers[index].id)
            }
            retainFrom = body.sequence
        }
        reply(.retained, LogRetained(request: body.request, sequence: body.sequence), to: peers[index].id)
        dropWhatNobodyMayNeed()
    }

    /// Forgets what lies before the retained checkpoint, or before an older one while a follower may still have to start
    /// there: checkpoints may come faster than followers.
    private mutating func dropWhatNobodyMayNeed() {
        guard let retained = retainFrom else { return }
        let old = snapshots.last {
            $0.sequence <= retained && $0.sequence.rawValue + settings.servable <= position.rawValue
        }
        guard let from = old?.sequence, from > oldest else { return }
        if from == retained { retainFrom = nil }
        snapshots.removeAll { $0.sequence < from }
        kept.removeFirst(Int(from.rawValue - oldest.rawValue))
        oldest = from
        actions.append(.drop(before: from))
    }
}
