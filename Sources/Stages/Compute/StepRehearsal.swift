import Basics
import Configuration
import Contrast
import Models
import Tensors

/// Training steps without other stages: the very trainer of a run on one mini-batch of noise, by cross-entropy alone. For
/// benchmarks.
public final class StepRehearsal {
    private let trainer: Trainer
    private let batch: Batch
    private var step: UInt64 = 0

    /// What a run exports: without a projection head.
    public var parameterCount: Int { trainer.network.parameterCount }

    /// - Parameter recipe: its contrast is left out, so that steps need no miners.
    public init(_ recipe: Recipe, classes: Int, device: Device = .cpu) throws {
        var recipe = recipe
        recipe.contrast.enabled = false
        trainer = try Trainer(recipe: recipe, classes: classes, device: device)
        let (height, width) = (recipe.augmentation.crop[0], recipe.augmentation.crop[1])
        let samples = (0..<recipe.schedule.batch).map { row in
            var random = KeyedRandom(seed: recipe.seed, purpose: "rehearsal", index: UInt64(row))
            let pixels = (0..<height * width * 3).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let labels = (0..<height * width).map { _ in UInt8(random.next() % UInt64(classes)) }
            return Sample(image: ImageID(row), pixels: SharedBytes(pixels), labels: SharedBytes(labels))
        }
        batch = try Batch(samples, height: height, width: width)
    }

    /// One step. Returns the milliseconds of its parts: `forward`, `backwardHead` with the loss, `backwardBackbone`,
    /// `optimizer`.
    ///
    /// - Throws: `UserError` where the loss is no number.
    public func callAsFunction() throws -> [String: Double] {
        step += 1
        var watch = Stopwatch()
        try Torch.seed(step)
        let pass = try trainer.forward(batch, learnsEmbedding: false)
        watch.lap(.forward)
        let loss = try trainer.backwardFromScores(pass, batch: batch).main
        watch.lap(.backwardHead)
        try trainer.backwardThroughBackbone(pass)
        watch.lap(.backwardBackbone)
        _ = try trainer.update(step: step, embedding: false)
        watch.lap(.optimizer)
        guard loss.isFinite else { throw UserError("the loss of step \(step) is \(loss)") }
        return watch.milliseconds
    }
}
