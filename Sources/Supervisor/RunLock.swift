import Basics
import Foundation

/// The right to supervise a run: an exclusive lock on `RUN/supervisor.lock` that the kernel drops when its holder dies.
public final class RunLock {
    private let lock: FileLock

    /// - Throws: `UserError` that names the holder where the run is in use.
    init(directory: String) throws {
        // `picoflow status` may be looking at the lock this very moment.
        lock = try FileLock(
            path: RunLock.path(directory), use: RunLock.use(of: directory), patience: .milliseconds(150))
        try lock.write("process \(getpid()) on \(ProcessInfo.processInfo.hostName)")
    }

    private static func use(of directory: String) -> String {
        let holder = RunLock.holder(of: directory).map { " by \($0)" } ?? ""
        return "run directory \(directory) is in use\(holder); "
            + "stop that run with 'picoflow stop --run \(shellWord(directory))' or choose another one"
    }

    /// Whether somebody supervises the run now.
    static func isHeld(_ directory: String) -> Bool {
        let descriptor = open(path(directory), O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_SH | LOCK_NB) != 0 else { return false }
        return errno == EWOULDBLOCK
    }

    private static func holder(of directory: String) -> String? {
        FileManager.default.contents(atPath: path(directory)).map { String(decoding: $0, as: UTF8.self) }
            .flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func path(_ directory: String) -> String { directory + "/supervisor.lock" }
}
