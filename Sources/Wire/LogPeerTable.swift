/// Whom a bank knows, by routing id: what each asked for last and still waits for.
///
/// Routing ids are anybody's to invent, so the table is bounded; and a flood of them must not cost the bank more than a
/// look-up each, or what it has not read yet piles up in its memory.
struct LogPeerTable {
    struct Peer {
        enum Parked: Equatable {
            case follow(LogFollow, epoch: Epoch)
            case records(request: UInt64, next: SequenceNumber, remaining: Int)
        }
        var id: LogPeer
        var incarnation: Incarnation?
        var lastHeard: Duration
        var request: UInt64 = 0
        var parked: Parked?
        var offered: LogSnapshotFile.Info?
    }

    private var peers: [Peer] = []
    private var places: [LogPeer: Int] = [:]

    var count: Int { peers.count }
    var indices: Range<Int> { peers.indices }

    subscript(place: Int) -> Peer {
        _read { yield peers[place] }
        _modify { yield &peers[place] }
    }

    func place(of id: LogPeer) -> Int? { places[id] }

    /// The place of a peer that was just heard; a new one where it was not known.
    ///
    /// - Parameters:
    ///   - limit: a full table gives up whom it heard longest ago, rather one that waits for nothing, reads nothing and is
    ///     none of `writers`.
    /// - Returns: its place, and who was given up for it.
    mutating func touch(_ id: LogPeer, now: Duration, limit: Int, writers: [Incarnation?]) -> (Int, gaveUp: LogPeer?) {
        if let place = places[id] {
            peers[place].lastHeard = now
            return (place, nil)
        }
        let new = Peer(id: id, lastHeard: now)
        guard peers.count >= limit else {
            places[id] = peers.count
            peers.append(new)
            return (peers.count - 1, nil)
        }
        var oldest = 0
        var oldestIsBusy = true
        for place in peers.indices {
            let isBusy =
                peers[place].parked != nil || peers[place].offered != nil
                || peers[place].incarnation.map { writers.contains($0) } ?? false
            guard oldestIsBusy == isBusy ? peers[place].lastHeard < peers[oldest].lastHeard : oldestIsBusy else {
                continue
            }
            oldest = place
            oldestIsBusy = isBusy
        }
        let gaveUp = peers[oldest].id
        places[gaveUp] = nil
        places[id] = oldest
        peers[oldest] = new
        return (oldest, gaveUp)
    }
}
