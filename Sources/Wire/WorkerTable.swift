/// A consumer's workers by connection, and the line of those that may get a ticket.
///
/// Workers are changed through the subscript only, which then looks at the worker and moves it to where it belongs in
/// the line: nobody who changes a worker has to think of it.
struct WorkerTable: Sendable {
    typealias Worker = PoolConsumerCore.Worker

    private var places: [PeerID: Int] = [:]
    private var workers: [Worker?] = []
    /// Places without a worker.
    private var free: [Int] = []
    private var queue = WorkerQueue()

    /// The open worker with free credit that holds fewest tickets.
    var leastLoaded: PeerID? { queue.first.flatMap { workers[$0]?.peer } }

    subscript(peer: PeerID) -> Worker? {
        _read {
            if let place = places[peer] { yield workers[place] } else { yield nil }
        }
        _modify {
            let place = places[peer] ?? takePlace(for: peer)
            defer { settle(place, peer) }
            yield &workers[place]
        }
    }

    mutating func removeValue(forKey peer: PeerID) -> Worker? {
        guard let place = places[peer], let worker = workers[place] else { return nil }
        self[peer] = nil
        return worker
    }

    private mutating func takePlace(for peer: PeerID) -> Int {
        let place = free.popLast() ?? workers.count
        if place == workers.count { workers.append(nil) }
        places[peer] = place
        return place
    }

    private mutating func settle(_ place: Int, _ peer: PeerID) {
        // Looked at in place: this runs with every message, and a copy of a worker counts references.
        guard workers[place] != nil else {
            places[peer] = nil
            free.append(place)
            return queue.set(place, load: nil)
        }
        let held = workers[place]!.held.count
        queue.set(place, load: workers[place]!.isOpen && held < workers[place]!.credit ? held : nil)
    }
}
