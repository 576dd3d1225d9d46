import ArgumentParser
import Basics
import Foundation
import Fuzzing

/// What `tools/fuzz` runs.
struct Fuzz: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tools/fuzz", abstract: "Sends what no honest peer sends.",
        subcommands: [Live.self, Decoders.self])
}

/// Bad peers for the sockets of a run at work.
struct Live: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send bad messages to every socket of a run at work.")

    @Option(name: .customLong("run"), help: ArgumentHelp("The run's directory.", valueName: "dir")) var directory:
        String
    @Option(help: "Bad messages to each socket.") var messages = 1_000_000
    @Option(help: "Equal seeds send equal messages.") var seed: UInt64 = 1
    @Option(help: "Seconds after which it stops, done or not.") var seconds = 600
    @Flag(help: "Print one JSON object.") var json = false

    func validate() throws {
        guard messages > 0, (1...86_400).contains(seconds) else {
            throw ValidationError("--messages takes a positive number, --seconds 1 to 86400")
        }
    }

    func run() throws {
        var options = LiveFuzzer.Options()
        options.messages = messages
        options.seed = seed
        options.limit = .seconds(seconds)
        let isTerminal = isatty(STDERR_FILENO) == 1
        let report = try LiveFuzzer(run: directory, options: options).fuzz { sent in
            if isTerminal { writeToStandardError("\r\(sent) messages") }
        }
        if isTerminal { writeToStandardError("\r\u{1b}[K") }
        print(try json ? report.prettyJSON() : report.text)
        if !report.problems.isEmpty { throw ExitCode(1) }
    }
}

/// Spoiled input for everything that decodes frames, in this process.
struct Decoders: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Feed every decoder of the protocol with spoiled input.")

    @Option(help: "Inputs to each decoder.") var inputs = 1_000_000
    @Option(help: "Equal seeds make equal inputs.") var seed: UInt64 = 1
    @Option(help: "Only the decoders whose name contains this.") var only: String?

    func run() throws {
        let fuzzer = DecoderFuzzer(seed: seed)
        var defects = 0
        for decoder in try FuzzedDecoder.all() where only.map({ decoder.name.contains($0) }) ?? true {
            let start = ContinuousClock.now
            let outcome = fuzzer.run(decoder, inputs: inputs)
            let seconds = (ContinuousClock.now - start) / .seconds(1)
            print(
                "\(decoder.name): \(outcome.accepted) taken, \(outcome.refused) refused in "
                    + String(format: "%.1f s (%.1f million a minute)", seconds, Double(inputs) / seconds * 6e-5))
            for defect in outcome.defects { print("DEFECT: \(defect)") }
            defects += outcome.defects.count
        }
        if defects > 0 { throw ExitCode(1) }
    }
}

Fuzz.main()
