import Foundation

/// An exclusive lock on a file, which the kernel drops when its holder dies, however it dies.
public final class FileLock {
    private let path: String
    private let descriptor: Int32

    /// - Parameters:
    ///   - path: made where missing; its content does not matter.
    ///   - use: what is said where somebody else holds it, for instance "another bank still writes to …".
    ///   - patience: how long a holder that is just ending is waited for.
    /// - Throws: `UserError` that says `use`, or why there is no lock: network file systems may know none.
    public init(path: String, use: @autoclosure () -> String, patience: Duration = .seconds(2)) throws {
        self.path = path
        descriptor = try FileLock.locked(path, O_RDWR | O_CREAT, patience) { use() }
    }

    /// The same on a folder that is there, for files in it that are replaced.
    public init(folder: String, use: @autoclosure () -> String, patience: Duration = .seconds(2)) throws {
        path = folder
        descriptor = try FileLock.locked(folder, O_RDONLY | O_DIRECTORY, patience) { use() }
    }

    private static func locked(
        _ path: String, _ flags: Int32, _ patience: Duration, _ use: () -> String
    ) throws -> Int32 {
        let descriptor = open(path, flags | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw DurableFile.systemError("cannot open", path) }
        let deadline = ContinuousClock.now + patience
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            let isHeld = errno == EWOULDBLOCK
            guard isHeld, ContinuousClock.now < deadline else {
                let error = isHeld ? UserError(use()) : DurableFile.systemError("cannot lock", path)
                close(descriptor)
                throw error
            }
            usleep(50_000)
        }
        return descriptor
    }

    deinit { close(descriptor) }

    /// Makes `text` the locked file's content, for whoever asks who holds it.
    public func write(_ text: String) throws {
        guard ftruncate(descriptor, 0) == 0, lseek(descriptor, 0, SEEK_SET) == 0 else {
            throw DurableFile.systemError("cannot shorten", path)
        }
        try Data(text.utf8).withUnsafeBytes { try DurableFile.writeAll($0, to: descriptor, path: path) }
    }
}
