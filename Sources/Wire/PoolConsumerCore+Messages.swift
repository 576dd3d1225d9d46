import Basics
import Foundation

// What a worker's messages mean.
extension PoolConsumerCore {
    mutating func receive(_ frames: [SharedBytes], from peer: PeerID, now: Instant) {
        guard guardian.admits(peer) else { return }
        do {
            let message = try Message(frames: frames, run: sender.run, limits: settings.limits, check: &check)
            guard let type = PoolMessageType(rawValue: message.header.type) else {
                throw WireError.malformed("unknown type '\(message.header.type)'")
            }
            check = .sizes
            // Only results say what they like; the others' few keys must not cost a decoder seconds.
            guard type == .result || message.body.count <= PoolConsumerCore.ownBodyBytes else {
                throw WireError.tooLarge(
                    what: "body of '\(type)'", bytes: message.body.count, limit: PoolConsumerCore.ownBodyBytes)
            }
            check = .type
            try receive(message, type, from: peer, now: now)
        } catch {
            punish(peer, error, now: now)
        }
    }

    private mutating func receive(_ message: Message, _ type: PoolMessageType, from peer: PeerID, now: Instant) throws {
        let header = message.header
        if type == .ready { return try join(message, from: peer, now: now) }
        if let worker = workers[peer] {
            check = .sender
            guard worker.name == header.sender, worker.incarnation == header.incarnation else {
                throw WireError.malformed("'\(type)' of \(header.sender) on the connection of \(worker.name)")
            }
            workers[peer]!.lastHeard = now
            guard header.sequence >= worker.nextIncoming else {
                counts.duplicates += 1
                return
            }
            workers[peer]!.nextIncoming = Self.following(header.sequence)
            if header.sequence > worker.nextIncoming {
                // A result may have been among what is missing. What this message says still holds.
                lose(peer, .messagesLost)
            }
        }
        let known = workers[peer] != nil
        check = .body
        switch type {
        case .start:
            if let id = try current(header) { started(id, peer) }
        case .result:
            if let id = try current(header) {
                try accept(
                    .result(TicketResult(id: id, body: message.body, tensors: message.tensors, worker: header.sender)),
                    id, from: peer)
            }
        case .failed:
            let body: PoolBody.Failed = try message.decodeBody()
            if let id = try current(header) {
                try accept(
                    .failure(
                        PoolFailure(ticket: id, epoch: epoch, workers: [header.sender], message: body.error.oneLine)),
                    id, from: peer)
            }
        case .heartbeat:
            let body: PoolBody.Heartbeat = try message.decodeBody()
            if known, header.epoch == epoch { workers[peer]!.executing = distinct(body.executing) }
        case .drain:
            if known { handBack(peer) }
        case .bye:
            return lose(peer, .bye)
        case .ready, .welcome, .ticket, .reset, .again, .refused:
            check = .type
            throw WireError.malformed("'\(type)' is not for a worker to send")
        }
        if !known {
            let reason = "this consumer does not know you, or messages of yours were lost"
            sendUnnumbered(.again, to: peer, body: PoolBody.Again(reason: reason))
        }
    }

    /// The ticket that a message of the present epoch is about; nil for an older epoch.
    private mutating func current(_ header: Header) throws -> TicketID? {
        check = .ticket
        guard let id = header.ticket else { throw WireError.malformed("'\(header.type)' names no ticket") }
        check = .epoch
        guard header.epoch <= epoch else {
            throw WireError.malformed("'\(header.type)' of epoch \(header.epoch), which is not yet")
        }
        guard header.epoch == epoch else {
            counts.stale += 1
            return nil
        }
        check = .ticket
        guard let highestIssued, id <= highestIssued else {
            throw WireError.malformed("'\(header.type)' of ticket \(id), which was never issued")
        }
        return id
    }

    /// A list from a peer, without repetitions and bounded.
    private func distinct(_ ids: [TicketID]) -> [TicketID] {
        var list: [TicketID] = []
        for id in ids.prefix(256) where !list.contains(id) { list.append(id) }
        return list
    }

    private mutating func started(_ id: TicketID, _ peer: PeerID) {
        guard workers[peer] != nil, !workers[peer]!.executing.contains(id), workers[peer]!.executing.count < 256 else {
            return
        }
        workers[peer]!.executing.append(id)
    }

    private mutating func accept(_ outcome: Outcome, _ id: TicketID, from peer: PeerID) throws {
        if workers[peer] != nil {
            workers[peer]!.held.removeAll { $0 == id }
            workers[peer]!.executing.removeAll { $0 == id }
            if workers[peer]!.isolated == id { workers[peer]!.isolated = nil }
        }
        guard let entry = entries[id], entry.outcome == nil else {
            counts.duplicates += 1
            return
        }
        guard entry.holders.contains(peer) else {
            throw WireError.malformed("an answer to ticket \(id), which it was not given")
        }
        switch outcome {
        case .result:
            entries[id]!.outcome = outcome
            counts.waiting += 1
            withdraw(id)
        case .failure(let failure):
            conclude(id, workers: failure.workers, reason: failure.message)
        }
    }

    // MARK: Joining

    private mutating func join(_ message: Message, from peer: PeerID, now: Instant) throws {
        let header = message.header
        check = .body
        let ready: PoolBody.Ready = try message.decodeBody()
        guard ready.credit >= 1, ready.credit <= PoolConsumerCore.creditLimit else {
            throw WireError.malformed("credit \(ready.credit); 1 to \(PoolConsumerCore.creditLimit) are possible")
        }
        let generation = ready.generation ?? .first
        guard generation >= .first else { throw WireError.malformed("generation \(generation)") }
        if superseded.contains(header.incarnation) {
            return refuse(
                peer, header, .superseded, now, yours: header.incarnation.rawValue, ours: "a later start",
                reason: "a worker of the name \(header.sender) was started after you")
        }
        if let known = workers[peer], known.name == header.sender, known.incarnation == header.incarnation {
            guard ready.session >= known.session, header.sequence >= known.nextIncoming else {
                counts.duplicates += 1
                return
            }
            if ready.session == known.session {
                // It has not seen our welcome yet; what it was given since then it gets to see as well.
                workers[peer]!.lastHeard = now
                workers[peer]!.nextIncoming = Self.following(header.sequence)
                return welcome(peer)
            }
            lose(peer, .rejoined)
        }
        for other in roster where workers[other]!.name == header.sender || other == peer {
            let previous = workers[other]!
            lose(other, previous.incarnation == header.incarnation ? .rejoined : .restarted)
            if previous.incarnation != header.incarnation { supersede(previous.incarnation) }
        }
        absolve(header.sender, header.incarnation)
        if let loss = latestLosses[header.sender], loss.incarnation != header.incarnation {
            supersede(loss.incarnation)
        }
        var worker = Worker(
            peer: peer, name: header.sender, incarnation: header.incarnation, generation: generation,
            credit: ready.credit, session: ready.session, lastHeard: now,
            nextIncoming: Self.following(header.sequence))
        silenceCheck = min(silenceCheck, now + settings.silence)
        worker.lossExpected = expectedLosses.contains(header.sender)
        if header.epoch == epoch { worker.executing = distinct(ready.executing) }
        workers[peer] = worker
        roster.append(peer)
        actions.append(.report(.joined(worker: header.sender, credit: ready.credit, generation: generation)))
        welcome(peer)
        if drained.contains(header.incarnation) { askToLeave(peer) }
    }

    private mutating func welcome(_ peer: PeerID) {
        let body = PoolBody.Welcome(
            heartbeatMilliseconds: settings.heartbeat.inMilliseconds, session: workers[peer]!.session,
            silenceMilliseconds: settings.silence.inMilliseconds)
        send(.welcome, to: peer, body: Self.json(body))
    }

    /// The number that must come next; numbers are the peer's to choose, also the last there is.
    private static func following(_ number: UInt64) -> UInt64 { number == .max ? .max : number + 1 }

    /// Bytes of a body that is ours to define; the longest honest one, a READY or heartbeat with 256 tickets, has some 6 KiB.
    static let ownBodyBytes = 64 << 10

    /// More than any worker can use; it bounds what one READY makes us send.
    static let creditLimit = 4096

    private mutating func supersede(_ incarnation: Incarnation) {
        guard !superseded.contains(incarnation) else { return }
        superseded.append(incarnation)
        // A replaced process that comes back after 256 others were replaced does no harm: it only takes the place.
        if superseded.count > 256 { superseded.removeFirst() }
    }

    private mutating func refuse(
        _ peer: PeerID, _ header: Header, _ code: PoolBody.Refused.Code, _ now: Instant, yours: String, ours: String,
        reason: String
    ) {
        if workers[peer] != nil { lose(peer, .rejoined) }
        counts.refusedPeers += 1
        if refusals.report(at: now) != nil {
            actions.append(.report(.refused(peer: header.sender.oneLine, reason: reason.oneLine)))
        }
        sendUnnumbered(.refused, to: peer, body: PoolBody.Refused(code: code, ours: ours, reason: reason, yours: yours))
    }

    /// Counts a bad frame, tells a peer of another version or run so, and cuts off who goes on.
    private mutating func punish(_ peer: PeerID, _ error: Error, now: Instant) {
        switch guardian.note(peer, "\(error)", at: check, now: now) {
        case .nothing: break
        case .report(let event): actions.append(.report(event))
        case .cutOff(let events):
            lose(peer, .cutOff)
            actions += events.map { .report($0) }
            return
        }
        switch error as? WireError {
        case .unknownVersion(let version):
            sendUnnumbered(
                .refused, to: peer,
                body: PoolBody.Refused(
                    code: .version, ours: "\(Header.currentVersion)",
                    reason: "you speak protocol version \(version), this consumer \(Header.currentVersion)",
                    yours: "\(version)"))
        case .wrongRun(let run, let expected):
            sendUnnumbered(
                .refused, to: peer,
                body: PoolBody.Refused(
                    code: .run, ours: expected, reason: "you are of run '\(run)', this is run '\(expected)'", yours: run
                ))
        default: break
        }
    }
}

extension String {
    /// The first 500 characters with control characters as spaces: what may stand in a log line.
    var oneLine: String {
        String(
            String.UnicodeScalarView(unicodeScalars.prefix(500).map { $0.value < 0x20 || $0.value == 0x7f ? " " : $0 })
        )
        .trimmingCharacters(in: .whitespaces)
    }
}
