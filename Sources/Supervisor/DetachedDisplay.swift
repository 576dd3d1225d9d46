import Foundation
import StageKit
import Synchronization

/// Shows on a thread of its own what another display shows.
///
/// A terminal that stands still, by Ctrl-S or by a connection that stalls, takes no more after some lines, and who writes
/// there sleeps: the run's supervisor must not, as its stages end when they hear nothing of it.
public final class DetachedDisplay: ProgressDisplay {
    private let display: any ProgressDisplay
    private let queue = DispatchQueue(label: "picoflow display")
    /// Calls handed over and not yet carried out.
    private let owed = Atomic<Int>(0)

    /// What a terminal that stands still may be owed; a run's log file has all.
    private static let most = 1000

    public init(_ display: any ProgressDisplay) { self.display = display }

    public func show(_ report: StatusReport, evaluated: (done: Int, total: Int)?, now: Duration) {
        // The next one is newer.
        guard owed.load(ordering: .relaxed) == 0 else { return }
        hand(waiting: false) { $0.show(report, evaluated: evaluated, now: now) }
    }

    public func log(_ level: LogLevel, _ text: String) {
        // A line is out before what others may write behind it, but where lines are owed already.
        hand(waiting: owed.load(ordering: .relaxed) <= 1) { $0.log(level, text) }
    }

    public func end(_ report: StatusReport) { hand(waiting: true) { $0.end(report) } }

    /// - Parameter waits: whether the caller waits until it is carried out, half a second at most.
    private func hand(waiting waits: Bool, _ call: @escaping @Sendable (any ProgressDisplay) -> Void) {
        guard owed.load(ordering: .relaxed) < Self.most else { return }
        owed.add(1, ordering: .relaxed)
        let isDone = DispatchSemaphore(value: 0)
        queue.async { [self] in
            call(display)
            owed.subtract(1, ordering: .relaxed)
            isDone.signal()
        }
        if waits { _ = isDone.wait(timeout: .now() + .milliseconds(500)) }
    }
}
