import Basics
import Foundation

/// A complete checkpoint of a run: a folder `checkpoints/step-NNNNNN` with its manifest, which is written last.
public struct Checkpoint: Equatable, Sendable {
    public var step: UInt64
    public var path: String

    public init(step: UInt64, path: String) {
        self.step = step
        self.path = path
    }

    public static let manifest = "manifest.json"

    /// The folder of a step's checkpoint, `step-000500`.
    public static func folderName(step: UInt64) -> String { "step-" + step.digits(6) }

    /// The step that a checkpoint's path names; nil for a folder of another name.
    public static func step(inPath path: String) -> UInt64? {
        let name = (path as NSString).lastPathComponent
        guard name.hasPrefix("step-"), let step = UInt64(name.dropFirst(5)), folderName(step: step) == name else {
            return nil
        }
        return step
    }

    /// The complete checkpoints in a folder, oldest first. What a crash left half-written is passed over.
    public static func list(in folder: String) -> [Checkpoint] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.compactMap { name -> Checkpoint? in
            guard let step = step(inPath: name) else { return nil }
            let path = folder + "/" + name
            guard let bytes = FileManager.default.contents(atPath: path + "/" + manifest),
                (try? JSONSerialization.jsonObject(with: bytes)) is [String: Any]
            else { return nil }
            return Checkpoint(step: step, path: path)
        }.sorted { $0.step < $1.step }
    }

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
