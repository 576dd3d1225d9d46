import ArgumentParser
import Basics
import Configuration
import Foundation
import StageKit
import Supervisor

/// `picoflow eval`: measures a run's network on a split, by evaluator processes.
struct EvalCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval",
        abstract: "Measure a run's network: IoU of each class, mIoU, accuracies.",
        discussion: """
            picoflow eval --run runs/pico-1
            picoflow eval --run runs/pico-1 --split test --checkpoint 500 --json
            picoflow eval --run runs/pico-1 --set evaluate.flip=true --stage evaluator=2

            Also works beside a run that is being trained. Classes that are neither labelled nor predicted are absent: \
            they count in no mean.
            """)

    @OptionGroup var saved: SavedRunOptions

    @Option(help: ArgumentHelp("The split to measure on; the recipe's dataset.evaluationSplit where missing."))
    var split: String?

    @OptionGroup var set: OverrideOptions
    @OptionGroup var stage: StageOptions

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let (run, checkpoint) = try saved.resolve()
        let recipe = try Recipe.resolve(path: run + "/recipe.yaml", overrides: set.overrides)
        let topology = try Topology.resolve(path: run + "/topology.yaml", replicas: stage.replicas, recipe: recipe)
        let summary = try EvaluationRun.run(
            runDirectory: run, checkpoint: checkpoint, recipe: recipe,
            dataset: DatasetSummary(opening: recipe.dataset), topology: topology,
            evaluation: PoolEvaluation(split: split),
            environment: .ofThisProcess(),
            display: isatty(STDERR_FILENO) == 1 ? TerminalDisplay() : QuietDisplay())
        print(json ? summary.json : summary.table)
    }
}
