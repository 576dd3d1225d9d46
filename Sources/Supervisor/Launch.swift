import Basics
import Configuration
import Foundation
import StageKit
import Wire

/// A launch from its files to its end: lock, journal, sockets, supervision, and cleaning up after it.
public struct Launch {
    public struct Options: Sendable {
        /// Lets a resume run compute with another number of threads, which changes the last bits.
        public var allowsDifferentThreads = false
        /// Lets a resume run compute as another number of ranks, which changes the last bits too.
        public var allowsDifferentRanks = false
        public var timing: SupervisionTiming?

        public init(
            allowsDifferentThreads: Bool = false, allowsDifferentRanks: Bool = false, timing: SupervisionTiming? = nil
        ) {
            self.allowsDifferentThreads = allowsDifferentThreads
            self.allowsDifferentRanks = allowsDifferentRanks
            self.timing = timing
        }
    }

    public let directory: RunDirectory
    public let recipe: Recipe
    public let topology: Topology
    private var resume: Checkpoint?
    private let journal: Journal
    private let options: Options
    /// Processes of the run that outlived their supervisor and go on under this one; nil where all are started.
    private var survivors: [ProcessTable.Entry]?
    /// Stages whose counts the command names: over those that the run was scaled to.
    private var namedCounts: Set<String> = []

    /// Sets up a new run.
    ///
    /// - Parameters:
    ///   - path: the run directory, which must not exist or be empty.
    ///   - topology: checked against the recipe; open thread counts are filled in.
    public static func new(
        at path: String, recipe: Recipe, topology: Topology, options: Options = .init(),
        environment: SupervisorRunner.Environment
    ) throws -> Launch {
        // What is saved must mean the same from wherever the run is resumed.
        var topology = topology.withThreads(processors: ProcessInfo.processInfo.activeProcessorCount)
        topology.supervisor.keys = topology.supervisor.keys.map(absolutePath)
        // Before anything is written: a run that cannot start leaves no directory.
        try StageCommand.check(topology.stages(for: recipe), folder: environment.executables)
        if let weights = recipe.model.pretrained, access(weights, R_OK) != 0 {
            throw DurableFile.systemError("model.pretrained: cannot read", weights)
        }
        let recipe = recipe.absolutePaths()
        let directory = try RunDirectory.create(path)
        let journal = try Journal(path: directory.journalPath)
        try directory.save(recipe: recipe.yaml(), topology: topology.yaml())
        return Launch(
            directory: directory, recipe: recipe, topology: topology, resume: nil, journal: journal, options: options)
    }

    /// Goes on with a run from its newest complete checkpoint, or from the start where it has none.
    ///
    /// - Parameter replicas: `loader=3`, …, over the run's own topology; but compute's such counts change no results.
    public static func resume(
        _ path: String, replicas: [String] = [], options: Options = .init(), environment: SupervisorRunner.Environment
    ) throws -> Launch {
        let directory = try RunDirectory.resume(path)
        let recipe = try Recipe.resolve(path: directory.recipePath)
        let topology = try Topology.resolve(
            path: directory.topologyPath, replicas: replicas, recipe: recipe, programs: .ofThisProcess()
        ).withThreads(processors: ProcessInfo.processInfo.activeProcessorCount)
        try StageCommand.check(topology.stages(for: recipe), folder: environment.executables)
        let journal = try Journal(path: directory.journalPath)
        let threads = topology.stage(of: .compute)?.threads ?? 1
        if let last = journal.epochs.last, last.computeThreads != threads, !options.allowsDifferentThreads {
            throw UserError(
                "\(directory.topologyPath): compute has \(threads) threads, but the run was trained with \(last.computeThreads), and another number changes the weights' last bits; 'picoflow launch --resume \(shellWord(directory.path)) --allow-different-threads' accepts that"
            )
        }
        let ranks = topology.stage(of: .compute)?.replicas ?? 1
        if let last = journal.epochs.last, last.ranks != ranks, !options.allowsDifferentRanks {
            throw UserError(
                "\(directory.topologyPath): compute has \(ranks) replica\(ranks == 1 ? "" : "s"), but the run was trained with \(last.ranks), and another number changes the weights' last bits; 'picoflow launch --resume \(shellWord(directory.path)) --allow-different-ranks' accepts that"
            )
        }
        var launch = Launch(
            directory: directory, recipe: recipe, topology: topology, resume: directory.newestCheckpoint,
            journal: journal,
            options: options)
        launch.namedCounts = Set(replicas.map { String($0.prefix { $0 != "=" }) })
        let control = try SocketsFolder(run: directory.path, environment: environment.variables).control
        let record = ProcessRecord.read(from: directory.processesPath)
        try ProcessTable.killAll(
            ProcessTable.unlisted(dialling: control.address, among: record?.processes ?? []))
        if let record, record.isOfAnotherRun(than: control) {
            // Nor shall `picoflow stop` find the other run by it.
            unlink(directory.processesPath)
        } else if let record {
            if !launch.isTrained, let last = journal.epochs.last,
                record.canBeTakenOver(
                    recipe: try launch.recipeHash, topology: topology, control: control,
                    executables: environment.executables)
            {
                launch.takeOver(record.survivors, startedFrom: last.from)
            } else {
                try record.killLeftovers()
                // Compute may have written another one before it was killed.
                launch.resume = directory.newestCheckpoint
            }
        }
        // Stages that live need no checkpoint: theirs may be pruned.
        if !launch.takesOver, !launch.isTrained, recipe.contrast.usesMemory, let newest = launch.resume,
            !FileManager.default.fileExists(atPath: newest.path + "/" + LogCheckpoint.fileName)
        {
            throw UserError(
                "\(newest.path) has no memory to go on with, as the last checkpoint of a finished run or one of a training without contrast; move it away to go on from the one before"
            )
        }
        return launch
    }

    private init(
        directory: RunDirectory, recipe: Recipe, topology: Topology, resume: Checkpoint?, journal: Journal,
        options: Options
    ) {
        self.directory = directory
        self.recipe = recipe
        self.topology = topology
        self.resume = resume
        self.journal = journal
        self.options = options
    }

    private mutating func takeOver(_ survivors: [ProcessTable.Entry], startedFrom step: UInt64?) {
        self.survivors = survivors
        resume = step.map {
            Checkpoint(step: $0, path: directory.checkpointsPath + "/" + Checkpoint.folderName(step: $0))
        }
    }

    private var recipeHash: String {
        get throws {
            guard let bytes = FileManager.default.contents(atPath: directory.recipePath) else {
                throw DurableFile.systemError("cannot read", directory.recipePath)
            }
            return SHA256.hex(String(decoding: bytes, as: UTF8.self))
        }
    }

    /// Whether stages of the run live and are taken over as they are.
    public var takesOver: Bool { survivors != nil }

    /// The step that the run, or the epoch that is taken over, goes on from; 0 at the beginning.
    public var startStep: UInt64 { resume?.step ?? 0 }

    /// Whether the newest checkpoint is the last one, so that only the evaluation is left.
    public var isTrained: Bool { startStep >= UInt64(recipe.schedule.iterations) }

    /// Runs all processes to the end.
    ///
    /// - Parameters:
    ///   - dataset: the recipe's, looked at by the caller.
    ///   - evaluation: measures the finished run; nil leaves that out.
    public func run(
        dataset: DatasetSummary, evaluation: (any CheckpointEvaluation)?, environment: SupervisorRunner.Environment,
        display: any ProgressDisplay
    ) throws -> RunOutcome {
        if isTrained, evaluation == nil {
            return .finished(step: startStep, checkpoint: resume?.path, evaluation: nil)
        }
        try directory.record(dataset, root: recipe.dataset.place)
        let sockets = SocketsFolder(run: directory.path, environment: environment.variables)
        var addresses = sockets.addresses
        var keys: KeysFolder?
        if let listen = topology.supervisor.listen {
            addresses = LinkAddresses(folder: sockets.path, listen: try Endpoint(listen))
            keys = KeysFolder(topology.keysFolder(inRun: directory.path))
            try keys?.prepare()
            // Before anything is done with stages that live.
            _ = try keys?.allowedKeys()
        }
        var plan = LaunchPlan(
            recipe: recipe, dataset: dataset, topology: topology,
            goal: isTrained ? .evaluate(checkpoint: resume!.path) : .train,
            runDirectory: directory.path, epoch: journal.epochs.last?.epoch ?? Epoch(0), resume: resume,
            addresses: addresses, keys: keys?.path,
            fingerprints: journal.fingerprints)
        // A supervisor that was killed could not write so; what it had begun ended with it.
        if !takesOver, let last = journal.entries.last {
            if case .ended = last {} else { try journal.append(.ended("failed: its supervisor died")) }
        }
        plan.history = journal.swaps
        plan.allotted = journal.allotted
        plan.skipped = journal.skipped
        if takesOver {
            plan.counts = journal.counts.filter { !namedCounts.contains($0.key) }
            plan.trained = MetricsFile.last(path: directory.path + "/metrics.jsonl")?.step
        } else {
            plan.epoch = journal.nextEpoch
            // Durable before any process is started under it.
            try journal.append(.epoch(plan.epochStart(plan.epoch, from: resume)))
            if !isTrained { try EvaluationRecord.forget(after: startStep, inRun: directory.path) }
        }
        if evaluation == nil {
            // Nobody would let go of what compute keeps for it.
            plan.recipe.evaluate.every = nil
        } else {
            plan.evaluations = EvaluationHistory(
                due: directory.checkpoints.filter {
                    EvaluationRecord.isAwaited(inRun: directory.path, step: $0.step, recipe)
                }, latest: journal.entries.evaluations(inRun: directory.path).last)
        }
        try sockets.make(keeping: takesOver)
        defer { sockets.remove() }
        let runner = SupervisorRunner(
            plan: plan,
            files: SupervisorRunner.RunFiles(
                directory: directory.path, journal: journal, processes: directory.processesPath,
                recipeHash: try recipeHash),
            control: try sockets.control, evaluation: evaluation, environment: environment, display: display,
            timing: options.timing)
        let outcome: RunOutcome
        do {
            outcome = try runner.run(takingOver: survivors)
        } catch {
            // A full disk may be why, and keep this from being written as well. What was to be taken over may live on.
            if !takesOver { try? journal.append(.ended("failed: \(errorLine(error))")) }
            throw error
        }
        try journal.append(.ended(outcome.summary))
        // The next start takes a new epoch, in which the bank begins with a checkpoint's snapshot: what it logged since is
        // gigabytes of a long run that nobody reads again. A failed run may be looked into.
        if case .failed = outcome {} else { try? FileManager.default.removeItem(atPath: directory.path + "/bank") }
        return outcome
    }
}

extension RunOutcome {
    /// One line for the journal and the terminal.
    public var summary: String {
        switch self {
        case .finished(let step, let checkpoint, _):
            "finished" + (step.map { " at step \($0)" } ?? "") + (checkpoint.map { ", \($0)" } ?? "")
        case .stopped(let step, let checkpoint):
            "stopped"
                + (checkpoint.map { ", checkpoint of step \(step ?? 0) in \($0)" } ?? " before the first checkpoint")
        case .failed(let message): "failed: \(message)"
        }
    }
}
