import Basics
import Foundation

/// The right to supervise a run: an exclusive lock on `RUN/supervisor.lock` that the kernel drops when its holder dies.
public final class RunLock {
    private let descriptor: Int32

    /// - Throws: `UserError` that names the holder where the run is in use.
    init(directory: String) throws {
        let path = RunLock.path(directory)
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw DurableFile.systemError("cannot open", path) }
        // `picoflow status` may be looking at the lock this very moment.
        var isMine = flock(descriptor, LOCK_EX | LOCK_NB) == 0
        for _ in 0..<3 where !isMine {
            usleep(50_000)
            isMine = flock(descriptor, LOCK_EX | LOCK_NB) == 0
        }
        guard isMine else {
            let reason = errno
            close(descriptor)
            // Network file systems may know no locks.
            guard reason == EWOULDBLOCK else {
                errno = reason
                throw DurableFile.systemError("cannot lock", path)
            }
            let holder = RunLock.holder(of: directory).map { " by \($0)" } ?? ""
            throw UserError(
                "run directory \(directory) is in use\(holder); stop that run with 'picoflow stop --run \(shellWord(directory))' or choose another one"
            )
        }
        ftruncate(descriptor, 0)
        let text = "process \(getpid()) on \(ProcessInfo.processInfo.hostName)"
        try Data(text.utf8).withUnsafeBytes { try DurableFile.writeAll($0, to: descriptor, path: path) }
    }

    deinit { close(descriptor) }

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
