import Foundation

/// An exclusive lock on a file, which the kernel drops when its holder dies, however it dies.
public final class FileLock {
    private let descriptor: Int32

    /// - Parameters:
    ///   - path: made where missing; its content does not matter.
    ///   - patience: how long a holder that is just ending is waited for.
    /// - Throws: `UserError` that says `use`, "another bank still writes to …", where somebody else holds it.
    public init(path: String, use: String, patience: Duration = .seconds(2)) throws {
        descriptor = try FileLock.locked(path, O_RDWR | O_CREAT, use, patience)
    }

    /// The same on a folder that is there, for files in it that are replaced.
    public init(folder: String, use: String, patience: Duration = .seconds(2)) throws {
        descriptor = try FileLock.locked(folder, O_RDONLY | O_DIRECTORY, use, patience)
    }

    private static func locked(_ path: String, _ flags: Int32, _ use: String, _ patience: Duration) throws -> Int32 {
        let descriptor = open(path, flags | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw DurableFile.systemError("cannot open", path) }
        let deadline = ContinuousClock.now + patience
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard ContinuousClock.now < deadline else {
                close(descriptor)
                throw UserError("\(use): \(path) is locked")
            }
            usleep(50_000)
        }
        return descriptor
    }

    deinit { close(descriptor) }
}
