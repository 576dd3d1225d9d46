import Basics
import Foundation

/// What the bank does for those that copy.
extension LogServerCore {
    mutating func follow(_ message: Message, _ index: Int) throws {
        let body = try message.decodeBody(LogFollow.self)
        peers[index].request = body.request
        peers[index].parked = .follow(body, epoch: message.header.epoch)
        serve(index)
    }

    mutating func part(_ message: Message, _ index: Int) throws {
        let body = try message.decodeBody(LogPart.self)
        peers[index].request = body.request
        peers[index].parked = nil
        guard message.header.epoch == epoch else {
            return refuse(.epoch, "the log is at epoch \(epoch)", body.request, to: peers[index].id)
        }
        guard let offered = peers[index].offered, offered.sequence == body.sequence else {
            return refuse(
                .gone, "no snapshot of sequence \(body.sequence) was offered", body.request, to: peers[index].id)
        }
        guard (0..<offered.parts).contains(body.index) else {
            throw WireError.malformed("part \(body.index) of a snapshot of \(offered.parts)")
        }
        statistics.partsSent += 1
        actions.append(.sendPart(peers[index].id, body))
    }

    mutating func records(_ message: Message, _ index: Int) throws {
        let body = try message.decodeBody(LogRecords.self)
        // 64 is far more than any follower has room for.
        guard (1...64).contains(body.count) else { throw WireError.malformed("\(body.count) records asked for") }
        peers[index].request = body.request
        peers[index].parked = nil
        guard message.header.epoch == epoch else {
            return refuse(.epoch, "the log is at epoch \(epoch)", body.request, to: peers[index].id)
        }
        guard body.from <= SequenceNumber(position.rawValue + settings.servable) else {
            throw WireError.malformed("records from \(body.from) asked for at \(position)")
        }
        peers[index].parked = .records(request: body.request, next: body.from, remaining: body.count)
        peers[index].offered = nil
        actions.append(.forget(peers[index].id))
        serve(index)
    }

    mutating func ping(_ message: Message, _ index: Int) throws {
        let body = try message.decodeBody(LogPing.self)
        let peer = peers[index]
        var next: SequenceNumber?
        if case .records(_, let awaited, _) = peer.parked { next = awaited }
        reply(
            .pong,
            LogPong(
                ping: body.ping, request: peer.request, parked: peer.parked != nil, next: next, sequence: position),
            to: peer.id)
    }

    /// Answers what a follower waits for as far as it exists.
    mutating func serve(_ index: Int) {
        let peer = peers[index].id
        switch peers[index].parked {
        case nil: return
        case .follow(let body, let asked):
            guard writers.hasOpened, epoch >= asked else { return }
            peers[index].parked = nil
            guard let snapshot = snapshots.last(where: { $0.sequence <= body.newest }) else {
                return refuse(
                    .gone, "the oldest state that is kept is that of sequence \(oldest), not \(body.newest)",
                    body.request, to: peer)
            }
            peers[index].offered = snapshot
            actions.append(.offer(peer, request: body.request, snapshot.sequence))
        case .records(let request, var next, var remaining):
            while remaining > 0, next <= position {
                guard next > oldest else {
                    peers[index].parked = nil
                    return refuse(.gone, "record \(next) is older than what is kept", request, to: peer)
                }
                let entry = kept[Int(next.rawValue - oldest.rawValue) - 1]
                actions.append(.sendRecord(peer, request: request, next, entry.hash))
                statistics.recordsSent += 1
                next = next.next
                remaining -= 1
            }
            peers[index].parked = remaining > 0 ? .records(request: request, next: next, remaining: remaining) : nil
        }
    }
}
