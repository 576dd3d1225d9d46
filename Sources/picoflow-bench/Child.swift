import Basics
import Foundation

/// Another process of this executable, kept to some cores.
final class Child {
    private let process = Process()
    private let output = Pipe()
    /// Open as long as this process lives; see `endWithParent`.
    private let lifeline = Pipe()

    /// - Parameter cores: what it and all its threads run on.
    init(_ arguments: [String], cores: [Int]) throws {
        // Swift's Glibc lacks sched_setaffinity; taskset is part of every Linux (util-linux).
        process.executableURL = URL(fileURLWithPath: "/usr/bin/taskset")
        let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().path
        process.arguments = ["-c", cores.map(String.init).joined(separator: ","), program] + arguments
        process.standardOutput = output
        process.standardInput = lifeline
        do {
            try process.run()
        } catch {
            throw UserError("cannot start /usr/bin/taskset (package util-linux): \(error.localizedDescription)")
        }
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

    /// Runs a measurement of this executable's, on all cores, and reads the JSON that it prints.
    ///
    /// - Parameter environment: over this process's own; nil takes a variable away.
    static func measure<Measurement: Decodable>(
        _ arguments: [String], environment: [String: String?]
    ) throws -> Measurement {
        let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().path
        return try measure(command: [program] + arguments, environment: environment)
    }

    /// The same of any program; what counts is its last line.
    static func measure<Measurement: Decodable>(
        command: [String], environment: [String: String?] = [:]
    ) throws -> Measurement {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        var variables = ProcessInfo.processInfo.environment
        for (name, value) in environment { variables[name] = value }
        process.environment = variables
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let line = text.split(separator: UInt8(ascii: "\n")).last ?? Data()
        guard process.terminationStatus == 0, let result = try? JSONDecoder().decode(Measurement.self, from: line)
        else { throw UserError("the measurement '\(command.joined(separator: " "))' failed") }
        return result
    }

    /// Runs a measurement on some cores and reads the JSON that it prints.
    static func measure<Measurement: Decodable>(_ arguments: [String], cores: [Int]) throws -> Measurement {
        let child = try Child(arguments, cores: cores)
        let text = child.output.fileHandleForReading.readDataToEndOfFile()
        child.process.waitUntilExit()
        guard child.process.terminationStatus == 0, let result = try? JSONDecoder().decode(Measurement.self, from: text)
        else { throw UserError("the measurement '\(arguments.joined(separator: " "))' failed") }
        return result
    }

    /// Called in a child that serves: it ends when whoever started it has ended, however that came.
    static func endWithParent() {
        Thread {
            var byte: UInt8 = 0
            while read(STDIN_FILENO, &byte, 1) > 0 {}
            exit(0)
        }.start()
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
