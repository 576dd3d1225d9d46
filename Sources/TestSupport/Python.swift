import Basics
import Foundation

/// The Python of the PATH, for tests that compare with what others have written in it.
public enum Python {
    /// Whether it is there and has a module; what has not skips its test.
    public static func has(_ module: String) -> Bool { (try? run(["-c", "import \(module)"])) != nil }

    /// - Parameters:
    ///   - arguments: of the interpreter: `-c` and a script, for instance.
    ///   - environment: over this process's own.
    /// - Returns: what it printed to standard output.
    /// - Throws: `UserError` with its last line on standard error, where it fails.
    public static func run(_ arguments: [String], environment: [String: String] = [:]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3"] + arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let folder = try TemporaryFolder("python")
        // A file cannot fill up while standard output is read.
        try folder.write("", to: "errors")
        process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: folder("errors")))
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            let last = folder.read("errors")?.split(separator: "\n").last.map { ": \($0)" } ?? ""
            throw UserError("python3 exited with \(process.terminationStatus)\(last)")
        }
        return String(decoding: text, as: UTF8.self)
    }
}
