import Basics
import Configuration
import Foundation
import Logging
import Synchronization

/// What a stage does when its supervisor is gone for good: it ends, compute first and after a checkpoint.
///
/// Compute, of several ranks the first, holds a lock on `RUN/compute.lock` while it lives, so no two of them ever write
/// into one run. The other stages, which compute still needs for its last step and checkpoint, wait until that lock is free; on another
/// host, where nobody sees the lock, for the grace once more. Whoever has not ended `SupervisorSettings.afterGrace` later is ended.
///
/// `@unchecked Sendable`: the members are set before the control thread starts or guarded by the mutex.
final class StayAlive: @unchecked Sendable {
    private let kind: StageKind
    /// On another host: how long compute may need this stage after the grace.
    private let elsewhere: Duration?
    private let logger: Logger
    var stop: StopToken?
    private let lockPath = Mutex<String?>(nil)
    private var computeLock: FileLock?

    init(kind: StageKind, arguments: StageLink.Arguments, logger: Logger) {
        self.kind = kind
        elsewhere = arguments.key == nil ? nil : SupervisorSettings.service(after: arguments.grace)
        self.logger = logger
    }

    /// Takes compute's lock, where this is the process that writes into the run.
    ///
    /// - Throws: `UserError` where another compute process still writes to the run.
    func configured(_ configuration: StageConfiguration, as replica: Replica) throws {
        let path = configuration.runDirectory + "/compute.lock"
        lockPath.withLock { $0 = path }
        guard kind == .compute, replica.id == 1 else { return }
        // With patience: a stage of an earlier start may be looking at the lock this very moment.
        computeLock = try FileLock(
            path: path, use: "another compute process still writes to \(configuration.runDirectory)")
    }

    /// Called once, on the control thread.
    func supervisorLost() {
        let thread = Thread { [self] in
            let deadline = ContinuousClock.now + SupervisorSettings.afterGrace
            if let elsewhere {
                Thread.sleep(forTimeInterval: elsewhere / .seconds(1))
            } else if kind != .compute, let path = lockPath.withLock({ $0 }) {
                while ContinuousClock.now < deadline, !StayAlive.isFree(path) { usleep(200_000) }
            }
            stop?.request(.supervisorLost)
            // Workers need only finish what they have in hand.
            let last = kind == .compute ? deadline : ContinuousClock.now + .seconds(5)
            while ContinuousClock.now < last { usleep(200_000) }
            logger.critical("did not end after its supervisor was lost; giving up")
            StageMain.end(StageMain.supervisorLost)
        }
        thread.start()
    }

    /// Whether nobody holds the lock; a missing file is free, and one that cannot be locked is nobody's.
    private static func isFree(_ path: String) -> Bool {
        let descriptor = open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { return true }
        defer { close(descriptor) }
        return flock(descriptor, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK
    }
}
