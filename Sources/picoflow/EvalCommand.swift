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
            picoflow eval --run runs/pico-1 --split test --write submission \
                --set evaluate.scales=[0.75,1,1.25,1.5,1.75,2] --set evaluate.flip=true

            Images that, scaled, exceed the training crop are seen through windows of its size, two thirds of it apart \
            (--set evaluate.window=whole takes each at once). Passes are averaged as probabilities.

            --write writes a PNG per image as the dataset's test server wants it (Cityscapes: label ids; ADE20K: class \
            + 1; others: class numbers). A split without label maps can only be written.

            Also works beside a run that is being trained. Classes that are neither labelled nor predicted are absent: \
            they count in no mean.
            """)

    @OptionGroup var saved: SavedRunOptions

    @Option(help: ArgumentHelp("The split to measure on; the recipe's dataset.evaluationSplit where missing."))
    var split: String?

    @Option(
        help: ArgumentHelp("Also write the predictions as PNGs into this folder.", valueName: "dir"),
        completion: .directory)
    var write: String?

    @OptionGroup var set: OverrideOptions
    @OptionGroup var stage: StageOptions

    @Option(help: "Threads of each evaluator; what the run's topology says where missing.")
    var threads: Int?

    @Option(help: ArgumentHelp("cpu or cuda:N; what the run's topology says where missing.", valueName: "device"))
    var device: String?

    @OptionGroup var output: OutputOptions
    @OptionGroup var log: LogOptions

    func validate() throws {
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads \(threads): 1 to 1024 were expected")
        }
    }

    func run() throws {
        let device = try device.map { try Device(parsing: $0) }
        let (environment, _) = try log.environment()
        let (run, checkpoint) = try saved.resolve()
        let recipe = try Recipe.resolve(path: run + "/recipe.yaml", overrides: set.overrides)
        let topology = try Topology.resolve(path: run + "/topology.yaml", replicas: stage.replicas, recipe: recipe)
        // What was trained on is not read here, and may have changed or gone.
        let noted = run + "/dataset.json"
        let dataset =
            try FileManager.default.fileExists(atPath: noted)
            ? DatasetSummary(contentsOf: noted) : DatasetSummary(opening: recipe.dataset)
        let report = try EvaluationRun.run(
            runDirectory: run, checkpoint: checkpoint, recipe: recipe, dataset: dataset, topology: topology,
            device: device, threads: threads, evaluation: PoolEvaluation(split: split, writingTo: write),
            environment: environment, display: output.display)
        try output.result.show(report, report.table)
    }
}
