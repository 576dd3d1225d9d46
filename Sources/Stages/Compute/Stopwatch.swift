/// Where a step's time goes: wall time by phase, in milliseconds. A machine that sleeps does not train.
struct Stopwatch {
    private let clock = SuspendingClock()
    private let begin: SuspendingClock.Instant
    private var last: SuspendingClock.Instant
    private(set) var phases: [String: Double] = [:]

    init() {
        begin = clock.now
        last = begin
    }

    /// Ends the phase that ran since the last call, or since the start.
    mutating func lap(_ phase: String) {
        let now = clock.now
        phases[phase, default: 0] += Self.milliseconds(now - last)
        last = now
    }

    var total: Double { Self.milliseconds(clock.now - begin) }

    private static func milliseconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) * 1e3 + Double(duration.components.attoseconds) / 1e15
    }
}
