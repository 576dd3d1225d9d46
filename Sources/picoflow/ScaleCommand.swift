import ArgumentParser
import Basics
import Foundation
import StageKit
import Supervisor

/// `picoflow scale loader=6`: more or fewer processes of a stage while its run goes on.
struct ScaleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scale", abstract: "Change how many processes a stage has, while the run goes on.",
        discussion: """
            picoflow scale loader=6
            picoflow scale loader=2 miner=3 --run runs/quick-pico-1

            Loaders, miners and evaluators can be scaled; results do not depend on their numbers. A process that is too
            many finishes what it executes and leaves. A resumed run has its topology's counts again, or those of --stage.
            """)

    @Argument(help: ArgumentHelp("Stages and how many processes each shall have.", valueName: "stage=count"))
    var counts: [String]

    @OptionGroup var directory: LiveRunOptions

    @OptionGroup var output: ResultOptions

    func run() throws {
        var stages: [String: Int] = [:]
        var names: [String] = []
        for text in counts {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, !parts[0].isEmpty, let count = Int(parts[1]) else {
                throw UserError("'\(text)': STAGE=COUNT was expected, for instance loader=3")
            }
            guard stages.updateValue(count, forKey: parts[0]) == nil else {
                throw UserError("'\(parts[0])' is given twice")
            }
            names.append(parts[0])
        }
        let path = try directory.resolve()
        let report = try ControlClient(run: path).ask(.scale(ScaleRequest(stages: stages)))
        // For programs the state that the run is in now.
        try output.show(report, "\(path): " + names.map { "\($0) \(stages[$0]!)" }.joined(separator: ", "))
    }
}
