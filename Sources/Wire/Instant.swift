#if canImport(Glibc)
    import Glibc
#endif

/// A moment on the machine's monotonic clock. Protocol cores get it as an argument and never read a clock themselves.
public struct Instant: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Nanoseconds since an arbitrary start, the same for all threads of a process.
    public var nanoseconds: UInt64

    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// The system's monotonic clock: never set back, and it stands still while the machine sleeps.
    public static func now() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    public static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }

    /// - Precondition: `duration` is not negative.
    public static func + (instant: Instant, duration: Duration) -> Instant {
        let (sum, isBeyond) = instant.nanoseconds.addingReportingOverflow(duration.wholeNanoseconds)
        return Instant(nanoseconds: isBeyond ? .max : sum)
    }

    public static func += (instant: inout Instant, duration: Duration) { instant = instant + duration }

    /// How long after `earlier` this is; zero where it is before.
    public func since(_ earlier: Instant) -> Duration {
        .nanoseconds(nanoseconds > earlier.nanoseconds ? Int64(nanoseconds - earlier.nanoseconds) : 0)
    }

    /// Whole milliseconds from `now` until this, rounded up so that a wait for it does not end too early; 0 once past.
    public func millisecondsLeft(at now: Instant) -> Int {
        guard self > now else { return 0 }
        return Int(min((nanoseconds - now.nanoseconds + 999_999) / 1_000_000, 1 << 30))
    }

    public var description: String { "\(Double(nanoseconds) / 1e9) s" }
}

extension Duration {
    /// Zero where negative. Centuries, as somebody may write for "never", are cut to one that no sum overflows with.
    var wholeNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        return UInt64(min(seconds, 3_155_760_000)) * 1_000_000_000 + UInt64(attoseconds) / 1_000_000_000
    }

    var inMilliseconds: Int { Int(wholeNanoseconds / 1_000_000) }
}
