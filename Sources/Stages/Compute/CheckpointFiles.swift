import Basics
import Configuration
import Foundation
import NN
import StageKit
import Tensors
import Wire

/// A folder `checkpoints/step-NNNNNN/` of a run: all that training needs to go on from that step.
///
/// | file | holds |
/// |---|---|
/// | `model.safetensors` | parameters and buffers under the names of the published network, `projection.*` beside them |
/// | `optimizer.safetensors` | the optimiser's moments, by parameter name |
/// | `bank.snapshot` | the bank's snapshot of exactly this step; not in a finished run's last checkpoint |
/// | `manifest.json` | step, sizes and SHA-256 of the others, the bank's hash; written last |
///
/// It is written aside as `step-NNNNNN.partial`, synced and renamed, and a folder that is removed gets such a name first,
/// so a folder without `.partial` is whole. No file holds a time or a path: the same run gives the same bytes.
struct CheckpointFiles {
    struct Manifest: Codable, Equatable {
        struct File: Codable, Equatable {
            var name: String
            var bytes: Int
            var sha256: String
        }
        /// Of the folder's layout.
        var version = 1
        var step: UInt64
        var files: [File]
        /// The bank's chain hash at this step; nil where there is no memory.
        var memory: String?
        /// The recipe's sections that a resume must not change.
        var model: ModelSettings
        var classes: Int
    }

    static func folder(_ runDirectory: String, step: UInt64) -> String {
        runDirectory + "/checkpoints/" + Checkpoint.folderName(step: step)
    }

    /// Writes a checkpoint.
    ///
    /// - Parameter memory: has the bank write its snapshot into the folder given, and returns the file's name and the
    ///   bank's hash; nil where there is no memory to keep.
    /// - Returns: the folder.
    /// - Throws: where a file cannot be written; what was begun is removed then and older checkpoints are untouched.
    static func write(
        step: UInt64, trainer: Trainer, runDirectory: String,
        memory: ((_ folder: String) throws -> (file: String, hash: String))?
    ) throws -> String {
        let final = folder(runDirectory, step: step)
        let aside = final + ".partial"
        let old = final + ".old.partial"
        let files = FileManager.default
        try? files.removeItem(atPath: aside)
        do {
            try DurableFile.makeFolder(aside)
            try Safetensors.write(trainer.modelState(), to: aside + "/model.safetensors")
            try Safetensors.write(trainer.optimizerState(), to: aside + "/optimizer.safetensors")
            var names = ["model.safetensors", "optimizer.safetensors"]
            let bank = try memory?(aside)
            if let bank { names.append(bank.file) }
            let manifest = Manifest(
                step: step, files: try names.map { try describe($0, in: aside) }, memory: bank?.hash,
                model: trainer.recipe.model.anywhere, classes: trainer.classes)
            try DurableFile.write(manifest.prettyJSON(), to: aside + "/" + Checkpoint.manifest)
            // What is there already is incomplete, or training had gone on from it.
            try? files.removeItem(atPath: old)
            if rename(final, old) != 0, errno != ENOENT {
                throw DurableFile.systemError("cannot rename \(final) to", old)
            }
            guard rename(aside, final) == 0 else { throw DurableFile.systemError("cannot rename \(aside) to", final) }
            try DurableFile.syncFolder(of: final)
            try? files.removeItem(atPath: old)
        } catch {
            try? files.removeItem(atPath: aside)
            throw error
        }
        return final
    }

    /// Reads a checkpoint into a trainer.
    ///
    /// - Returns: the manifest.
    /// - Throws: `UserError` that names the file which is missing, damaged or of another model.
    static func load(_ folder: String, into trainer: Trainer) throws -> Manifest {
        let manifest = try manifest(of: folder)
        guard manifest.model.anywhere == trainer.recipe.model.anywhere, manifest.classes == trainer.classes else {
            throw UserError(
                "\(folder) is of another model: it has \(manifest.model.head.rawValue) on "
                    + "\(manifest.model.backbone.rawValue) for \(manifest.classes) classes, the recipe asks for "
                    + "\(trainer.recipe.model.head.rawValue) on \(trainer.recipe.model.backbone.rawValue) for "
                    + "\(trainer.classes), or differs in another key of 'model'")
        }
        for file in manifest.files {
            let found = try describe(file.name, in: folder)
            guard found == file else {
                throw UserError(
                    "\(folder)/\(file.name) is damaged: \(found.bytes) bytes with SHA-256 \(found.sha256); "
                        + "manifest.json says \(file.bytes) and \(file.sha256)")
            }
        }
        try trainer.load(
            model: Safetensors.read(folder + "/model.safetensors"),
            optimizer: Safetensors.read(folder + "/optimizer.safetensors"))
        return manifest
    }

    static func manifest(of folder: String) throws -> Manifest {
        let path = folder + "/" + Checkpoint.manifest
        guard let bytes = FileManager.default.contents(atPath: path) else {
            throw UserError("\(folder) is no complete checkpoint: it has no \(Checkpoint.manifest)")
        }
        do {
            return try JSONDecoder().decode(Manifest.self, from: bytes)
        } catch {
            throw UserError("\(path) cannot be read as a checkpoint's manifest")
        }
    }

    /// Removes all complete checkpoints but the newest `keep` and those that an evaluation waits for, and what was left
    /// half-written or half-removed. A folder without a manifest neither counts nor goes: it is nothing that this run left.
    static func prune(_ runDirectory: String, keep: Int, isPinned: (_ step: UInt64) -> Bool = { _ in false }) {
        let folder = runDirectory + "/checkpoints"
        let files = FileManager.default
        Checkpoint.prune(in: folder, keep: keep, isPinned: isPinned)
        for name in (try? files.contentsOfDirectory(atPath: folder)) ?? [] where name.hasSuffix(".partial") {
            try? files.removeItem(atPath: folder + "/" + name)
        }
    }

    private static func describe(_ name: String, in folder: String) throws -> Manifest.File {
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: folder + "/" + name), options: .mappedIfSafe) else {
            throw UserError("\(folder)/\(name) is missing")
        }
        return Manifest.File(name: name, bytes: data.count, sha256: data.withUnsafeBytes { SHA256.hex($0) })
    }
}
