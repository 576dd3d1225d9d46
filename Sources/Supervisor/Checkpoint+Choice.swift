import Basics
import Foundation
import StageKit

/// Which checkpoint of a run somebody means.
extension Checkpoint {
    /// The newest complete checkpoint, or the one that `choice` names: a step's number, or a folder.
    ///
    /// - Parameters:
    ///   - choice: `500`, or a path; one like `step-000500` may also be relative to the run's checkpoints.
    ///   - run: the run's directory.
    /// - Returns: the folder's absolute path: other processes open it.
    /// - Throws: `UserError` that says which checkpoints there are.
    public static func chosen(_ choice: String?, inRun run: String) throws -> String {
        let folder = run + "/checkpoints"
        let complete = list(in: folder)
        guard let choice else {
            guard let newest = complete.last else { throw UserError("\(folder): holds no complete checkpoint yet") }
            return try RunDirectory.absolute(newest.path)
        }
        if let step = UInt64(choice) {
            if let found = complete.first(where: { $0.step == step }) { return try RunDirectory.absolute(found.path) }
            let steps = complete.map { "\($0.step)" }.joined(separator: ", ")
            throw UserError(
                "\(folder): holds no complete checkpoint of step \(step)"
                    + (steps.isEmpty ? ", and no other" : "; those there are: \(steps)"))
        }
        for path in [choice, folder + "/" + choice]
        where FileManager.default.fileExists(atPath: path + "/model.safetensors") {
            return try RunDirectory.absolute(path)
        }
        throw UserError("\(choice): is no checkpoint (it has no model.safetensors) and no step's number")
    }

    /// The step that a checkpoint's folder was written at, by its manifest; nil for a folder without one.
    static func step(ofFolder path: String) -> UInt64? {
        struct Manifest: Decodable { var step: UInt64 }
        guard let bytes = FileManager.default.contents(atPath: path + "/" + manifest) else { return nil }
        return (try? JSONDecoder().decode(Manifest.self, from: bytes))?.step
    }
}

extension RunDirectory {
    /// Oldest first.
    public var checkpoints: [Checkpoint] { Checkpoint.list(in: checkpointsPath) }

    public var newestCheckpoint: Checkpoint? { checkpoints.last }
}
