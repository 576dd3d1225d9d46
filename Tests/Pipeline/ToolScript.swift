import Foundation
import TestSupport

/// A script of `tools/`, run as a person would, on the executables that the tests use.
enum ToolScript {
    /// - Returns: the exit status, and standard output and error together.
    static func run(_ name: String, _ arguments: [String]) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL =
            URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../tools/\(name)").standardizedFileURL
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(
            ["PICOFLOW_BIN": try PicoFlowProcess.executables()]
        ) { $1 }
        let folder = try TemporaryFolder("tool")
        try folder.write("", to: "output")
        let output = try FileHandle(forWritingTo: URL(fileURLWithPath: folder("output")))
        process.standardOutput = output
        process.standardError = output
        try process.run()
        process.waitUntilExit()
        return (process.terminationStatus, folder.read("output") ?? "")
    }
}
