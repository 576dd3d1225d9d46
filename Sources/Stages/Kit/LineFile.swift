import Basics
import Foundation

/// A file that grows by whole lines. One that a full disk has no room for waits and is written before the next: a step that
/// was taken is not given up for the want of its line.
///
/// Not thread-safe.
public final class LineFile {
    private let descriptor: Int32
    private let path: String
    private var pending = Data()

    /// Bytes of lines that may wait for room: some thousand steps.
    private static let maxPending = 1 << 20

    /// Opens or makes the file.
    ///
    /// - Throws: `UserError` that names it.
    public init(path: String) throws {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw DurableFile.systemError("cannot open", path) }
    }

    deinit { close(descriptor) }

    /// Appends a line, given without its end.
    ///
    /// - Throws: where more lines wait than should.
    public func append(_ line: Data) throws {
        pending.append(line)
        pending.append(UInt8(ascii: "\n"))
        do {
            try flush()
        } catch {
            guard pending.count <= LineFile.maxPending else { throw error }
        }
    }

    /// Writes what waits.
    public func flush() throws {
        try DurableFile.append(pending, to: descriptor, path: path)
        pending = Data()
    }

    /// Writes what waits, and makes all lines so far survive a power cut.
    public func sync() throws {
        try flush()
        guard fsync(descriptor) == 0 else { throw DurableFile.systemError("cannot sync", path) }
    }
}
