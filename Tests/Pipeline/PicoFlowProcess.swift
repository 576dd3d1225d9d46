import Foundation
import TestSupport

/// One start of `picoflow` as a real process, its output kept in files so that no pipe can fill up.
final class PicoFlowProcess {
    struct Ending: CustomStringConvertible {
        /// Exit code; nil where a signal ended it.
        var code: Int32?
        var signal: Int32?
        var output: String
        var errors: String

        var description: String {
            (code.map { "exit code \($0)" } ?? "signal \(signal ?? 0)") + "\n" + output + errors
        }
        /// What went wrong as the user reads it: the last line of standard error.
        var message: String { errors.split(whereSeparator: \.isNewline).last.map(String.init) ?? "" }
    }

    private let process = Process()
    private let out: String
    private let err: String

    var pid: Int32 { process.processIdentifier }
    var isRunning: Bool { process.isRunning }
    /// Standard error so far.
    var errors: String { (try? String(contentsOfFile: err, encoding: .utf8)) ?? "" }

    /// - Parameters:
    ///   - folder: keeps the output.
    ///   - environment: over this process's own.
    init(_ arguments: [String], in folder: TemporaryFolder, environment: [String: String] = [:]) throws {
        let name = "output-\(UUID().uuidString)"
        out = folder(name + ".out")
        err = folder(name + ".err")
        for path in [out, err] { try Data().write(to: URL(fileURLWithPath: path)) }
        process.executableURL = URL(fileURLWithPath: try Self.executables() + "/picoflow")
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: folder.path)
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle(forWritingAtPath: out)
        process.standardError = FileHandle(forWritingAtPath: err)
        try process.run()
    }

    deinit { if process.isRunning { kill(pid, SIGKILL) } }

    func signal(_ number: Int32) { kill(pid, number) }

    /// Waits for its end.
    ///
    /// - Throws: where it has not ended in time; it is killed then.
    func wait(_ timeout: Duration = .seconds(120)) throws -> Ending {
        guard waitUntil(timeout, { !process.isRunning }) else {
            kill(pid, SIGKILL)
            throw Trouble("picoflow \((process.arguments ?? []).joined(separator: " ")) did not end in \(timeout):\n\(errors)")
        }
        let isSignal = process.terminationReason == .uncaughtSignal
        let status = process.terminationStatus
        return Ending(
            code: isSignal ? nil : status, signal: isSignal ? status : nil,
            output: (try? String(contentsOfFile: out, encoding: .utf8)) ?? "", errors: errors)
    }

    /// Where the executables are: `PICOFLOW_BIN`, or beside the test bundle.
    private static func executables() throws -> String {
        var candidates = [ProcessInfo.processInfo.environment["PICOFLOW_BIN"]].compactMap { $0 }
        candidates += CommandLine.arguments.map { ($0 as NSString).deletingLastPathComponent }
        candidates.append(Bundle.main.bundlePath)
        candidates.append((Bundle.main.executablePath.map { ($0 as NSString).deletingLastPathComponent }) ?? "")
        guard let found = candidates.first(where: { access($0 + "/picoflow", X_OK) == 0 }) else {
            throw Trouble("no picoflow in \(candidates); set PICOFLOW_BIN to the folder of the executables")
        }
        return found
    }
}

/// What keeps a test from going on.
struct Trouble: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
