import Basics
import Foundation
import StageKit

/// A run on disk, `runs/NAME/`: what was asked for, what happened, what came out.
///
/// ```
/// recipe.yaml topology.yaml   resolved, as `--resume` reads them
/// journal.jsonl               epochs and all else that a replay must obey
/// metrics.jsonl               one line per step, written by compute, and one per evaluation
/// ledger.jsonl                what each step was made of, which a step done again must reproduce
/// checkpoints/step-NNNNNN/    complete where manifest.json is there
/// evaluations/step-NNNNNN.json   what was measured of that step's network, each class's IoU too
/// evaluations/step-NNNNNN/    pictures of the newest evaluation, see `EvaluationPictures`
/// evaluation.json             the same of the finished network
/// logs/STAGE-N.log            what each process said; logs/supervisor.log what the launch showed
/// processes.json              who runs now, for a supervisor that takes over after a crash
/// supervisor.lock             held while a supervisor lives
/// ```
///
/// An instance holds the lock as long as it lives.
public final class RunDirectory {
    /// Absolute, without symbolic links: the same run has one path, whoever asks.
    public let path: String
    private let lock: RunLock

    public var name: String { (path as NSString).lastPathComponent }
    public var recipePath: String { path + "/recipe.yaml" }
    public var topologyPath: String { path + "/topology.yaml" }
    public var datasetPath: String { path + "/dataset.json" }
    public var journalPath: String { path + "/journal.jsonl" }
    public var logsPath: String { path + "/logs" }
    public var checkpointsPath: String { path + "/checkpoints" }
    var processesPath: String { path + "/processes.json" }

    private init(path: String, lock: RunLock) {
        self.path = path
        self.lock = lock
    }

    /// Makes the directory of a new run and locks it.
    ///
    /// - Throws: `UserError` where it holds a run already (with what to do), where another supervisor has it (with who),
    ///   or where it cannot be made.
    public static func create(_ path: String) throws -> RunDirectory {
        if FileManager.default.fileExists(atPath: path), !isFolder(path) {
            throw UserError("\(path) is a file; name a directory by --run")
        }
        if let contents = try? FileManager.default.contentsOfDirectory(atPath: path), !contents.isEmpty {
            // In use is the better news: a live run is not to be resumed either.
            if RunLock.isHeld(path) { _ = try RunLock(directory: path) }
            guard Set(contents).isSubset(of: unbegun), isEmpty(path + "/checkpoints"),
                FileManager.default.contents(atPath: path + "/journal.jsonl")?.isEmpty ?? true
            else {
                throw UserError(
                    "\(path) exists and is not empty; go on with that run by 'picoflow launch --resume \(shellWord(path))', or name another directory by --run"
                )
            }
        }
        try DurableFile.makeFolder(path)
        let directory = RunDirectory(path: try absolute(path), lock: try RunLock(directory: path))
        try DurableFile.makeFolder(directory.logsPath)
        try DurableFile.makeFolder(directory.checkpointsPath)
        return directory
    }

    /// What may be there before a run begins: keys, and what a start leaves that was cut off before it wrote the recipe, the
    /// last of its files.
    private static let unbegun: Set = [
        "supervisor.lock", "keys", "logs", "checkpoints", "journal.jsonl", "topology.yaml", "topology.yaml.partial",
        "recipe.yaml.partial",
    ]

    private static func isEmpty(_ folder: String) -> Bool {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).isEmpty
    }

    /// Removes the directory of a run that was cut off before it trained.
    ///
    /// - Throws: `UserError` where it holds anything that such a run does not leave.
    static func removeUntrained(_ path: String) throws {
        let expected: Set = [
            "recipe.yaml", "topology.yaml", "dataset.json", "journal.jsonl", "logs", "checkpoints", "keys",
            "supervisor.lock",
        ]
        // A file that was being written has a name aside.
        let names = try FileManager.default.contentsOfDirectory(atPath: path).map { name in
            name.hasSuffix(".partial") ? String(name.dropLast(8)) : name
        }
        guard isEmpty(path + "/checkpoints"), Set(names).isSubset(of: expected) else {
            throw UserError(
                "\(path) has no journal of a run, but holds more than a run that was cut off at its start; move it away or remove it"
            )
        }
        // Keys may be made before their run, and `create` takes a folder that holds them.
        for name in try FileManager.default.contentsOfDirectory(atPath: path) where name != "keys" {
            try FileManager.default.removeItem(atPath: path + "/" + name)
        }
    }

    /// Locks the directory of a run that was started before.
    public static func resume(_ path: String) throws -> RunDirectory {
        let path = try absolute(path)
        for file in ["recipe.yaml", "topology.yaml", "journal.jsonl"] {
            guard FileManager.default.fileExists(atPath: path + "/" + file) else {
                throw UserError("\(path) is no run directory: it has no \(file)")
            }
        }
        let directory = RunDirectory(path: path, lock: try RunLock(directory: path))
        try DurableFile.makeFolder(directory.logsPath)
        try DurableFile.makeFolder(directory.checkpointsPath)
        return directory
    }

    /// Writes what was resolved, so that a resume trains the same. The recipe comes last: where it is, all is.
    public func save(recipe: String, topology: String) throws {
        try DurableFile.write(topology, to: topologyPath)
        try DurableFile.write(recipe, to: recipePath)
    }

    /// Writes what the dataset is; where it was written before, checks that it still is so.
    ///
    /// - Throws: `UserError` where the dataset is no longer the one that the run was started with.
    public func record(_ dataset: DatasetSummary, root: String) throws {
        guard FileManager.default.fileExists(atPath: datasetPath) else { return try dataset.write(to: datasetPath) }
        try dataset.checkUnchanged(since: DatasetSummary(contentsOf: datasetPath), root: root)
    }

    public func logPath(of replica: CustomStringConvertible) -> String { "\(logsPath)/\(replica).log" }

    /// Where a run's directory really is.
    ///
    /// - Throws: `UserError` where there is none.
    public static func absolute(_ path: String) throws -> String {
        guard let resolved = realpath(path, nil) else {
            throw DurableFile.systemError("cannot find run directory", path)
        }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// Whether a supervisor is at work on the run.
    public static func isLive(_ path: String) -> Bool { RunLock.isHeld(path) }

    /// The run under `folder` that was started last among those at work now.
    public static func newestLive(in folder: String) -> String? {
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
        let live = names.map { folder + "/" + $0 }.filter { isLive($0) }
        return live.max { started($0) < started($1) }
    }

    /// The run under `folder` that was started or resumed last, at work or not.
    public static func newest(in folder: String) -> String? {
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
        let runs = names.map { folder + "/" + $0 }.filter {
            FileManager.default.fileExists(atPath: $0 + "/recipe.yaml")
        }
        return runs.max { started($0) < started($1) }
    }

    /// When the lock's file was last written, that is when its holder started, in nanoseconds since 1970.
    private static func started(_ path: String) -> Int {
        var status = stat()
        guard stat(path + "/supervisor.lock", &status) == 0 else { return 0 }
        return status.st_mtim.tv_sec * 1_000_000_000 + status.st_mtim.tv_nsec
    }
}
