/// Time that passes only when a test says so; for state machines that take `now`.
public struct ManualClock: Sendable {
    public private(set) var now: Duration

    public init(now: Duration = .zero) { self.now = now }

    /// - Returns: the new time.
    @discardableResult
    public mutating func advance(_ duration: Duration) -> Duration {
        now += duration
        return now
    }
}
