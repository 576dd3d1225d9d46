import Foundation

/// A folder for one test, removed with everything in it when the last reference goes.
public final class TemporaryFolder: Sendable {
    public let path: String

    /// - Parameter name: begins the folder's name, so that what a killed test leaves can be told.
    public init(_ name: String = "test") throws {
        var template = Array("\(NSTemporaryDirectory())picoflow-\(name)-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil, let resolved = realpath(template, nil) else {
            throw CocoaError(.fileWriteUnknown)
        }
        defer { free(resolved) }
        path = String(cString: resolved)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// A path inside.
    public func callAsFunction(_ name: String) -> String { path + "/" + name }

    /// Writes a text file inside and returns its path.
    @discardableResult
    public func write(_ text: String, to name: String, executable: Bool = false) throws -> String {
        try Data(text.utf8).write(to: URL(fileURLWithPath: self(name)))
        if executable { chmod(self(name), 0o755) }
        return self(name)
    }

    public func read(_ name: String) -> String? { try? String(contentsOfFile: self(name), encoding: .utf8) }
}
