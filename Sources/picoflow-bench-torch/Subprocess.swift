import Basics
import Foundation

/// A measurement in a process of its own, so that memory counts from zero.
enum Subprocess {
    /// Our own executable.
    static var own: String { URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().path }

    /// Runs a command with so many threads and reads the JSON in its last line.
    ///
    /// - Throws: `UserError` with the command where it fails.
    static func measure<Figures: Decodable>(_ words: [String], threads: Int) throws -> Figures {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = words
        var environment = ProcessInfo.processInfo.environment
        for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] { environment[name] = "\(threads)" }
        process.environment = environment
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        // Libraries may print before.
        let last = text.split(separator: UInt8(ascii: "\n")).last ?? Data()
        guard process.terminationStatus == 0, let figures = try? JSONDecoder().decode(Figures.self, from: last) else {
            throw UserError("'\(words.joined(separator: " "))' failed")
        }
        return figures
    }

    /// The most that this process had resident.
    static var peakMiB: Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return Double(usage.ru_maxrss) / 1024
    }

    static func tell(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }
}
