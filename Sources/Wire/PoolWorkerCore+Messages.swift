import Basics
import Foundation

// What a consumer's messages mean.
extension PoolWorkerCore {
    mutating func receive(_ frames: [SharedBytes], from index: Int, now: Instant) {
        guard links[index].state != .left else { return }
        var check = FrameCheck.frames
        do {
            let message = try Message(frames: frames, run: sender.run, limits: settings.limits, check: &check)
            guard let type = PoolMessageType(rawValue: message.header.type) else {
                throw WireError.malformed("unknown type '\(message.header.type)'")
            }
            check = .body
            try receive(message, type, from: index, now: now)
        } catch {
            let reason = "\(error)".oneLine
            let verdict = guardian.note(PeerID("\(index)"), reason, at: check, now: now)
            statistics.badFrames = guardian.counts.badFrames
            switch verdict {
            case .nothing: break
            case .report(.badFrame(_, let reason, let unreported)):
                actions.append(
                    .report(.badFrame(peer: links[index].name, reason: reason, unreported: unreported)))
            case .report(let event): actions.append(.report(event))
            case .cutOff: end(.badConsumer(links[index].name, lastReason: reason))
            }
        }
    }

    private mutating func receive(_ message: Message, _ type: PoolMessageType, from index: Int, now: Instant) throws {
        let header = message.header
        guard header.epoch >= links[index].epoch else {
            // A consumer that has been replaced; it shall not keep us from its successor.
            statistics.stale += 1
            return
        }
        links[index].name = header.sender
        switch type {
        case .welcome:
            let body: PoolBody.Welcome = try message.decodeBody()
            // As long as what a consumer makes of "never".
            let possible = 10...3_155_760_000_999
            guard possible.contains(body.heartbeatMilliseconds), possible.contains(body.silenceMilliseconds) else {
                throw WireError.malformed("heartbeat or silence out of range")
            }
            guard links[index].state == .joining, body.session == links[index].session else { break }
            return welcomed(index, header, body, now)
        case .refused:
            let body: PoolBody.Refused = try message.decodeBody()
            return end(.refused(worker: sender.name, consumer: header.sender, reason: body.reason.oneLine))
        case .again:
            let body: PoolBody.Again = try message.decodeBody()
            if links[index].state == .joined { rejoin(index, body.reason.oneLine, now) }
            return
        case .ticket, .reset, .drain, .heartbeat, .bye: break
        case .ready, .start, .result, .failed: throw WireError.malformed("'\(type)' is not for a consumer to send")
        }
        guard links[index].state == .joined else { return }
        guard header.incarnation == links[index].incarnation else {
            cancelExecutions(for: index)
            return rejoin(index, "it was restarted", now)
        }
        guard header.sequence >= links[index].nextIncoming else {
            statistics.duplicates += 1
            return
        }
        guard header.sequence == links[index].nextIncoming else {
            return rejoin(index, "messages of it were lost", now)
        }
        if type == .ticket, header.ticket == nil { throw WireError.malformed("'ticket' names no ticket") }
        links[index].nextIncoming += 1
        links[index].lastHeard = now
        advance(index, to: header.epoch)
        switch type {
        case .ticket: take(message, index)
        case .drain: links[index].draining = true
        case .bye: rejoin(index, "it left", now)
        default: break
        }
    }

    private mutating func welcomed(_ index: Int, _ header: Header, _ body: PoolBody.Welcome, _ now: Instant) {
        guard header.sequence == 1 else {
            // A session's first message is its welcome; this one is a repetition, and tickets came before it.
            return rejoin(index, "messages of it were lost", now)
        }
        if let known = links[index].incarnation, known != header.incarnation { cancelExecutions(for: index) }
        links[index].state = .joined
        links[index].incarnation = header.incarnation
        links[index].nextIncoming = 2
        links[index].lastHeard = now
        links[index].heartbeat = .milliseconds(body.heartbeatMilliseconds)
        links[index].silence = .milliseconds(body.silenceMilliseconds)
        links[index].nextHeartbeat = now + links[index].heartbeat
        advance(index, to: header.epoch)
        actions.append(.report(.welcomed(consumer: header.sender, epoch: header.epoch)))
    }

    private mutating func take(_ message: Message, _ index: Int) {
        guard let id = message.header.ticket else { return }
        if executions.contains(where: { $0.consumer == index && !$0.cancelled && $0.ticket == id }) {
            // Given to us again while we still execute it from an earlier session: that result will answer it.
            return send(.start, to: index, ticket: id)
        }
        let place = links[index].queue.firstIndex { $0.id >= id } ?? links[index].queue.endIndex
        if place < links[index].queue.endIndex, links[index].queue[place].id == id {
            statistics.duplicates += 1
            return
        }
        links[index].queue.insert(Ticket(id: id, body: message.body, tensors: message.tensors), at: place)
    }
}
