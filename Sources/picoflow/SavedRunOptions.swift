import ArgumentParser
import Basics
import Foundation
import StageKit
import Supervisor

/// `--run DIR [--checkpoint STEP]`, or the newest run under `runs/`: which network is meant.
struct SavedRunOptions: ParsableArguments {
    @Option(
        name: .customLong("run"),
        help: ArgumentHelp("The run's directory; the newest one under runs/ where missing.", valueName: "dir"),
        completion: .directory)
    var run: String?

    @Option(
        name: .customLong("checkpoint"),
        help: ArgumentHelp(
            "A checkpoint's step or folder; the newest complete one where missing.", valueName: "step|dir"),
        completion: .directory)
    var checkpoint: String?

    /// - Returns: the run's directory and the checkpoint's folder, both absolute.
    /// - Throws: `UserError` where there is no such run or checkpoint.
    func resolve() throws -> (run: String, checkpoint: String) {
        guard let named = run ?? RunDirectory.newest(in: "runs") else {
            throw UserError("there is no run under runs/; name one by --run")
        }
        guard FileManager.default.fileExists(atPath: named + "/recipe.yaml") else {
            let exists = FileManager.default.fileExists(atPath: named)
            throw UserError("\(named) \(exists ? "is no run directory: it has no recipe.yaml" : "does not exist")")
        }
        let run = try RunDirectory.absolute(named)
        return (run, try Checkpoint.chosen(checkpoint, inRun: run))
    }
}
