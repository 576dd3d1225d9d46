import Basics
import Foundation

/// Another process of this executable.
final class Child {
    private let process = Process()
    private let output = Pipe()

    init(_ arguments: [String]) throws {
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = arguments
        process.standardOutput = output
        try process.run()
    }

    deinit { end() }

    /// Kills it.
    func end() {
        guard process.isRunning else { return }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// Whether it has ended, which a child that serves must not.
    var hasEnded: Bool { !process.isRunning }

    /// Runs a measurement and reads the JSON that it prints.
    static func measure<Measurement: Decodable>(_ arguments: [String]) throws -> Measurement {
        let child = try Child(arguments)
        let text = child.output.fileHandleForReading.readDataToEndOfFile()
        child.process.waitUntilExit()
        guard child.process.terminationStatus == 0, let result = try? JSONDecoder().decode(Measurement.self, from: text)
        else { throw UserError("the measurement '\(arguments.joined(separator: " "))' failed") }
        return result
    }

    /// Called in a child that serves: it ends with whoever started it.
    static func dieWithParent() {
        // PR_SET_PDEATHSIG = 1; the macro is not imported.
        prctl(1, UInt(SIGKILL))
    }
}

/// A folder for unix sockets, removed when the last reference goes.
final class SocketFolder {
    let path: String

    init() throws {
        var template = Array("/tmp/picoflow-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw UserError("cannot make a folder under /tmp: \(String(cString: strerror(errno)))")
        }
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
