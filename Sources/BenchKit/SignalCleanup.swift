import Foundation
import Synchronization

/// What is put in order when SIGINT, SIGTERM or SIGHUP ends this process. Foundation starts every child in a process group
/// of its own, so a terminal's Ctrl-C reaches this process alone: measurements and runs would go on without it.
enum SignalCleanup {
    private struct Duties {
        var next = 0
        var all: [(id: Int, work: @Sendable () -> Void)] = []
        var isUnderWay = false
    }

    private static let duties = Mutex(Duties())
    /// Written by the handler; a word-sized atomic is safe there.
    private static let pipeEnd = Atomic<Int32>(-1)

    /// - Parameter work: done when a signal ends the process, newest first, on another thread.
    /// - Returns: what `remove` takes when there is nothing left to do.
    static func add(_ work: @escaping @Sendable () -> Void) -> Int {
        _ = watch
        let id: Int? = duties.withLock {
            guard !$0.isUnderWay else { return nil }
            $0.next += 1
            $0.all.append(($0.next, work))
            return $0.next
        }
        guard let id else {
            // What was begun meanwhile ends too.
            work()
            while true { pause() }
        }
        return id
    }

    static func remove(_ id: Int) {
        duties.withLock { $0.all.removeAll { $0.id == id } }
    }

    /// Called where a child has failed: if that was of a signal to this process, there is no failure to speak of, and this
    /// does not return.
    static func endIfSignalled() {
        // Who ends a whole group tells the child first or us.
        Thread.sleep(forTimeInterval: 0.1)
        guard duties.withLock({ $0.isUnderWay }) else { return }
        while true { pause() }
    }

    /// A handler and not a blocked or ignored signal, which children would inherit.
    private static let watch: Void = {
        let ends = Pipe()
        pipeEnd.store(ends.fileHandleForWriting.fileDescriptor, ordering: .sequentiallyConsistent)
        for number in [SIGINT, SIGTERM, SIGHUP] {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { number in
                let saved = errno
                var byte = UInt8(number)
                _ = write(SignalCleanup.pipeEnd.load(ordering: .sequentiallyConsistent), &byte, 1)
                errno = saved
            }
            action.sa_flags = SA_RESTART
            var previous = sigaction()
            sigaction(number, &action, &previous)
            // As `nohup` does with SIGHUP.
            let handler = unsafeBitCast(previous.__sigaction_handler.sa_handler, to: Int.self)
            if handler == unsafeBitCast(SIG_IGN, to: Int.self) { sigaction(number, &previous, nil) }
        }
        let thread = Thread {
            guard let number = (try? ends.fileHandleForReading.read(upToCount: 1))?.first else { return }
            let work = duties.withLock {
                $0.isUnderWay = true
                return $0.all
            }
            for duty in work.reversed() { duty.work() }
            signal(Int32(number), SIG_DFL)
            raise(Int32(number))
        }
        thread.start()
    }()
}
