import Basics
import Configuration
import Contrast
import Foundation
import StageKit
import Tensors
import Wire

/// The steps of a run, one after another: batch, forward, anchors to the miners, keys to the bank, cross-entropy's
/// backward pass while they work, the backbone's backward pass, update.
final class TrainingLoop {
    private let runtime: StageRuntime
    private let recipe: Recipe
    private let trainer: Trainer
    private var feed: SampleFeed
    private var miners: MiningClient?
    private let log: LogWriter?
    private let metrics: MetricsFile
    private let ledger: Ledger
    private let pools: [PoolConsumer]
    private var step: UInt64
    /// Images per second, smoothed over about the last 20 steps.
    private var rate: Double?

    /// - Parameter done: steps that the trainer's state already holds.
    init(runtime: StageRuntime, trainer: Trainer, after done: UInt64) throws {
        let configuration = runtime.configuration
        self.runtime = runtime
        self.trainer = trainer
        let recipe = configuration.recipe
        self.recipe = recipe
        step = done
        let events: @Sendable (PoolEvent) -> Void = { [logger = runtime.logger] in logger.info("\($0)") }
        func pool(_ link: LinkName) throws -> PoolConsumer {
            try PoolConsumer(
                endpoint: configuration.endpoint(link), as: runtime.sender, epoch: configuration.epoch,
                context: runtime.context, settings: configuration.poolSettings,
                strictFingerprint: recipe.determinism == .strict, onEvent: events)
        }
        let samples = try pool(.samples)
        var pools = [samples]
        if recipe.contrast.enabled {
            let mining = try pool(.mining)
            pools.append(mining)
            miners = MiningClient(pool: mining, recipe: recipe)
            let writer = try LogWriter(
                connect: configuration.endpoint(.memory), as: runtime.sender, context: runtime.context,
                onNote: { [logger = runtime.logger] in logger.info("\($0)") })
            // The bank may still be reading its snapshot.
            _ = try writer.open(epoch: configuration.epoch, at: SequenceNumber(done), timeout: .seconds(120))
            log = writer
        } else {
            log = nil
        }
        self.pools = pools
        runtime.setMetrics { [pools] in
            let links = [LinkName.samples, .mining]
            return zip(links, pools).reduce(into: [:]) { all, pair in
                all.merge(pair.1.statistics.frames.metrics(pair.0.rawValue)) { $1 }
            }
        }
        metrics = try MetricsFile(path: configuration.runDirectory + "/metrics.jsonl", continuingAfter: done)
        // Only a CPU's sums have a fixed order.
        ledger = try Ledger(
            path: configuration.runDirectory + "/ledger.jsonl", continuingAfter: done,
            arithmetic: "libtorch \(Torch.version), \(configuration.threads) threads",
            isEnforced: recipe.determinism == .strict && trainer.device == .cpu)
        feed = try SampleFeed(
            pool: samples, recipe: recipe, images: configuration.dataset.images, padding: trainer.padding, after: done)
    }

    /// Trains until the recipe's last step or a stop; either ends with a checkpoint.
    func run() throws {
        runtime.report(.running)
        let last = UInt64(recipe.schedule.iterations)
        while step < last {
            guard !runtime.stop.isStopped else { break }
            do {
                try train(step + 1)
            } catch is Stopped {
                break
            }
            step += 1
            let due = step % UInt64(recipe.checkpoints.every) == 0 || runtime.takeCheckpointRequest()
            if due && step < last { try checkpoint() }
        }
        let folder = try checkpoint()
        if step == last { runtime.finished(step: step, checkpoint: folder) }
        for pool in pools { pool.close() }
        log?.close()
    }

    /// A stop was asked for while the step waited for another stage: the step is not taken.
    private struct Stopped: Error {}

    /// A step that waits may be given up before its update; one that does not is finished.
    private func giveUpOnStop() throws {
        if runtime.stop.isStopped { throw Stopped() }
    }

    private func train(_ step: UInt64) throws {
        var watch = Stopwatch()
        runtime.report(.waiting, waitingOn: "samples")
        let batch = try feed.next(check: giveUpOnStop)
        runtime.report(.running)
        watch.lap("samples")

        // Dropout and all else that libtorch draws depends on the step alone.
        try Torch.seed(KeyedRandom.seed(recipe.seed, purpose: "torch", step: step))
        let mines = recipe.contrast.enabled && step > UInt64(recipe.schedule.warmup)
        let pass = try trainer.forward(batch, learnsEmbedding: mines)
        watch.lap("forward")

        var anchors: [ClassAnchors] = []
        var grid: EmbeddingGrid?
        var recordDigest: String?
        if let embedding = pass.embedding, let log {
            let seen = try EmbeddingGrid(
                embedding: embedding, scores: pass.scores.main, alignCorners: trainer.network.alignCorners,
                labels: batch.labels)
            if mines {
                anchors = try AnchorSelection.select(
                    labels: seen.labels, predictions: seen.predictions, settings: recipe.contrast, seed: recipe.seed,
                    step: step)
                try miners!.send(anchors, of: seen, step: step)
            }
            let record = try seen.rows.withUnsafeBufferPointer {
                try LogicalRecord(
                    embeddings: $0, dimension: seen.dimension, labels: seen.labels, imageIDs: batch.images,
                    settings: recipe.contrast, seed: recipe.seed, step: step)
            }
            let payload = try MemoryRecord(record, step: step, images: batch.images.map(\.index)).encode()
            try log.append(SequenceNumber(step), payload)
            recordDigest = try payload.digest()
            grid = seen
        }
        watch.lap("anchors")

        let ce = try trainer.backwardFromScores(pass, batch: batch)
        watch.lap("backwardHead")

        var outcome: MiningClient.Outcome?
        if mines, let grid {
            runtime.report(.waiting, waitingOn: "gradients")
            let answer = try miners!.collect(anchors, dimension: grid.dimension, check: {})
            runtime.report(.running)
            watch.lap("gradients")
            if answer.contributing > 0 { try trainer.backwardFromAnchors(pass, at: answer.pixels, answer.gradient) }
            outcome = answer
            watch.lap("backwardEmbedding")
        }
        try trainer.backwardThroughBackbone(pass)
        watch.lap("backwardBackbone")
        try ledger.enter(
            LedgerLine(
                step: step, position: (step - 1) * UInt64(recipe.schedule.batch), images: batch.images.map(\.index),
                batch: batch.digest, record: recordDigest, gradient: outcome?.digest,
                mining: outcome.map { _ in miningSettings },
                arithmetic: ledger.arithmetic))
        let lr = try trainer.update(step: step, embedding: mines)
        watch.lap("optimizer")
        try report(step, lr: lr, ce: ce, outcome: outcome, watch: watch)
    }

    /// What the mining tickets ask for.
    private var miningSettings: LedgerLine.Mining {
        LedgerLine.Mining(
            generation: 0, temperature: recipe.contrast.temperature, sampler: recipe.sampler,
            synthesis: recipe.synthesis)
    }

    private func report(_ step: UInt64, lr: Double, ce: Double, outcome: MiningClient.Outcome?, watch: Stopwatch) throws
    {
        let total = watch.total
        let now = Double(recipe.schedule.batch) / total * 1000
        rate = rate.map { $0 + (now - $0) / 20 } ?? now
        let line = StepMetrics(
            step: step, lr: lr, ce: ce, nce: outcome?.loss, contributing: outcome?.contributing ?? 0,
            skipped: outcome?.skipped ?? 0, milliseconds: total, waitedForSamples: watch.phases["samples"] ?? 0,
            waitedForGradients: watch.phases["gradients"] ?? 0, imagesPerSecond: rate!, phases: watch.phases)
        try metrics.append(line)
        runtime.report(line)
        guard ce.isFinite, outcome?.loss.isFinite ?? true else {
            throw UserError(
                "the loss is no longer a number at step \(step) (cross-entropy \(ce), contrast "
                    + "\(outcome.map { "\($0.loss)" } ?? "off")); lower schedule.lr or raise schedule.lrWarmup")
        }
    }

    @discardableResult private func checkpoint() throws -> String {
        guard step > 0 else { return "" }
        runtime.report(.checkpointing)
        try ledger.sync()
        let finished = step == UInt64(recipe.schedule.iterations)
        let folder = try CheckpointFiles.write(
            step: step, trainer: trainer, runDirectory: runtime.configuration.runDirectory,
            memory: finished ? nil : log.map { log in { try self.snapshot(log, into: $0) } })
        if let log, !finished { try log.retain(from: SequenceNumber(step), timeout: .seconds(60)) }
        CheckpointFiles.prune(runtime.configuration.runDirectory, keep: recipe.checkpoints.keep)
        runtime.checkpointWritten(step: step, path: folder)
        runtime.report(.running)
        return folder
    }

    private func snapshot(_ log: LogWriter, into folder: String) throws -> (file: String, hash: String) {
        let saved = try log.checkpoint(SequenceNumber(step), into: folder, timeout: .seconds(600))
        return (saved.file, "\(saved.hash)")
    }
}
