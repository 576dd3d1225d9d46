import ArgumentParser
import Basics
import Configuration
import Dashboard
import Foundation
import StageKit
import Supervisor

/// `picoflow launch`: trains a recipe on a topology, from the first process to the table at the end.
struct LaunchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "launch",
        abstract: "Train a recipe: start all stages, watch them, evaluate at the end.",
        discussion: """
            picoflow launch Pipelines/local.yaml --recipe Configs/camvid/quick-pico.yaml
            picoflow launch Pipelines/local.yaml --recipe Configs/camvid/quick-pico.yaml --dashboard
            picoflow launch --resume runs/quick-pico-1 --log-level debug

            Processes that die are started again; --resume takes over the stages of a launch that was killed.
            Ctrl-C stops after the step in hand, with a checkpoint; a second Ctrl-C stops at once.
            The exit code is 0 for a run that finished or was stopped, and 1 for one that failed.
            """)

    @Argument(
        help: ArgumentHelp("Where to train: a YAML file, see Pipelines/.", valueName: "topology"),
        completion: .file(extensions: ["yaml"]))
    var topology: String?

    @Option(
        name: .customLong("recipe"), help: ArgumentHelp("What to train: a YAML file, see Configs/.", valueName: "file"),
        completion: .file(extensions: ["yaml"]))
    var recipe: String?

    @OptionGroup var set: OverrideOptions
    @OptionGroup var stage: StageOptions

    @Option(
        name: .customLong("run"),
        help: ArgumentHelp("The run's directory; runs/RECIPE-N where missing.", valueName: "dir"),
        completion: .directory)
    var directory: String?

    @Option(
        name: .customLong("resume"),
        help: ArgumentHelp("Go on with this run from its newest checkpoint.", valueName: "dir"), completion: .directory)
    var resume: String?

    @Flag(help: "Let a resumed run compute with another number of threads, which changes the last bits of the weights.")
    var allowDifferentThreads = false

    @Flag(
        help: "Let a resumed run compute with another number of replicas, which changes the last bits of the weights.")
    var allowDifferentRanks = false

    @Option(
        name: .customLong("dashboard"), defaultAsFlag: DashboardAddress.defaultPort, parsing: .next,
        help: ArgumentHelp(
            "Serve a page that shows the run and steers it, at a port of this machine or at ADDRESS:PORT; see 'picoflow help dashboard'.",
            valueName: "port"))
    var dashboard: String?

    @OptionGroup var output: OutputOptions
    @OptionGroup var log: LogOptions

    func validate() throws {
        do {
            _ = try dashboard.map { try DashboardAddress($0) }
        } catch {
            // The word behind it is its value.
            let hint = topology == nil && resume == nil ? " Write --dashboard behind the topology." : ""
            throw ValidationError("\(error).\(hint)")
        }
        if resume != nil {
            guard topology == nil, recipe == nil, directory == nil, set.overrides.isEmpty else {
                throw ValidationError(
                    "A resumed run keeps its recipe, topology and directory: --resume goes with --stage, --dashboard, --quiet, --json, --log-level, --allow-different-threads and --allow-different-ranks only."
                )
            }
        } else {
            guard topology != nil, recipe != nil else {
                throw ValidationError("Give a topology and --recipe, or --resume.")
            }
        }
    }

    func run() throws {
        let (environment, level) = try log.environment()
        let (launch, dataset, page) = try prepare(environment)
        let display = LoggedDisplay(output.display, log: launch.directory.logPath(of: "supervisor"), level: level)
        if let page {
            // Also where all else is quiet: nobody could open it otherwise.
            writeToStandardError("dashboard at \(page.url)\n")
            page.onEnd { display.log(.warning, "the dashboard ended; 'picoflow dashboard' serves it again") }
        }
        defer { withExtendedLifetime(page) {} }
        display.log(
            .info,
            "run \(launch.directory.path)"
                + (launch.takesOver
                    ? ", its stages live and are taken over"
                    : launch.startStep > 0 ? ", going on from step \(launch.startStep)" : ""))
        let outcome = try launch.run(
            dataset: dataset, evaluation: PoolEvaluation(drawing: true), environment: environment, display: display)
        let run = launch.directory.path
        switch outcome {
        case .finished(let step, let checkpoint, let evaluation):
            try evaluation?.save(inRun: run)
            try output.result.show(
                Ending(run: run, outcome: "finished", step: step, checkpoint: checkpoint, evaluation: evaluation),
                outcome.summary + (evaluation.map { "\n" + $0.table } ?? ""))
        case .stopped(let step, let checkpoint):
            try output.result.show(
                Ending(run: run, outcome: "stopped", step: step, checkpoint: checkpoint),
                "\(outcome.summary)\ngo on with: picoflow launch --resume \(shellWord(run))")
        case .failed(let message):
            throw UserError(message)
        }
    }

    /// What `--json` prints.
    private struct Ending: Encodable {
        var run: String
        /// `finished` or `stopped`; a run that failed is an error.
        var outcome: String
        var step: UInt64?
        var checkpoint: String?
        /// As of `picoflow eval --json`.
        var evaluation: EvaluationReport?
    }

    /// Reads and checks everything before anything is written or started.
    private func prepare(
        _ environment: SupervisorRunner.Environment
    ) throws -> (Launch, DatasetSummary, DashboardProcess?) {
        let options = Launch.Options(
            allowsDifferentThreads: allowDifferentThreads, allowsDifferentRanks: allowDifferentRanks)
        if let resume {
            let page = try dashboardProcess(RunDirectory.absolute(resume), environment)
            let launch = try Launch.resume(resume, replicas: stage.replicas, options: options, environment: environment)
            return (launch, try DatasetSummary(opening: launch.recipe.dataset), page)
        }
        guard let recipePath = recipe, let topologyPath = topology else {
            throw UserError("give a topology and --recipe")
        }
        let recipe = try Recipe.resolve(path: recipePath, overrides: set.overrides)
        let topology = try Topology.resolve(
            path: topologyPath, replicas: stage.replicas, recipe: recipe, programs: .ofThisProcess())
        let dataset = try DatasetSummary(training: recipe.dataset)
        while true {
            let existing = (try? FileManager.default.contentsOfDirectory(atPath: "runs")) ?? []
            let path = directory ?? "runs/" + RunName.next(recipePath: recipePath, existing: existing)
            do {
                let page = try dashboardProcess(path, environment)
                let launch = try Launch.new(
                    at: path, recipe: recipe, topology: topology, options: options, environment: environment)
                return (launch, dataset, page)
            } catch {
                // Another launch that chose the name at the same moment may have been faster.
                guard directory == nil, RunDirectory.isLive(path) else { throw error }
            }
        }
    }

    /// The dashboard, before anything of the run is written: a port that is taken must not leave a run behind.
    private func dashboardProcess(
        _ run: String, _ environment: SupervisorRunner.Environment
    ) throws -> DashboardProcess? {
        try dashboard.map {
            try DashboardProcess(run: run, address: $0, executable: environment.executables + "/picoflow")
        }
    }
}
