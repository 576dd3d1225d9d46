import Basics
import Foundation

/// Another process of this executable, kept to some cores.
public final class Child {
    private let process = Process()
    private let output = Pipe()
    /// Open as long as this process lives; see `endWithParent`.
    private let lifeline = Pipe()

    /// - Parameter cores: what it and all its threads run on.
    public init(_ arguments: [String], cores: [Int]) throws {
        // Swift's Glibc lacks sched_setaffinity; taskset is part of every Linux (util-linux).
        process.executableURL = URL(fileURLWithPath: "/usr/bin/taskset")
        process.arguments = ["-c", cores.map(String.init).joined(separator: ","), Self.own] + arguments
        process.standardOutput = output
        process.standardInput = lifeline
        do {
            try process.run()
        } catch {
            throw UserError("cannot start /usr/bin/taskset (package util-linux): \(systemWords(error))")
        }
    }

    deinit { end() }

    /// Kills it.
    public func end() {
        guard process.isRunning else { return }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// Whether it has ended, which a child that serves must not.
    public var hasEnded: Bool { !process.isRunning }

    /// Runs a measurement of ours, on all cores, and reads the JSON that it prints.
    ///
    /// - Parameters:
    ///   - program: the executable beside this one; nil is this one. Others as of `measure(command:)`.
    public static func measure<Measurement: Decodable>(
        _ arguments: [String], by program: String? = nil, threads: Int? = nil, environment: [String: String?] = [:]
    ) throws -> Measurement {
        let folder = URL(fileURLWithPath: own).deletingLastPathComponent().path
        // As a run's stages have it; other programs have it as they are started.
        let variables = LibraryVariables.added(to: ProcessInfo.processInfo.environment).mapValues(String?.some)
        return try measure(
            command: [program.map { "\(folder)/\($0)" } ?? own] + arguments, threads: threads,
            environment: variables.merging(environment) { $1 })
    }

    /// The same of any program; what counts is its last line, as libraries may print before.
    ///
    /// - Parameters:
    ///   - threads: of OpenMP and of BLAS; nil leaves them to the environment.
    ///   - environment: over this process's own; nil takes a variable away.
    /// - Throws: `UserError` with the command where it fails.
    public static func measure<Measurement: Decodable>(
        command: [String], threads: Int? = nil, environment: [String: String?] = [:]
    ) throws -> Measurement {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        var variables = ProcessInfo.processInfo.environment
        if let threads {
            for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
                variables[name] = String(threads)
            }
        }
        for (name, value) in environment { variables[name] = value }
        process.environment = variables
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        return try answer(in: output, of: process, command.joined(separator: " "))
    }

    /// Runs a measurement on some cores and reads the JSON that it prints.
    public static func measure<Measurement: Decodable>(_ arguments: [String], cores: [Int]) throws -> Measurement {
        try Child(arguments, cores: cores).result(arguments.joined(separator: " "))
    }

    /// Waits for its end and reads the JSON that it printed.
    ///
    /// - Parameter name: what a message calls it.
    public func result<Measurement: Decodable>(_ name: String) throws -> Measurement {
        try Self.answer(in: output, of: process, name)
    }

    private static func answer<Measurement: Decodable>(
        in output: Pipe, of process: Process, _ command: String
    ) throws -> Measurement {
        let child = process.processIdentifier
        let cleanup = SignalCleanup.add { kill(child, SIGTERM) }
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        SignalCleanup.remove(cleanup)
        let line = text.split(separator: UInt8(ascii: "\n")).last ?? Data()
        guard process.terminationStatus == 0, let result = try? JSONDecoder().decode(Measurement.self, from: line)
        else {
            SignalCleanup.endIfSignalled()
            throw UserError("the measurement '\(command)' failed")
        }
        return result
    }

    /// This executable.
    private static var own: String { URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().path }

    /// Says on standard error what is being measured: in one line of a terminal, else in a line of its own.
    public static func tell(_ text: String) {
        let line = isatty(STDERR_FILENO) == 1 ? "\r\u{1b}[K\(text)" : text.isEmpty ? "" : text + "\n"
        writeToStandardError(line)
    }

    /// Called in a child that serves: it ends when whoever started it has ended, however that came.
    public static func endWithParent() {
        Thread {
            var byte: UInt8 = 0
            while read(STDIN_FILENO, &byte, 1) > 0 {}
            exit(0)
        }.start()
    }
}
