import Basics
import Configuration
import Foundation
import StageKit
import Tensors
import Testing
import TestSupport
import Wire

@testable import ComputeStage

/// What is on the disk when a checkpoint's writing, or removing, ends at any point.
@Suite(.serialized) struct CheckpointFilesTests {
    let folder = try! TemporaryFolder("checkpoints")
    private let files = FileManager.default

    private static func trainer() throws -> Trainer {
        var recipe = Recipe()
        recipe.model.embedding = 16
        recipe.model.atrousRates = [1, 2, 3]
        return try Trainer(recipe: recipe, classes: 4, device: .cpu)
    }

    private var steps: [UInt64] { Checkpoint.list(in: folder("checkpoints")).map(\.step) }
    private var names: [String] {
        ((try? files.contentsOfDirectory(atPath: folder("checkpoints"))) ?? []).sorted()
    }

    private func make(_ name: String, _ contents: [String]) throws {
        try files.createDirectory(atPath: folder("checkpoints/\(name)"), withIntermediateDirectories: true)
        for file in contents { try folder.write("{}", to: "checkpoints/\(name)/\(file)") }
    }

    @Test func checkpointsThatAnEvaluationWaitsForStay() throws {
        for step in 1...6 { try make(Checkpoint.folderName(step: UInt64(step)), ["manifest.json"]) }
        CheckpointFiles.prune(folder.path, keep: 2) { [2, 6].contains($0) }
        #expect(steps == [2, 5, 6])
        Checkpoint.prune(in: folder("checkpoints"), keep: 2)
        #expect(names == ["step-000005", "step-000006"])
    }

    @Test func recipesSayWhichStepsAreEvaluatedOnTheWay() throws {
        var recipe = Recipe()
        recipe.schedule.iterations = 10
        #expect((1...10).allSatisfy { !recipe.isEvaluated(after: $0) })
        recipe.evaluate.every = 5
        #expect((0...11).filter { recipe.isEvaluated(after: $0) } == [5])
        #expect(EvaluationRecord.isAwaited(inRun: folder.path, step: 5, recipe))
        try EvaluationRecord.write("{}", inRun: folder.path, step: 5)
        #expect(!EvaluationRecord.isAwaited(inRun: folder.path, step: 5, recipe))
        #expect(folder.read("evaluations/step-000005.json") == "{}\n")
    }

    @Test func failureLeavesNothingOfItAndTheOlderOnesAsTheyWere() throws {
        let trainer = try Self.trainer()
        _ = try CheckpointFiles.write(step: 1, trainer: trainer, runDirectory: folder.path, memory: nil)
        #expect {
            _ = try CheckpointFiles.write(step: 2, trainer: trainer, runDirectory: folder.path) { aside in
                #expect(files.fileExists(atPath: aside + "/model.safetensors"))
                throw LogError.refused(.storage, "cannot write bank.snapshot: No space left on device")
            }
        } throws: { "\($0)".contains("No space left") }
        #expect(names == ["step-000001"] && steps == [1])
        _ = try CheckpointFiles.load(folder("checkpoints/step-000001"), into: trainer)
    }

    /// A manifest that cannot be written, as its name is taken by a folder.
    @Test func failureAtTheManifestNamesIt() throws {
        let trainer = try Self.trainer()
        #expect {
            _ = try CheckpointFiles.write(step: 2, trainer: trainer, runDirectory: folder.path) { aside in
                try files.createDirectory(
                    atPath: aside + "/manifest.json/x", withIntermediateDirectories: true)
                try DurableFile.write("memory", to: aside + "/bank.snapshot")
                return ("bank.snapshot", "hash")
            }
        } throws: { "\($0)".contains("step-000002.partial/manifest.json") }
        #expect(names.isEmpty)
    }

    @Test(arguments: [
        ["model.safetensors"], ["model.safetensors", "optimizer.safetensors", "bank.snapshot"],
        ["model.safetensors", "optimizer.safetensors", "bank.snapshot", "manifest.json"],
    ])
    func whatAKillLeavesIsPassedOverAndWrittenAnew(contents: [String]) throws {
        let trainer = try Self.trainer()
        _ = try CheckpointFiles.write(step: 1, trainer: trainer, runDirectory: folder.path, memory: nil)
        try make("step-000002.partial", contents)
        #expect(steps == [1])
        let written = try CheckpointFiles.write(step: 2, trainer: trainer, runDirectory: folder.path, memory: nil)
        #expect(steps == [1, 2])
        #expect(try CheckpointFiles.load(written, into: trainer).step == 2)
        CheckpointFiles.prune(folder.path, keep: 2)
        #expect(names == ["step-000001", "step-000002"])
    }

    /// 9 x 16 positions are as many as 12 x 12; what takes the file over must know which they are.
    @Test func positionsAreWrittenWithTheirGrid() throws {
        var recipe = Recipe()
        recipe.model.head = .segmenter
        recipe.model.backbone = .vitt16
        recipe.model.width = 0.25
        recipe.model.embedding = 16
        recipe.model.imageSize = [144, 256]
        let trainer = try Trainer(recipe: recipe, classes: 4, device: .cpu)
        let written = try CheckpointFiles.write(step: 1, trainer: trainer, runDirectory: folder.path, memory: nil)
        #expect(try Safetensors.read(written + "/model.safetensors").metadata == ["position_grid": "9x16"])
        #expect(try CheckpointFiles.load(written, into: trainer).step == 1)
    }

    @Test func incompleteFolderInTheWayIsReplaced() throws {
        let trainer = try Self.trainer()
        try make("step-000002", ["model.safetensors"])
        #expect(steps.isEmpty)
        _ = try CheckpointFiles.write(step: 2, trainer: trainer, runDirectory: folder.path, memory: nil)
        #expect(steps == [2] && names == ["step-000002"])
    }

    // MARK: Pruning

    @Test func incompleteOnesDoNotCount() throws {
        for step in 1...4 { try make("step-00000\(step)", step == 4 ? ["model.safetensors"] : ["manifest.json"]) }
        CheckpointFiles.prune(folder.path, keep: 2)
        #expect(steps == [2, 3])
        CheckpointFiles.prune(folder.path, keep: 0)
        #expect(steps == [3], "the newest complete one stays")
    }

    @Test func removalThatWasCutShortIsNoCheckpoint() throws {
        try make("step-000001.partial", ["manifest.json"])
        try make("step-000002", ["manifest.json"])
        try make("step-000002.old.partial", ["manifest.json"])
        #expect(steps == [2])
        CheckpointFiles.prune(folder.path, keep: 3)
        #expect(names == ["step-000002"])
    }
}
