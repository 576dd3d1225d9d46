// Who gets which ticket, and what becomes of a lost worker's.
extension PoolConsumerCore {
    /// Gives waiting tickets to workers of their generation with free credit, the oldest first; a suspect gets a worker
    /// of its own.
    mutating func dispatch() {
        guard failure == nil else { return }
        for index in lines.indices { dispatch(index) }
        // The last one stays, empty or not: most pools never have another.
        if lines.count > 1 { lines.removeAll { $0.count == 0 } }
    }

    private mutating func dispatch(_ index: Int) {
        let generation = lines[index].generation
        if !lines[index].suspects.isEmpty { dispatchSuspects(index) }
        while !lines[index].again.isEmpty || !lines[index].fresh.isEmpty {
            guard let peer = workers.leastLoaded(of: generation) else {
                return
            }
            let isAgain = !lines[index].again.isEmpty
            give(isAgain ? lines[index].again.removeFirst() : lines[index].fresh.removeFirst(), to: peer)
        }
    }

    /// A suspect goes to a worker that has nothing else; where all are busy, one of them gets nothing new until it
    /// is idle. The reservation stays with that worker, or a steady load would move it from one to the next for ever.
    private mutating func dispatchSuspects(_ index: Int) {
        let generation = lines[index].generation
        let suspects = lines[index].suspects
        for peer in roster where workers[peer]!.generation == generation {
            if let id = workers[peer]!.reservedFor, !suspects.contains(id) { workers[peer]!.reservedFor = nil }
        }
        for id in suspects {
            let reserved = roster.first { workers[$0]!.reservedFor == id }
            guard let peer = reserved ?? leastLoaded(of: generation, where: \.isOpen) else { continue }
            guard workers[peer]!.isIdle else {
                workers[peer]!.reservedFor = id
                continue
            }
            lines[index].suspects.removeAll { $0 == id }
            workers[peer]!.reservedFor = nil
            workers[peer]!.isolated = id
            give(id, to: peer)
        }
    }

    private func leastLoaded(of generation: Generation, where accepts: (Worker) -> Bool) -> PeerID? {
        var best: (peer: PeerID, load: Int)?
        for peer in roster {
            let worker = workers[peer]!
            let load = worker.held.count
            guard load < best?.load ?? .max, worker.generation == generation, accepts(worker) else { continue }
            best = (peer, load)
        }
        return best?.peer
    }

    /// The index of a generation's line, which is begun where there is none.
    mutating func line(of generation: Generation) -> Int {
        let place = lines.firstIndex { $0.generation >= generation } ?? lines.endIndex
        if place == lines.endIndex || lines[place].generation != generation {
            lines.insert(Line(generation: generation), at: place)
        }
        return place
    }

    private mutating func give(_ id: TicketID, to peer: PeerID) {
        workers[peer]!.held.append(id)
        if !entries[id]!.holders.contains(peer) { entries[id]!.holders.append(peer) }
        send(id, to: peer)
    }

    /// Whether a ticket is known and has neither result nor failure.
    func isUnanswered(_ id: TicketID) -> Bool { entries[id].map { $0.outcome == nil } ?? false }

    /// Puts a ticket that nobody has any more back in line.
    mutating func putBack(_ id: TicketID) {
        guard let entry = entries[id] else { return }
        let index = line(of: entry.ticket.generation)
        if entry.blames.isEmpty {
            lines[index].again.insertSorted(id)
        } else {
            lines[index].suspects.insertSorted(id)
        }
        counts.reissued += 1
    }

    /// Takes a ticket out of the line, because its outcome is there.
    mutating func withdraw(_ id: TicketID) {
        guard let generation = entries[id]?.ticket.generation,
            let index = lines.firstIndex(where: { $0.generation == generation })
        else { return }
        lines[index].again.removeAll { $0 == id }
        if !lines[index].suspects.isEmpty {
            lines[index].suspects.removeAll { $0 == id }
            for peer in roster where workers[peer]!.reservedFor == id { workers[peer]!.reservedFor = nil }
        }
    }

    /// Takes a worker out and its tickets back. What it executed is blamed where this may be a death of it.
    mutating func lose(_ peer: PeerID, _ cause: PoolLossCause) {
        guard let worker = workers.removeValue(forKey: peer) else { return }
        roster.removeAll { $0 == peer }
        let expected = worker.lossExpected || worker.draining
        if cause.isDeath { expectedLosses.remove(worker.name) }
        var blamed: [TicketID] = []
        if cause.isDeath, !expected {
            for id in worker.executing where worker.held.contains(id) && isUnanswered(id) {
                blamed.append(id)
                blame(id, on: worker)
            }
        }
        // Names are the peers' to choose; what is remembered of those that are gone is bounded.
        if latestLosses.count >= 1024 { latestLosses = latestLosses.filter { !$0.value.blamed.isEmpty } }
        latestLosses[worker.name] = (worker.incarnation, blamed)
        var reissued = 0
        for id in worker.held where isUnanswered(id) {
            putBack(id)
            reissued += 1
        }
        if cause != .bye { counts.lostWorkers += 1 }
        actions.append(.report(.lost(worker: worker.name, cause: cause, reissued: reissued)))
    }

    private mutating func blame(_ id: TicketID, on worker: Worker) {
        entries[id]!.blames.append(
            Blame(worker: worker.name, incarnation: worker.incarnation, isolated: worker.isolated == id))
        let isolated = entries[id]!.blames.filter(\.isolated)
        actions.append(.report(.blamed(ticket: id, worker: worker.name, isolated: isolated.count)))
        guard isolated.count >= settings.isolatedDeaths else { return }
        conclude(
            id, workers: isolated.map(\.worker),
            reason: "\(isolated.count) workers died executing it with nothing else to do")
    }

    /// Takes back what was held against tickets for a loss that was none of their doing.
    mutating func absolve(_ name: String, _ incarnation: Incarnation) {
        guard let loss = latestLosses[name], loss.incarnation == incarnation else { return }
        latestLosses[name] = nil
        for id in loss.blamed where isUnanswered(id) {
            entries[id]!.blames.removeAll { $0.worker == name && $0.incarnation == incarnation }
            actions.append(.report(.absolved(ticket: id, worker: name)))
            let index = line(of: entries[id]!.ticket.generation)
            if entries[id]!.blames.isEmpty, lines[index].suspects.contains(id) {
                withdraw(id)
                lines[index].again.insertSorted(id)
            }
        }
    }

    mutating func expectLoss(_ name: String) {
        let present = roster.filter { workers[$0]!.name == name }
        for peer in present { workers[peer]!.lossExpected = true }
        guard present.isEmpty else { return }
        if let loss = latestLosses[name] {
            absolve(name, loss.incarnation)
        } else {
            expectedLosses.insert(name)
        }
    }

    mutating func drain(_ name: String) {
        for peer in roster where workers[peer]!.name == name && !workers[peer]!.draining {
            drained.insert(workers[peer]!.incarnation)
            askToLeave(peer)
        }
    }

    mutating func askToLeave(_ peer: PeerID) {
        workers[peer]!.draining = true
        workers[peer]!.reservedFor = nil
        send(.drain, to: peer)
    }

    /// A worker that leaves as soon as it is done with what it executes keeps only that.
    mutating func handBack(_ peer: PeerID) {
        workers[peer]!.draining = true
        workers[peer]!.reservedFor = nil
        let executing = workers[peer]!.executing
        let returned = workers[peer]!.held.filter { !executing.contains($0) }
        workers[peer]!.held.removeAll { !executing.contains($0) }
        if let id = workers[peer]!.isolated, returned.contains(id) { workers[peer]!.isolated = nil }
        for id in returned where isUnanswered(id) { putBack(id) }
    }

    /// Ends a ticket without a result: the pool fails when its turn comes, or hands it on as skipped.
    mutating func conclude(_ id: TicketID, workers names: [String], reason: String) {
        if settings.skipFailed {
            counts.skipped += 1
            entries[id]!.outcome = .result(
                TicketResult(id: id, body: Self.emptyBody.data, tensors: [], worker: "", skipped: reason))
            actions.append(.report(.skipped(ticket: id, epoch: epoch, reason: reason)))
        } else {
            let failure = PoolFailure(ticket: id, epoch: epoch, workers: names, message: reason)
            entries[id]!.outcome = .failure(failure)
            actions.append(.report(.failed(failure)))
        }
        counts.waiting += 1
        withdraw(id)
    }
}

extension [TicketID] {
    /// Inserts into an ascending array, once.
    mutating func insertSorted(_ id: TicketID) {
        let place = firstIndex { $0 >= id } ?? endIndex
        guard place == endIndex || self[place] != id else { return }
        insert(id, at: place)
    }
}
