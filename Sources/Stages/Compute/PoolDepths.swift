import StageKit
import Synchronization
import Wire

/// How full compute's pools were when somebody last looked, which heartbeats do: a step waits for no answer of a pool's
/// thread.
final class PoolDepths: Sendable {
    private let newest = Mutex<[LinkName: PoolStatistics]>([:])

    func note(_ link: LinkName, _ statistics: PoolStatistics) { newest.withLock { $0[link] = statistics } }

    /// For the event files; nothing before the first look.
    var scalars: [(tag: String, value: Double)] {
        newest.withLock { newest in
            [LinkName.samples, .mining].flatMap { link -> [(tag: String, value: Double)] in
                guard let pool = newest[link] else { return [] }
                return [
                    ("pool of \(link.rawValue)/workers", Double(pool.workers.count)),
                    ("pool of \(link.rawValue)/tickets under way", Double(pool.queued + pool.inFlight)),
                    ("pool of \(link.rawValue)/results held for their turn", Double(pool.waiting)),
                    ("pool of \(link.rawValue)/tickets issued again", Double(pool.reissued)),
                ]
            }
        }
    }
}
