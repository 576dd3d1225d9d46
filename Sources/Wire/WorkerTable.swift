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
    /// Those that may get a ticket, by generation; most pools have one. What is empty stays.
    private var queues: [(generation: Generation, queue: WorkerQueue)] = []
    /// In which of `queues` each place stands.
    private var lines: [Int?] = []

    /// The open worker of a generation, with free credit, that holds fewest tickets.
    func leastLoaded(of generation: Generation) -> PeerID? {
        guard let line = queues.firstIndex(where: { $0.generation == generation }) else { return nil }
        return queues[line].queue.first.flatMap { workers[$0]?.peer }
    }

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
        if place == workers.count {
            workers.append(nil)
            lines.append(nil)
        }
        places[peer] = place
        return place
    }

    private mutating func settle(_ place: Int, _ peer: PeerID) {
        // Looked at in place: this runs with every message, and a copy of a worker counts references.
        guard let generation = workers[place]?.generation else {
            places[peer] = nil
            free.append(place)
            return enter(place, nil, load: nil)
        }
        let held = workers[place]!.held.count
        enter(place, generation, load: workers[place]!.isOpen && held < workers[place]!.credit ? held : nil)
    }

    private mutating func enter(_ place: Int, _ generation: Generation?, load: Int?) {
        if let line = lines[place], queues[line].generation != generation {
            queues[line].queue.set(place, load: nil)
            lines[place] = nil
        }
        guard let generation else { return }
        let line: Int
        if let known = lines[place] ?? queues.firstIndex(where: { $0.generation == generation }) {
            line = known
        } else {
            line = queues.count
            queues.append((generation, WorkerQueue()))
        }
        lines[place] = line
        queues[line].queue.set(place, load: load)
    }
}
