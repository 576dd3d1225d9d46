import Foundation
import Synchronization
import Wire

/// When SIGTERM ends a stage at work.
///
/// The end of a machine, of a service or of a batch job sends it to every process of a run at once. The supervisor then
/// says that the run ends, and compute needs the other stages for its last step and its checkpoint, so a signal that
/// comes with such a word is the supervisor's to follow. Without one it ends the process a little later, and after
/// one, where somebody has lost patience, at once. Who has no configuration yet has nothing to lose: it ends at once, too.
struct Termination {
    /// How long after the signal the supervisor's word may come: one that is just writing a file is not late.
    static let patience = Duration.seconds(5)
    /// How long after the word a signal is still part of the same end: who signals all goes through them one by one.
    static let together = Duration.seconds(1)
    /// How long a word may lie unread: a process that stood still itself finds its patience gone before it has read
    /// what came meanwhile.
    static let unread = Duration.milliseconds(250)

    /// Counted by the handler, read by the control thread; a word-sized atomic is safe in a handler.
    private static let count = Atomic<Int>(0)
    private static let descriptor = Atomic<Int32>(-1)

    private var taken = 0
    private var heard: Duration?
    private var told: Duration?
    /// When the patience was first found gone.
    private var expired: Duration?

    /// When `isDue` has something to say next.
    var deadline: Duration? { expired.map { $0 + Self.unread } ?? heard.map { $0 + Self.patience } }

    /// Signals that have come since `putOff`.
    static var signals: Int { count.load(ordering: .sequentiallyConsistent) }

    /// From now on the signal is counted, and wakes the control thread.
    static func putOff(waking wakeup: Wakeup) {
        descriptor.store(wakeup.descriptor, ordering: .sequentiallyConsistent)
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in
            let saved = errno
            Termination.count.add(1, ordering: .sequentiallyConsistent)
            var one: UInt64 = 1
            _ = write(Termination.descriptor.load(ordering: .sequentiallyConsistent), &one, 8)
            errno = saved
        }
        action.sa_flags = SA_RESTART
        sigaction(SIGTERM, &action, nil)
    }

    /// From now on it ends the process at once.
    static func putOffNoMore() { signal(SIGTERM, SIG_DFL) }

    /// Whether the process should now end.
    ///
    /// - Parameters:
    ///   - signals: how many have come in all.
    ///   - isEnding: whether the supervisor has said that the stage or the whole run is to end.
    mutating func isDue(signals: Int, isEnding: Bool, now: Duration) -> Bool {
        if isEnding, told == nil { told = now }
        if signals > taken {
            taken = signals
            heard = heard ?? now
        }
        guard let heard else { return false }
        guard let told else {
            if expired == nil, now - heard >= Self.patience { expired = now }
            return expired.map { now - $0 >= Self.unread } ?? false
        }
        self.heard = nil
        expired = nil
        return heard - told >= Self.together
    }
}
