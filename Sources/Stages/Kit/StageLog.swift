import Foundation
import Logging

/// Lines on standard error, which the supervisor sends to `logs/STAGE-N.log`:
/// `2025-03-01T12:00:00.123Z loader-1 info: reads 367 images dataset=camvid`.
public struct StageLogHandler: LogHandler {
    private let name: String
    public var logLevel: Logger.Level = .info
    public var metadata: Logger.Metadata = [:]

    public init(name: String) { self.name = name }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        let tail = all.keys.sorted().map { " \($0)=\(all[$0]!)" }.joined()
        let cause = event.error.map { ": \($0)" } ?? ""
        var text = "\(StageLogHandler.timestamp()) \(name) \(event.level.rawValue): \(event.message)\(cause)\(tail)\n"
        // One write per line, so that lines of several threads do not mix.
        text.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    /// UTC with milliseconds.
    public static func timestamp() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var parts = tm()
        var seconds = now.tv_sec
        gmtime_r(&seconds, &parts)
        func pad(_ value: Int, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        return "\(pad(Int(parts.tm_year) + 1900, 4))-\(pad(Int(parts.tm_mon) + 1, 2))-\(pad(Int(parts.tm_mday), 2))"
            + "T\(pad(Int(parts.tm_hour), 2)):\(pad(Int(parts.tm_min), 2)):\(pad(Int(parts.tm_sec), 2))"
            + ".\(pad(now.tv_nsec / 1_000_000, 3))Z"
    }
}

extension Logger {
    /// The log of one stage process; `PICOFLOW_LOG=debug` shows more.
    public static func stage(_ name: String) -> Logger {
        var logger = Logger(label: name) { StageLogHandler(name: $0) }
        if let level = ProcessInfo.processInfo.environment["PICOFLOW_LOG"].flatMap(Logger.Level.init(rawValue:)) {
            logger.logLevel = level
        }
        return logger
    }
}
