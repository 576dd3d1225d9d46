import ArgumentParser
import Basics
import Foundation
import StageKit
import Supervisor

/// `picoflow swap miner`: other mining settings, or another miner, from one step on.
struct SwapCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "swap", abstract: "Change the miners' settings or program, while the run trains.",
        discussion: """
            picoflow swap miner --set sampler.strategy=hardest
            picoflow swap miner --set synthesis.enabled=true --set contrast.temperature=0.07 --at-step 3000
            picoflow swap miner --exec 'python3 my_miner.py'
            picoflow swap miner --exec builtin

            Every step's mining is of one kind: the swap holds from a step on, which is printed and stands in the run's
            journal. A run that goes back behind that step after a crash swaps there again, and another run with the same
            --at-step trains the same weights. A new program starts beside the old one, copies the memory and then takes
            over; the old one finishes what it has and leaves.
            """)

    @Argument(help: ArgumentHelp("A stage of kind miner.", valueName: "stage"))
    var stage: String

    @Option(
        name: .customLong("set"), parsing: .singleValue,
        help: ArgumentHelp(
            "A key of sampler, synthesis, or contrast.temperature: sampler.strategy=hardest. Repeatable, in order.",
            valueName: "key=value"))
    var overrides: [String] = []

    @Option(
        help: ArgumentHelp(
            "Program and arguments of the miner from then on; 'builtin' is PicoFlow's own.", valueName: "command"))
    var exec: String?

    @Option(
        help: ArgumentHelp(
            "The first step of the new; the next possible one where missing. Not before a swap that lies ahead; none is taken back.",
            valueName: "n"))
    var atStep: UInt64?

    @OptionGroup var directory: LiveRunOptions

    @OptionGroup var output: ResultOptions

    func validate() throws {
        guard !overrides.isEmpty || exec != nil else { throw ValidationError("Give --set, --exec or both.") }
    }

    func run() throws {
        let request = SwapRequest(stage: stage, set: overrides, exec: try exec.map(words), atStep: atStep)
        let path = try directory.resolve()
        let report = try ControlClient(run: path).ask(.swap(request), timeout: nil)
        guard let swap = report.swaps?.last else { throw UserError("\(path): the supervisor answered without a swap") }
        try output.show(
            swap, "\(path): swap \(swap.generation) of \(swap.stage) holds from step \(swap.step) on (\(swap.change))")
    }

    /// The command's words. Files are named as seen from here; the supervisor may have another working directory.
    private func words(_ command: String) throws -> [String] {
        if command == "builtin" { return [] }
        let words = try shellWords(command)
        guard !words.isEmpty else { throw UserError("--exec is empty; 'builtin' is PicoFlow's own miner") }
        return words.enumerated().map { index, word in
            // The program alone is looked for in PATH.
            let isPath = index == 0 ? word.contains("/") : FileManager.default.fileExists(atPath: word)
            return isPath ? absolutePath(word) : word
        }
    }
}
