import Foundation
import Synchronization
import Wire

/// Turns SIGINT, SIGTERM and SIGHUP into wakeups of the supervisor's loop, but leaves ignored what was ignored, as `nohup`
/// does with SIGHUP.
///
/// While it lives, a reader of our output that goes away, such as a `tee` that Ctrl-C has ended, costs the output and not the run.
///
/// One per process at a time: signals are the process's.
final class SignalWatch {
    /// Written by the handler, read by the loop; a word-sized atomic is safe in a handler.
    private static let count = Atomic<Int>(0)
    private static let terminations = Atomic<Int>(0)
    private static let descriptor = Atomic<Int32>(-1)
    private static let watched = [SIGINT, SIGTERM, SIGHUP]
    private var taken = 0
    private var old: [(Int32, sigaction)] = []
    private let wakeup: Wakeup

    init(wakeup: Wakeup) {
        self.wakeup = wakeup
        SignalWatch.count.store(0, ordering: .sequentiallyConsistent)
        SignalWatch.terminations.store(0, ordering: .sequentiallyConsistent)
        SignalWatch.descriptor.store(wakeup.descriptor, ordering: .sequentiallyConsistent)
        for number in SignalWatch.watched {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { number in
                // A terminal that is closed says so through its shell and once more by itself: no second Ctrl-C.
                guard number != SIGHUP || SignalWatch.count.load(ordering: .sequentiallyConsistent) == 0 else { return }
                let saved = errno
                if number == SIGTERM { SignalWatch.terminations.add(1, ordering: .sequentiallyConsistent) }
                SignalWatch.count.add(1, ordering: .sequentiallyConsistent)
                var one: UInt64 = 1
                _ = write(SignalWatch.descriptor.load(ordering: .sequentiallyConsistent), &one, 8)
                errno = saved
            }
            action.sa_flags = SA_RESTART
            var previous = sigaction()
            sigaction(number, &action, &previous)
            if number == SIGHUP, Self.ignores(previous) { sigaction(number, &previous, nil) }
            old.append((number, previous))
        }
        var ignored = sigaction()
        ignored.__sigaction_handler.sa_handler = SIG_IGN
        var previous = sigaction()
        sigaction(SIGPIPE, &ignored, &previous)
        old.append((SIGPIPE, previous))
    }

    private static func ignores(_ action: sigaction) -> Bool {
        unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
    }

    /// Whether a signal has come since the newest watch began, also after its end.
    static var hasHeard: Bool { count.load(ordering: .sequentiallyConsistent) > 0 }

    /// Whether one of them was SIGTERM.
    var hasTerminated: Bool { SignalWatch.terminations.load(ordering: .sequentiallyConsistent) > 0 }

    /// Signals since the last call.
    func take() -> Int {
        let all = SignalWatch.count.load(ordering: .sequentiallyConsistent)
        defer { taken = all }
        return all - taken
    }

    deinit {
        for (number, action) in old {
            var action = action
            sigaction(number, &action, nil)
        }
        SignalWatch.descriptor.store(-1, ordering: .sequentiallyConsistent)
    }
}
