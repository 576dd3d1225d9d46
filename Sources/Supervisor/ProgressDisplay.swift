import Basics
import Foundation
import Glibc
import StageKit
import Synchronization

/// What a person sees of a run while it goes on.
public protocol ProgressDisplay: Sendable {
    /// Called a few times a second at most; decides itself what is new enough to show.
    func show(_ report: StatusReport, evaluated: (done: Int, total: Int)?, now: Duration)
    /// One line that stays.
    func log(_ level: LogLevel, _ text: String)
    func end(_ report: StatusReport)
}

/// Warnings and errors only.
public struct QuietDisplay: ProgressDisplay {
    public init() {}
    public func show(_ report: StatusReport, evaluated: (done: Int, total: Int)?, now: Duration) {}
    public func log(_ level: LogLevel, _ text: String) {
        if level > .info { writeToStandardError("picoflow: \(text)\n") }
    }
    public func end(_ report: StatusReport) {}
}

/// One line per interval, for logs and pipes.
public final class LineDisplay: ProgressDisplay {
    private let interval: Duration
    private let last = Mutex<(shown: Duration, step: UInt64)?>(nil)

    /// - Parameter interval: ten seconds make 360 lines an hour, which a log file bears.
    public init(interval: Duration = .seconds(10)) { self.interval = interval }

    public func show(_ report: StatusReport, evaluated: (done: Int, total: Int)?, now: Duration) {
        let isDue = last.withLock { last in
            if let last, now - last.shown < interval { return false }
            last = (now, report.step)
            return true
        }
        if isDue { writeToStandardError(ProgressText.line(report, evaluated: evaluated) + "\n") }
    }

    public func log(_ level: LogLevel, _ text: String) {
        writeToStandardError(level <= .info ? text + "\n" : "\(level.rawValue): \(text)\n")
    }

    public func end(_ report: StatusReport) {
        if report.metrics != nil { writeToStandardError(ProgressText.line(report, evaluated: nil) + "\n") }
    }
}

/// A block of lines at the bottom of a terminal, updated in place; what is logged scrolls above it.
public final class TerminalDisplay: ProgressDisplay {
    private struct State {
        var drawn = 0
        var lines: [String] = []
        var lastDrawn: Duration?
    }

    private let state = Mutex(State())

    public init() {}

    public func show(_ report: StatusReport, evaluated: (done: Int, total: Int)?, now: Duration) {
        state.withLock { state in
            // Four times a second is as fast as anybody reads.
            if let last = state.lastDrawn, now - last < .milliseconds(250) { return }
            state.lastDrawn = now
            let (width, height) = Terminal.size(of: STDERR_FILENO)
            // A line that wraps, or one above the terminal's first, could not be erased.
            let lines = ProgressText.block(report, evaluated: evaluated).prefix(max(1, height - 1)).map {
                String($0.prefix(max(1, width - 1)))
            }
            guard lines != state.lines else { return }
            state.lines = lines
            writeToStandardError(TerminalDisplay.erase(state.drawn) + lines.joined(separator: "\n") + "\n")
            state.drawn = lines.count
        }
    }

    public func log(_ level: LogLevel, _ text: String) {
        state.withLock { state in
            let line = level <= .info ? text : "\(level.rawValue): \(text)"
            let block = state.drawn > 0 ? state.lines.joined(separator: "\n") + "\n" : ""
            writeToStandardError(TerminalDisplay.erase(state.drawn) + line + "\n" + block)
        }
    }

    public func end(_ report: StatusReport) { state.withLock { $0.drawn = 0 } }

    /// Cursor to the block's first line, and everything below it cleared.
    private static func erase(_ lines: Int) -> String { lines > 0 ? "\u{1b}[\(lines)F\u{1b}[J" : "" }
}
