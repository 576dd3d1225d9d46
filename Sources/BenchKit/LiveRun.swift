import Basics
import Foundation

/// A `picoflow launch` that is measured while it trains, in a folder of its own.
public final class LiveRun {
    /// What a line of `metrics.jsonl` says of one step, as far as benchmarks need it.
    public struct Step: Decodable, Sendable {
        public var step: Int
        public var milliseconds: Double
        public var waitedForSamples: Double
        public var waitedForGradients: Double
        public var nce: Double?
    }

    public let folder: String
    private let process = Process()
    private var cleanup = 0

    /// - Parameters:
    ///   - arguments: of `picoflow launch`, without `--run`.
    ///   - folder: of the run, not there yet.
    /// - Throws: `UserError` where there is no `picoflow` beside this executable.
    public init(_ arguments: [String], in folder: String) throws {
        self.folder = folder
        let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        process.executableURL = own.appendingPathComponent("picoflow")
        process.arguments = ["launch"] + arguments + ["--quiet", "--run", folder]
        process.standardOutput = FileHandle.nullDevice
        do {
            try process.run()
        } catch {
            throw UserError("cannot start \(process.executableURL?.path ?? "picoflow"): \(systemWords(error))")
        }
        let supervisor = process.processIdentifier
        cleanup = SignalCleanup.add {
            // Twice: at once, as a stage may be held, and nobody needs a checkpoint.
            for _ in 0..<2 {
                kill(supervisor, SIGINT)
                Thread.sleep(forTimeInterval: 0.2)
            }
            // Foundation reaps it.
            while kill(supervisor, 0) == 0 { Thread.sleep(forTimeInterval: 0.05) }
        }
    }

    deinit { stop() }

    /// The steps that have ended, oldest first.
    public var steps: [Step] {
        let text = FileManager.default.contents(atPath: folder + "/metrics.jsonl") ?? Data()
        // A line that is being written is no JSON yet; one of an evaluation is no step.
        return text.split(separator: UInt8(ascii: "\n")).compactMap { try? JSONDecoder().decode(Step.self, from: $0) }
    }

    /// Waits until so many steps have ended.
    ///
    /// - Throws: `UserError` where the run ends before.
    public func wait(forSteps count: Int, every interval: TimeInterval = 0.2) throws -> [Step] {
        while true {
            let found = steps
            if found.count >= count { return found }
            guard process.isRunning else {
                SignalCleanup.endIfSignalled()
                let hasLogs = FileManager.default.fileExists(atPath: folder + "/logs")
                if hasLogs { ScratchFolder.keep() }
                throw UserError(
                    "the run ended after \(found.count) of \(count) steps"
                        + (hasLogs ? "; the logs in \(folder)/logs say why" : ""))
            }
            Thread.sleep(forTimeInterval: interval)
        }
    }

    /// Stops it as Ctrl-C does and waits for its end.
    public func stop() {
        if process.isRunning {
            kill(process.processIdentifier, SIGINT)
            process.waitUntilExit()
        }
        SignalCleanup.remove(cleanup)
    }

    /// Process ids of its stages, by `STAGE-ID`.
    public var stages: [String: Int32] {
        struct Listing: Decodable {
            struct Entry: Decodable {
                var stage: String
                var id: Int
                var pid: Int32
            }
            var processes: [Entry]
        }
        let listing = FileManager.default.contents(atPath: folder + "/processes.json")
            .flatMap { try? JSONDecoder().decode(Listing.self, from: $0) }
        return Dictionary(
            uniqueKeysWithValues: (listing?.processes ?? []).map { ("\($0.stage)-\($0.id)", $0.pid) })
    }
}

/// Processes that do nothing but keep cores busy.
public final class BusyNeighbours {
    private var processes: [Process] = []

    public init(_ count: Int) throws {
        for _ in 0..<count {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            // It ends with whoever holds the other end of its input.
            process.arguments = ["-c", "while :; do :; done & read line; kill $!"]
            process.standardInput = Pipe()
            try process.run()
            processes.append(process)
        }
    }

    deinit {
        for process in processes {
            try? (process.standardInput as? Pipe)?.fileHandleForWriting.close()
            process.waitUntilExit()
        }
    }
}
