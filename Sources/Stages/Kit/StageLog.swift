import Basics
import Foundation
import Logging
import Synchronization

/// Lines on standard error, which the supervisor sends to `logs/STAGE-N.log`:
/// `2025-03-01T12:00:00.123Z info loader-1@gpu2 step 120: reads 367 images dataset=camvid`.
public struct StageLogHandler: LogHandler {
    private let origin: LogOrigin
    public var logLevel: Logger.Level = .info
    public var metadata: Logger.Metadata = [:]

    public init(_ origin: LogOrigin) { self.origin = origin }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        let tail = all.keys.sorted().map { " \($0)=\(all[$0]!)" }.joined()
        let cause = event.error.map { ": \($0)" } ?? ""
        writeToStandardError(origin.line(event.level.rawValue, "\(event.message)\(cause)\(tail)"))
    }
}

/// Who writes a log, and the step that it is at: what every line begins with.
public final class LogOrigin: Sendable {
    /// `loader-1`
    private let name: String
    private let host: String
    private let newest = Atomic<UInt64>(0)

    public init(_ name: String, host: String = ProcessInfo.processInfo.hostName) {
        self.name = name
        self.host = host
    }

    /// Training's step that the work is for; 0, which no line mentions, before the first and where there is none.
    public var step: UInt64 {
        get { newest.load(ordering: .relaxed) }
        set { newest.store(newValue, ordering: .relaxed) }
    }

    /// A line with its end: time, level, who, step, text.
    public func line(_ level: String, _ text: String, at time: String = LogOrigin.timestamp()) -> String {
        let step = step
        return "\(time) \(level) \(name)@\(host)\(step > 0 ? " step \(step)" : ""): \(text)\n"
    }

    /// UTC with milliseconds.
    public static func timestamp() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var parts = tm()
        var seconds = now.tv_sec
        gmtime_r(&seconds, &parts)
        return "\((parts.tm_year + 1900).digits(4))-\((parts.tm_mon + 1).digits(2))-\(parts.tm_mday.digits(2))"
            + "T\(parts.tm_hour.digits(2)):\(parts.tm_min.digits(2)):\(parts.tm_sec.digits(2))"
            + ".\((now.tv_nsec / 1_000_000).digits(3))Z"
    }
}

extension Logger {
    /// The log of one stage process.
    public static func stage(_ origin: LogOrigin, level: LogLevel) -> Logger {
        var logger = Logger(label: "") { _ in StageLogHandler(origin) }
        logger.logLevel = level.level
        return logger
    }
}
