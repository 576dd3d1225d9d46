import Basics
import Foundation
import Logging

/// How much logs say: `--log-level` and `PICOFLOW_LOG`, for all processes that are started on a machine.
///
/// The environment carries it, so that stages in other languages get it too.
public enum LogLevel: String, Sendable, CaseIterable, Comparable {
    /// Also what is of use to those who work on PicoFlow.
    case trace
    /// Also each ticket and each step.
    case debug
    /// What happens now and then: who joined, what was loaded. Where nothing else is said.
    case info
    /// What somebody should look at.
    case warning
    /// What went wrong.
    case error

    /// The environment's variable.
    public static let variable = "PICOFLOW_LOG"

    /// - Returns: what the variable says; `.info` where it is not set, or empty.
    /// - Throws: `UserError` for a value that is none.
    public static func from(_ environment: [String: String]) throws -> LogLevel {
        guard let text = environment[variable], !text.isEmpty else { return .info }
        guard let level = LogLevel(rawValue: text) else {
            let names = allCases.map(\.rawValue)
            throw UserError(
                "\(variable)=\(text): must be one of \(names.joined(separator: ", "))\(suggestion(for: text, among: names))"
            )
        }
        return level
    }

    public static func < (a: LogLevel, b: LogLevel) -> Bool { a.place < b.place }

    private var place: Int { Self.allCases.firstIndex(of: self)! }

    /// The same of swift-log, which has two more.
    var level: Logger.Level { Logger.Level(rawValue: rawValue) ?? .info }
}
