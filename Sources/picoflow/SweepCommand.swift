import ArgumentParser
import Basics
import Foundation
import Supervisor

/// `picoflow sweep`: trains variants of recipes with several seeds, one after another, and compares them.
struct SweepCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sweep",
        abstract: "Train variants of recipes with several seeds, one after another, and tabulate them.",
        discussion: """
            picoflow sweep Configs/camvid/quick-pico.yaml --over sampler.strategy=random,hardest,semi-hard --seeds 3
            picoflow sweep Configs/camvid/quick-ce.yaml Configs/camvid/quick-pico.yaml --seeds 3 --to sweeps/losses
            picoflow sweep Configs/camvid/quick-pico.yaml --over contrast.temperature=0.07,0.1 --over contrast.lambda=0.1,1 --to sweeps/lambda

            Several --over make all combinations. The same command goes on after an interruption: finished runs stay, \
            one that was cut off is resumed. The tables (Markdown and CSV) lie in the sweep's folder, brought up to date \
            by each run that finishes.
            """)

    @Argument(
        help: ArgumentHelp("What to train: YAML files, see Configs/.", valueName: "recipe"),
        completion: .file(extensions: ["yaml"]))
    var recipes: [String]

    @Option(
        name: .customLong("over"), parsing: .singleValue,
        help: ArgumentHelp("A recipe key and its values. Repeatable.", valueName: "key=value,value"))
    var over: [String] = []

    @Option(help: "So many seeds: 0, 1, …")
    var seeds = 1

    @OptionGroup var set: OverrideOptions

    @Option(
        help: ArgumentHelp("Where to train: a YAML file, see Pipelines/.", valueName: "file"),
        completion: .file(extensions: ["yaml"]))
    var topology = "Pipelines/local.yaml"

    @OptionGroup var stage: StageOptions

    @Option(
        name: .customLong("to"),
        help: ArgumentHelp("The sweep's folder; sweeps/RECIPE where missing.", valueName: "dir"), completion: .directory
    )
    var folder: String?

    @Flag(help: "Print the tables of what has finished, and train nothing.")
    var tableOnly = false

    @OptionGroup var output: OutputOptions
    @OptionGroup var log: LogOptions

    func validate() throws {
        if recipes.isEmpty { throw ValidationError("Name a recipe.") }
    }

    func run() throws {
        let plan = try SweepPlan(recipes: recipes, over: over, seeds: seeds, overrides: set.overrides)
        let base = ((recipes[0] as NSString).lastPathComponent as NSString).deletingPathExtension
        let sweep = try Sweep(
            plan, topology: topology, replicas: stage.replicas, in: folder ?? "sweeps/\(base)", training: !tableOnly)
        let (failures, isStopped) = tableOnly ? ([], false) : try train(sweep)
        let table = tableOnly ? try sweep.table() : try sweep.writeTables()
        try output.result.show(
            table.facts(folder: sweep.folder, failures: failures, isStopped: isStopped),
            isStopped ? "stopped; the same command goes on" : table.markdown)
        guard failures.isEmpty else {
            throw UserError(
                "\(failures.count) of \(plan.cells.count) runs failed: "
                    + failures.map { "\($0.name): \($0.reason)" }.joined(separator: "; "))
        }
    }

    /// - Returns: the runs that failed, and why, and whether a signal ended the sweep.
    private func train(_ sweep: Sweep) throws -> (failures: [(name: String, reason: String)], isStopped: Bool) {
        let lock = try sweep.lock()
        defer { withExtendedLifetime(lock) {} }
        let (environment, _) = try log.environment()
        let finished = Set(try sweep.results().map { "\($0.variant) \($0.seed)" })
        var failures: [(name: String, reason: String)] = []
        for (index, cell) in sweep.plan.cells.enumerated() where !finished.contains("\(cell.variant) \(cell.seed)") {
            let title = "run \(index + 1) of \(sweep.plan.cells.count), \(cell.name)"
            let display = output.display
            display.log(.info, title)
            switch sweep.run(cell, environment: environment, display: display) {
            case .finished(let result):
                let iou = result.evaluation.mIoU.map { String(format: "mIoU %.2f %%", 100 * $0) } ?? "no labels"
                display.log(.info, "\(title): \(iou)")
            case .failed(let reason):
                display.log(.error, "\(title) failed: \(reason)")
                failures.append((cell.name, reason))
            case .stopped: return (failures, true)
            }
            try sweep.writeTables()
        }
        return (failures, false)
    }
}
