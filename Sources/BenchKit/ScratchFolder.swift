import Basics
import Foundation

/// A folder for sockets or for a measurement's files, removed when the last reference goes.
public final class ScratchFolder {
    public let path: String

    public init() throws {
        var template = Array("/tmp/picoflow-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw UserError("cannot make a folder under /tmp: \(String(cString: strerror(errno)))")
        }
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
