import Basics
import Foundation
import Synchronization

/// A folder for sockets or for a measurement's files, removed when the last reference goes or a signal ends this process.
public final class ScratchFolder {
    public let path: String
    private let cleanup: Int
    private static let areKept = Atomic(false)

    public init() throws {
        var template = Array("/tmp/picoflow-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw UserError("cannot make a folder under /tmp: \(String(cString: strerror(errno)))")
        }
        let path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        self.path = path
        cleanup = SignalCleanup.add { try? FileManager.default.removeItem(atPath: path) }
    }

    /// Leaves these folders where they are: something in them says why the measurement failed.
    static func keep() { areKept.store(true, ordering: .relaxed) }

    deinit {
        SignalCleanup.remove(cleanup)
        if !Self.areKept.load(ordering: .relaxed) { try? FileManager.default.removeItem(atPath: path) }
    }
}
