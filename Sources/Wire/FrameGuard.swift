import DequeModule

/// Keeps count of who sends frames that break the protocol, and of whom to listen to no more.
public struct FrameGuard: Sendable {
    public enum Verdict: Equatable, Sendable {
        case nothing
        case report(PoolEvent)
        case cutOff([PoolEvent])
    }

    let limit: Int
    public private(set) var counts = FrameCounts()
    private var strikes: [PeerID: Int] = [:]
    /// Keys of `strikes`, oldest first.
    private var known: Deque<PeerID> = []
    private var badFrames: ReportLimit
    private var cutOffs: ReportLimit

    /// A stranger may take a new routing id with every connection; what we remember of it is bounded.
    private static let memory = 4096

    var remembered: Int { strikes.count }

    /// - Parameters:
    ///   - limit: the bad frame that cuts its sender off.
    ///   - reports: at most one bad frame and one cut-off peer are reported in this time, the others counted.
    public init(limit: Int, reports: Duration) {
        self.limit = limit
        badFrames = ReportLimit(interval: reports)
        cutOffs = ReportLimit(interval: reports)
    }

    public func isCutOff(_ peer: PeerID) -> Bool {
        counts.cutOffPeers > 0 && (strikes[peer] ?? 0) >= limit
    }

    /// Whether a message of this peer is to be read; counts it where not.
    public mutating func admits(_ peer: PeerID) -> Bool {
        guard isCutOff(peer) else {
            counts.heard += 1
            return true
        }
        counts.unheard += 1
        return false
    }

    /// Counts a bad frame.
    ///
    /// - Parameters:
    ///   - reason: what is wrong, whatever its length and characters: the peer may have chosen them.
    ///   - check: where it failed.
    public mutating func note(_ peer: PeerID, _ reason: String, at check: FrameCheck, now: Instant) -> Verdict {
        counts[check] += 1
        if strikes[peer] == nil {
            known.append(peer)
            if known.count > Self.memory { strikes[known.removeFirst()] = nil }
        }
        strikes[peer, default: 0] += 1
        let event = badFrames.report(at: now).map { unreported in
            PoolEvent.badFrame(peer: "\(peer)".oneLine, reason: reason.oneLine, unreported: unreported)
        }
        guard strikes[peer]! == limit else { return event.map { .report($0) } ?? .nothing }
        counts.cutOffPeers += 1
        let cutOff = cutOffs.report(at: now).map { PoolEvent.cutOff(peer: "\(peer)".oneLine, unreported: $0) }
        return .cutOff([event, cutOff].compactMap { $0 })
    }
}

/// Lets one report through in an interval and counts the others: what peers do as often as they like must not fill a
/// log.
public struct ReportLimit: Sendable {
    private let interval: Duration
    private var last: Instant?
    private var unreported = 0

    public init(interval: Duration) { self.interval = interval }

    /// - Returns: how many went unreported since the last report; nil where this one does too.
    public mutating func report(at now: Instant) -> Int? {
        if let last, now < last + interval {
            unreported += 1
            return nil
        }
        defer { unreported = 0 }
        last = now
        return unreported
    }
}
