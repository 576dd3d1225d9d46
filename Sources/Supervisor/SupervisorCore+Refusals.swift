import Foundation
import StageKit
import Wire

extension SupervisorCore {
    /// Tells of a process that this run has not started, at most once a second: strangers must not fill the log.
    mutating func noteRefusal(of hello: Hello) {
        let nanoseconds = UInt64(max(0, now / .nanoseconds(1)))
        guard let unreported = refusals.report(at: Instant(nanoseconds: nanoseconds)) else { return }
        let who = "\(hello.replica), process \(hello.pid) on \(hello.host)".prefix(300)
            .map { $0.isNewline || $0 == "\u{1b}" ? " " : String($0) }.joined()
        let more = unreported > 0 ? " (and \(unreported) others since the last report)" : ""
        log(.warning, "refused \(who): it was not started by this run\(more)")
    }
}
