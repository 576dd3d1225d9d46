import Foundation

/// An exclusive lock on a file, which the kernel drops when its holder dies, however it dies.
public final class FileLock {
    private let descriptor: Int32

    /// - Parameters:
    ///   - path: made where missing; its content does not matter.
    ///   - patience: how long a holder that is just ending is waited for.
    /// - Throws: `UserError` that says `use`, "another bank still writes to …", where somebody else holds it.
    public init(path: String, use: String, patience: Duration = .seconds(2)) throws {
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw DurableFile.systemError("cannot open", path) }
        let deadline = ContinuousClock.now + patience
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard ContinuousClock.now < deadline else {
                close(descriptor)
                throw UserError("\(use): \(path) is locked")
            }
            usleep(50_000)
        }
    }

    deinit { close(descriptor) }
}
