/// Times and bounds of a log's ends.
public struct LogSettings: Sendable {
    /// How long an end waits for an awaited answer before it asks whether the bank still has the question, and how
    /// often it asks again. A lost connection is noticed within about this time; the question is a few bytes.
    public var heartbeat = Duration.seconds(1)
    /// Records that a follower holds beyond what it was asked to apply. One would do, the others hide the way.
    public var prefetch = 4
    /// Records that a writer holds unacknowledged before `append` refuses more; a bank this far behind is not working.
    public var maxUnacknowledged = 256
    /// A peer that sent this many bad frames is heard no more.
    public var badFrameLimit = 16
    /// Bad frames are told of at most this often, with a count of the others; a flood must not fill the disk.
    public var badFrameReports = Duration.seconds(1)
    /// Sizes beyond which a message is refused.
    public var limits = MessageLimits()
    /// Sequences back from the newest at which a follower can always start; mining's `lag` may reach further back, but not
    /// beyond the newest checkpoint, which is always kept.
    public var servable: UInt64 = 8
    /// Followers and writers that a bank keeps in mind; the one silent for longest is forgotten beyond.
    public var maxPeers = 1024

    public init() {}
}
