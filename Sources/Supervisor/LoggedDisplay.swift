import Foundation
import StageKit

/// Shows what another display shows, and keeps what is logged in `logs/supervisor.log` of the run, beside the stages' logs
/// and in their form.
public final class LoggedDisplay: ProgressDisplay {
    private let display: any ProgressDisplay
    private let level: LogLevel
    private let origin = LogOrigin("supervisor")
    private let descriptor: Int32

    /// - Parameters:
    ///   - path: appended to. What cannot be written there is shown all the same.
    ///   - level: what is below it is shown, but not kept.
    public init(_ display: any ProgressDisplay, log path: String, level: LogLevel = .info) {
        self.display = display
        self.level = level
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    public func show(_ report: StatusReport, evaluated: (done: Int, total: Int)?, now: Duration) {
        origin.step = report.step
        display.show(report, evaluated: evaluated, now: now)
    }

    public func log(_ level: LogLevel, _ text: String) {
        if level >= self.level, descriptor >= 0 {
            var line = origin.line(level.rawValue, text)
            line.withUTF8 { _ = write(descriptor, $0.baseAddress, $0.count) }
        }
        display.log(level, text)
    }

    public func end(_ report: StatusReport) { display.end(report) }
}
