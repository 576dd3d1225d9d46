import DequeModule

/// Keeps count of who sends frames that break the protocol, and of whom to listen to no more.
struct FrameGuard: Sendable {
    enum Verdict: Equatable {
        case nothing
        case report(PoolEvent)
        case cutOff([PoolEvent])
    }

    let limit: Int
    let reports: Duration
    private(set) var badFrames = 0
    private(set) var cutOffPeers = 0
    private var strikes: [PeerID: Int] = [:]
    /// Keys of `strikes`, oldest first.
    private var known: Deque<PeerID> = []
    private var lastReport: Instant?
    private var unreported = 0

    /// A stranger may take a new routing id with every connection; what we remember of it is bounded.
    private static let memory = 4096

    var remembered: Int { strikes.count }

    init(limit: Int, reports: Duration) {
        self.limit = limit
        self.reports = reports
    }

    func isCutOff(_ peer: PeerID) -> Bool {
        cutOffPeers > 0 && (strikes[peer] ?? 0) >= limit
    }

    mutating func note(_ peer: PeerID, _ reason: String, now: Instant) -> Verdict {
        badFrames += 1
        if strikes[peer] == nil {
            known.append(peer)
            if known.count > Self.memory { strikes[known.removeFirst()] = nil }
        }
        strikes[peer, default: 0] += 1
        var event: PoolEvent?
        if lastReport.map({ now >= $0 + reports }) ?? true {
            event = .badFrame(peer: "\(peer)", reason: reason, unreported: unreported)
            lastReport = now
            unreported = 0
        } else {
            unreported += 1
        }
        if strikes[peer]! == limit {
            cutOffPeers += 1
            return .cutOff([event, .cutOff(peer: "\(peer)")].compactMap { $0 })
        }
        return event.map { .report($0) } ?? .nothing
    }
}
