/// What a received message is checked for, in this order; a bad frame is counted under the check that it failed.
public enum FrameCheck: String, CaseIterable, Sendable {
    /// Number of frames.
    case frames
    /// Bytes of header and body.
    case sizes
    /// JSON with the keys of a header.
    case header
    case version
    case run
    /// Number, sizes and shapes against the frames.
    case tensors
    /// One that this side receives.
    case type
    case body
    /// The name and start that the connection belongs to.
    case sender
    /// One that has begun.
    case epoch
    /// One that was issued, and given to this peer.
    case ticket
}

/// How many bad frames failed at which check, and what else was not listened to.
public struct FrameCounts: Sendable, Equatable, Codable {
    /// In the order of `FrameCheck.allCases`.
    private var failed = [Int](repeating: 0, count: FrameCheck.allCases.count)
    /// Messages that were read, good and bad.
    public internal(set) var heard = 0
    /// Peers that are heard no more.
    public internal(set) var cutOffPeers = 0
    /// Messages of such peers, thrown away unread.
    public internal(set) var unheard = 0

    public init() {}

    public internal(set) subscript(check: FrameCheck) -> Int {
        get { failed[FrameCheck.allCases.firstIndex(of: check)!] }
        set { failed[FrameCheck.allCases.firstIndex(of: check)!] = newValue }
    }

    public var badFrames: Int { failed.reduce(0, +) }

    /// As a stage's metrics, `bad.header` and so on behind a prefix; only what is not zero.
    public func metrics(_ prefix: String) -> [String: Double] {
        var metrics: [String: Double] = [:]
        for check in FrameCheck.allCases where self[check] > 0 {
            metrics["\(prefix).bad.\(check.rawValue)"] = Double(self[check])
        }
        if heard > 0 { metrics["\(prefix).heard"] = Double(heard) }
        if cutOffPeers > 0 { metrics["\(prefix).cutOffPeers"] = Double(cutOffPeers) }
        if unheard > 0 { metrics["\(prefix).unheard"] = Double(unheard) }
        return metrics
    }
}
