import Basics
import Configuration
import Foundation

/// What an evaluation found of the network after a step: in the journal, a line of `metrics.jsonl`, in `picoflow status`.
public struct EvaluationScores: Codable, Sendable, Equatable {
    public var step: UInt64
    /// What it was measured on.
    public var split: String
    /// Nil where no pixel was counted, as the others.
    public var mIoU: Double?
    public var pixelAccuracy: Double?
    public var meanAccuracy: Double?

    public init(step: UInt64, split: String, mIoU: Double?, pixelAccuracy: Double?, meanAccuracy: Double?) {
        self.step = step
        self.split = split
        self.mIoU = mIoU
        self.pixelAccuracy = pixelAccuracy
        self.meanAccuracy = meanAccuracy
    }

    /// `mIoU 41.30 % on val`
    public var text: String { "mIoU \(mIoU.map { String(format: "%.2f %%", 100 * $0) } ?? "absent") on \(split)" }
}

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

    /// Writes a record, durably.
    public static func write(_ json: String, inRun directory: String, step: UInt64) throws {
        let path = path(inRun: directory, step: step)
        let folder = (path as NSString).deletingLastPathComponent
        if mkdir(folder, 0o777) != 0, errno != EEXIST { throw DurableFile.systemError("cannot make folder", folder) }
        try DurableFile.write(json + "\n", to: path)
    }
}

extension Checkpoint {
    /// Removes all complete checkpoints in a folder but the newest `keep` and those that are pinned.
    public static func prune(in folder: String, keep: Int, isPinned: (_ step: UInt64) -> Bool = { _ in false }) {
        for checkpoint in list(in: folder).dropLast(max(1, keep)) where !isPinned(checkpoint.step) {
            // Renamed first: half of its files, with the manifest among them, would pass for a checkpoint.
            let aside = checkpoint.path + ".partial"
            rename(checkpoint.path, aside)
            try? FileManager.default.removeItem(atPath: aside)
        }
    }
}
