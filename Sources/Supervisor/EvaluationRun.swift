import Basics
import Configuration
import Foundation
import StageKit
import Wire

/// An evaluation beside or after a run: evaluator processes and their consumer, without training.
public enum EvaluationRun {
    /// Evaluates a checkpoint of a run, also of one that is being trained.
    ///
    /// - Parameters:
    ///   - checkpoint: a folder with `model.safetensors`.
    ///   - recipe: whose dataset and model are meant; may differ from the run's in what is evaluated.
    ///   - device: of the evaluators; the topology's where nil.
    ///   - threads: of each; the topology's where nil.
    public static func run(
        runDirectory path: String, checkpoint: String, recipe: Recipe, dataset: DatasetSummary, topology: Topology,
        device: Device? = nil, threads: Int? = nil, evaluation: any CheckpointEvaluation,
        environment: SupervisorRunner.Environment, display: any ProgressDisplay
    ) throws -> EvaluationReport {
        let path = try RunDirectory.absolute(path)
        var topology = topology.withThreads(processors: ProcessInfo.processInfo.activeProcessorCount)
        let sockets = SocketsFolder(run: path, suffix: " evaluation \(getpid())", environment: environment.variables)
        try sockets.make()
        defer { sockets.remove() }
        // Its own folder of logs: the run's own evaluators may be at work. A run that one may only read has none.
        let files =
            access(path, W_OK) == 0
            ? path + "/evaluation"
            : "\(NSTemporaryDirectory())/picoflow-evaluation-\(getuid())-\(SHA256.hex(path).prefix(16))"
        try DurableFile.makeFolder(files + "/logs")
        let own = try folder(in: files)
        defer { withExtendedLifetime(own.lock) { try? FileManager.default.removeItem(atPath: own.path) } }
        topology.stages =
            topology.stages.filter { $0.kind != .evaluator }
            + topology.evaluators.map { stage in
                var stage = stage
                if let device { stage.device = DeviceChoice([device]) }
                if let threads { stage.threads = threads }
                return stage
            }
        var plan = LaunchPlan(
            recipe: recipe, dataset: dataset, topology: topology,
            goal: .evaluate(checkpoint: try keep(checkpoint, in: own.path)), runDirectory: path, epoch: Epoch(1),
            addresses: sockets.addresses)
        plan.logs = files + "/logs"
        try StageCommand.check(plan.topology.evaluators, folder: environment.executables)
        let runner = SupervisorRunner(
            plan: plan, files: SupervisorRunner.RunFiles(directory: files, journal: nil, processes: nil),
            control: try sockets.control, evaluation: evaluation, environment: environment, display: display)
        switch try runner.run() {
        case .finished(_, _, let report?): return report
        case .finished, .stopped: throw UserError("the evaluation was stopped")
        case .failed(let message): throw UserError(message)
        }
    }

    /// A folder of one evaluation's own, locked while it works. Process ids are no names: containers share them. What
    /// evaluations that were killed have left, which keeps the models of checkpoints that training has removed, goes.
    ///
    /// - Returns: no lock where the file system knows none; then nothing of others can be locked either, and all of it stays.
    private static func folder(in files: String) throws -> (path: String, lock: FileLock?) {
        // On files, as a share tells other hosts of no locks on folders.
        let beginning = try? FileLock(path: files + "/lock", use: "another evaluation begins in \(files)")
        defer { withExtendedLifetime(beginning) {} }
        // Whatever has another name is the user's.
        for name in try FileManager.default.contentsOfDirectory(atPath: files)
        where name.count == 16 && name.allSatisfy(\.isHexDigit) {
            let path = files + "/" + name
            guard let lock = try? FileLock(path: path + "/lock", use: path, patience: .zero) else { continue }
            withExtendedLifetime(lock) { try? FileManager.default.removeItem(atPath: path) }
        }
        let path = "\(files)/\(Incarnation.fresh())"
        try DurableFile.makeFolder(path)
        return (path, try? FileLock(path: path + "/lock", use: "\(path) is in use"))
    }

    /// Links what is evaluated of a checkpoint, which training may remove meanwhile.
    ///
    /// - Returns: the links' folder; the checkpoint's own where the file system has no links.
    private static func keep(_ checkpoint: String, in folder: String) throws -> String {
        let kept = folder + "/" + (checkpoint as NSString).lastPathComponent
        try DurableFile.makeFolder(kept)
        for file in ["model.safetensors", Checkpoint.manifest]
        where link(checkpoint + "/" + file, kept + "/" + file) != 0 { return checkpoint }
        return kept
    }
}
