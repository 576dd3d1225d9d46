import Basics
import Configuration
import Foundation

/// `evaluations/step-NNNNNN.json` of a run: what came of the evaluation after a step, its failure included.
///
/// The supervisor writes them. A checkpoint that an evaluation is due of stays until its record is there, whoever was
/// killed meanwhile, and a step that has one is not evaluated again.
public enum EvaluationRecord {
    public static func path(inRun directory: String, step: UInt64) -> String {
        "\(directory)/evaluations/\(Checkpoint.folderName(step: step)).json"
    }

    public static func isThere(inRun directory: String, step: UInt64) -> Bool {
        FileManager.default.fileExists(atPath: path(inRun: directory, step: step))
    }

    /// Whether the checkpoint of a step is still to be evaluated while the run trains.
    public static func isAwaited(inRun directory: String, step: UInt64, _ recipe: Recipe) -> Bool {
        recipe.isEvaluated(after: step) && !isThere(inRun: directory, step: step)
    }

    /// Removes what was measured behind a step, pictures too: a run that goes on from there, as somebody moved its newer
    /// checkpoints away, trains those steps anew and may come to other networks.
    public static func forget(after step: UInt64, inRun directory: String) throws {
        let files = FileManager.default
        let folder = directory + "/evaluations"
        for name in (try? files.contentsOfDirectory(atPath: folder)) ?? [] {
            let stem = name.hasSuffix(".json") ? String(name.dropLast(5)) : name
            guard let measured = Checkpoint.step(inPath: stem), measured > step else { continue }
            try files.removeItem(atPath: folder + "/" + name)
        }
        // Of the finished network, which there is none any more.
        if unlink(directory + "/evaluation.json") != 0, errno != ENOENT {
            throw DurableFile.systemError("cannot remove", directory + "/evaluation.json")
        }
    }

    /// Writes a record, durably.
    public static func write(_ json: String, inRun directory: String, step: UInt64) throws {
        let path = path(inRun: directory, step: step)
        let folder = (path as NSString).deletingLastPathComponent
        if mkdir(folder, 0o777) != 0, errno != EEXIST { throw DurableFile.systemError("cannot make folder", folder) }
        try DurableFile.write(json + "\n", to: path)
    }
}
