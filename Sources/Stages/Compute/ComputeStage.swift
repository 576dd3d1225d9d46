import Basics
import Configuration
import Contrast
import Foundation
import Models
import StageKit
import Tensors
import Wire

/// What `picoflow-compute` does: trains the network on the loaders' samples and the miners' gradients.
public enum ComputeStage {
    public static func run(_ runtime: StageRuntime) throws {
        let configuration = runtime.configuration
        let device = configuration.device
        try Torch.checkDevice(device)
        try Torch.setThreads(configuration.threads)
        runtime.report(.preparing)

        if let warning = configuration.recipe.model.precision.warning(on: device) { runtime.warn(warning) }
        let recipe = configuration.recipe
        if recipe.contrast.enabled, recipe.schedule.warmup >= recipe.schedule.iterations {
            runtime.warn(
                "contrast never sets in: schedule.warmup \(recipe.schedule.warmup) covers all \(recipe.schedule.iterations) iterations"
            )
        }
        let ranks = try Ranks(meeting: runtime, device: device)
        let trainer = try Trainer(
            recipe: recipe, classes: configuration.dataset.classes.count, device: device,
            group: ranks.group, resumes: configuration.resume != nil)
        if let report = trainer.pretrained { runtime.logger.info("pretrained weights: \(report.line)") }
        var done: UInt64 = 0
        if let folder = configuration.resume { done = try CheckpointFiles.load(folder, into: trainer).step }
        do {
            try TrainingLoop(runtime: runtime, ranks: ranks, trainer: trainer, after: done).run()
        } catch let error where runtime.stop.isAbandoned {
            // A step in hand is lost and no half of it may become a checkpoint: a resume takes the newest one there is.
            runtime.logger.warning("ended without a checkpoint: \(errorLine(error))")
        } catch let error as LogError where error.isLossOfState {
            throw RecoverableFailure("\(error)", remedy: .rollback)
        } catch let error as TensorError where error.kind == .lostRanks {
            // All ranks go back to the checkpoint together.
            throw RecoverableFailure("\(error)", remedy: .rollback)
        }
    }

    /// libtorch's version; kernels that differ show in the hash of a small convolution and its exponentials, and those of
    /// bf16, which processors with and without instructions for it round differently, under a name of their own.
    public static func fingerprint() throws -> Fingerprint {
        func pattern(_ count: Int, _ step: Int) -> [Float] {
            (0..<count).map { index -> Float in Float((index * step) % 64) / 64 - 0.5 }
        }
        let input = try Tensor(pattern(2 * 8 * 9 * 9, 7919), shape: [2, 8, 9, 9])
        let weight = try Tensor(pattern(8 * 8 * 3 * 3, 104_729), shape: [8, 8, 3, 3])
        let output = try input.channelsLast().conv2d(weight, padding: Size2D(1, 1)).softmax(dim: 1)
        let bytes = try output.bytes()
        let narrow = try ModelSettings.Precision.bf16.compute(on: .cpu) {
            try input.channelsLast().conv2d(weight, padding: Size2D(1, 1)).widened()
        }
        let versions = ["libtorch": Torch.version, Fingerprint.bf16: try String(SHA256.hex(narrow.bytes()).prefix(12))]
        return Fingerprint.compute(versions: versions) { $0.update(bytes) }
    }
}
