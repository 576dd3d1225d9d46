import Foundation
import Synchronization

/// Writes to standard error in one piece, so that lines of several threads do not mix.
///
/// Standard error that is closed or full loses the text and nothing else; Foundation's `FileHandle.write(_:)` would end
/// the process there.
public func writeToStandardError(_ text: String) {
    var text = text
    text.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

/// Lets descriptors 0 to 2 that whoever started the process has closed lead nowhere: the next file that is opened would take
/// their number, and what is printed would go into it.
public func fillStandardDescriptors() {
    while case let descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC), descriptor >= 0 {
        guard descriptor > STDERR_FILENO else { continue }
        close(descriptor)
        return
    }
}

/// Whether standard error is a terminal whose cursor can be moved.
public var standardErrorIsScreen: Bool {
    isatty(STDERR_FILENO) == 1 && getenv("TERM").map { strcmp($0, "dumb") } != 0
}

/// Why something printed was lost, an errno; 0 where nothing was.
private let lost = Atomic<Int32>(0)

/// Writes out at once what was printed. What could not be written, `flushStandardOutput` tells at the end.
public func showStandardOutput() {
    errno = 0
    guard fflush(nil) != 0, errno != EPIPE else { return }
    lost.store(errno == 0 ? EIO : errno, ordering: .relaxed)
}

/// Writes out what was printed: a result that nobody can read is no success.
///
/// - Throws: `UserError` where standard output takes no more, a full disk for instance. A reader that has gone, as `head`
///   does, has read enough.
public func flushStandardOutput() throws {
    errno = lost.load(ordering: .relaxed)
    guard errno == 0 else { throw DurableFile.systemError("cannot write", "standard output") }
    guard fflush(nil) == 0 else {
        if errno == EPIPE { return }
        throw errno == 0
            ? UserError("cannot write standard output") : DurableFile.systemError("cannot write", "standard output")
    }
}
