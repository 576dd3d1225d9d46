import Foundation
import StageKit

/// Shows what another display shows, and keeps what is logged in `logs/supervisor.log` of the run, beside the stages' logs
/// and in their form.
public final class LoggedDisplay: ProgressDisplay {
    private let display: any ProgressDisplay
    private let descriptor: Int32

    /// - Parameter path: appended to. What cannot be written there is shown all the same.
    public init(_ display: any ProgressDisplay, log path: String) {
        self.display = display
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    public func show(_ report: StatusReport, evaluated: (done: Int, total: Int)?, now: Duration) {
        display.show(report, evaluated: evaluated, now: now)
    }

    public func log(_ level: SupervisorAction.LogLevel, _ text: String) {
        var line = "\(StageLogHandler.timestamp()) supervisor \(level.rawValue): \(text)\n"
        if descriptor >= 0 { line.withUTF8 { _ = write(descriptor, $0.baseAddress, $0.count) } }
        display.log(level, text)
    }

    public func end(_ report: StatusReport) { display.end(report) }
}
