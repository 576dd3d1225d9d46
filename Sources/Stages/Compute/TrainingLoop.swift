import Basics
import Configuration
import Contrast
import Foundation
import StageKit
import Tensors
import Wire

/// The steps of a run, one after another: batch, forward, anchors to the miners, keys to the bank, cross-entropy's
/// backward pass while they work, the backbone's backward pass, update. Of several ranks each does so with its part of
/// the mini-batch; the first one writes what the run keeps.
final class TrainingLoop {
    private let runtime: StageRuntime
    private let recipe: Recipe
    private let ranks: Ranks
    /// This rank's images within a mini-batch.
    private let share: Range<Int>
    private let trainer: Trainer
    private var feed: SampleFeed
    private var miners: MiningClient?
    private let log: LogWriter?
    /// Nil on ranks beyond the first, like `ledger` and `events`.
    private let metrics: MetricsFile?
    private let ledger: Ledger?
    private let events: EventFile?
    /// What decides the last bits of this run's sums.
    private let arithmetic: String
    private let pools: [PoolConsumer]
    private let swaps: SwapGate
    private let waits = WaitTotals()
    private let depths = PoolDepths()
    private var collapse = CollapseWatch()
    /// For the event files, and how many steps gather for a point of their curves.
    private var byClass: ContrastByClass
    private let stretch: UInt64
    private var step: UInt64
    /// The newest checkpoint: one of the present step is not written again.
    private var saved: (step: UInt64, folder: String)?
    /// The last step with a checkpoint, written or not, on all ranks: mining looks at no older memory, as a run that is
    /// resumed there has none.
    private var oldestMemory: UInt64
    /// Images per second, smoothed over about the last 20 steps.
    private var rate: Double?

    /// - Parameter done: steps that the trainer's state already holds.
    init(runtime: StageRuntime, ranks: Ranks, trainer: Trainer, after done: UInt64) throws {
        let configuration = runtime.configuration
        self.runtime = runtime
        self.ranks = ranks
        self.trainer = trainer
        let recipe = configuration.recipe
        self.recipe = recipe
        let share = ranks.share(of: recipe.schedule.batch)
        self.share = share
        step = done
        byClass = ContrastByClass(classes: configuration.dataset.classes)
        stretch = EventFile.stretch(iterations: recipe.schedule.iterations)
        saved = configuration.resume.map { (done, $0) }
        oldestMemory = done
        arithmetic =
            "recipe \(try recipe.trainingDigest), libtorch \(Torch.version), \(configuration.threads) threads"
            + (ranks.count > 1 ? ", \(ranks.count) ranks" : "")
            + (recipe.model.precision == .float32 ? "" : ", \(recipe.model.precision.rawValue)")
            + (trainer.device == .cpu ? "" : ", CUDA")
        // Only a CPU's sums have a fixed order.
        ledger =
            ranks.isFirst
            ? try Ledger(
                path: configuration.runDirectory + "/ledger.jsonl", continuingAfter: done, arithmetic: arithmetic,
                // Behind a checkpoint that a stop made, a longer lag finds other memory than the pass before did.
                isEnforced: recipe.determinism == .strict && trainer.device == .cpu
                    && (!recipe.contrast.hasLongLag || done % UInt64(recipe.checkpoints.every) == 0)) : nil
        let gate = SwapGate(
            SwapPlanner(
                schedule: SwapSchedule(recipe, swaps: configuration.swaps ?? []), after: done,
                held: ledger?.newest ?? done,
                last: UInt64(recipe.schedule.iterations)),
            send: { [runtime] in runtime.send($0) })
        swaps = gate
        let events: @Sendable (PoolEvent) -> Void = { [logger = runtime.logger] event in
            logger.info("\(event)")
            if case .joined(_, _, let generation) = event { gate.handle(.joined(generation)) }
        }
        func pool(_ link: LinkName) throws -> PoolConsumer {
            var settings = configuration.poolSettings
            settings.skipFailed = link == .samples && recipe.dataset.unreadable == .ignore
            return try PoolConsumer(
                endpoint: configuration.endpoint(link), alsoAt: configuration.otherEndpoints(link),
                as: runtime.sender, epoch: configuration.epoch, context: runtime.context,
                settings: settings, onEvent: events)
        }
        let samples = try pool(.samples)
        var pools = [samples]
        if recipe.contrast.enabled {
            let mining = try pool(.mining)
            pools.append(mining)
            miners = MiningClient(pool: mining, recipe: recipe, classes: configuration.dataset.classes.count)
        }
        if recipe.contrast.usesMemory {
            let writer = try LogWriter(
                connect: configuration.endpoint(.memory), as: runtime.sender, rank: ranks.rank, of: ranks.count,
                context: runtime.context, onNote: { [logger = runtime.logger] in logger.info("\($0)") })
            // Here and wherever else compute waits for the bank: it may be reading its snapshot, or be started again. How
            // long that may take the supervisor knows; when it gives the bank up, it abandons this run.
            runtime.stop.onAbandon { writer.cancel() }
            let hash = try writer.open(epoch: configuration.epoch, at: SequenceNumber(done), timeout: nil)
            if let folder = configuration.resume, let known = try CheckpointFiles.manifest(of: folder).memory,
                known != "\(hash)"
            {
                throw UserError(
                    "the bank's memory after step \(done) is not the checkpoint's: its hash is \(hash), "
                        + "\(folder)/\(Checkpoint.manifest) says \(known)")
            }
            log = writer
        } else {
            log = nil
        }
        self.pools = pools
        runtime.onWorkerLoss { [pools] worker, expected in
            for pool in pools { expected ? pool.expectLoss(of: worker) : pool.reportLoss(of: worker) }
        }
        runtime.setMetrics { [pools, waits, depths] in
            let links = [LinkName.samples, .mining]
            return zip(links, pools).reduce(into: waits.metrics) { all, pair in
                let statistics = pair.1.statistics
                depths.note(pair.0, statistics)
                all.merge(statistics.heartbeat(pair.0)) { $1 }
            }
        }
        metrics =
            ranks.isFirst
            ? try MetricsFile(path: configuration.runDirectory + "/metrics.jsonl", continuingAfter: done) : nil
        self.events =
            ranks.isFirst
            ? EventFile(
                folder: configuration.runDirectory + "/events/\(runtime.replica)", continuingAfter: done,
                onTrouble: { [logger = runtime.logger] in logger.warning("\($0)") }) : nil
        feed = try SampleFeed(
            pool: samples, recipe: recipe, share: share, dataset: configuration.dataset, padding: trainer.padding,
            after: done, skipped: configuration.skipped ?? []
        ) { [runtime] position, step, message in
            runtime.send(StageEvent(.sampleSkipped, message, step: step, position: position))
        }
    }

    /// Trains until the recipe's last step or a stop; either ends with a checkpoint.
    func run() throws {
        runtime.report(.running)
        runtime.onSwap { [swaps] in swaps.handle(.order($0)) }
        let last = UInt64(recipe.schedule.iterations)
        while step < last {
            do {
                try train(step + 1)
            } catch is Stopped {
                break
            } catch ContrastError.notUnit(_, _, let length) where !length.isFinite {
                throw diverged("the embeddings are no longer numbers at step \(step + 1)")
            }
            step += 1
            let due = step % UInt64(recipe.checkpoints.every) == 0 || recipe.isEvaluated(after: step)
            if due && step < last {
                try checkNumbers()
                try checkpointIfPossible()
                oldestMemory = step
            }
        }
        if saved?.step != step { try checkNumbers() }
        let folder = try checkpoint()
        // The first rank's checkpoint needs the others' parts of the last record.
        if !ranks.isFirst, step < last { try log?.waitUntilAcknowledged() }
        if step == last {
            if ranks.isFirst { runtime.finished(step: step, checkpoint: folder) } else { runtime.finished(step: step) }
        }
        events?.flush()
        for pool in pools { pool.close() }
        log?.close()
    }

    /// A stop was asked for while the step waited for another stage: the step is not taken.
    private struct Stopped: Error {}

    /// What the step waits for is gone for good, in the middle of it.
    private struct Abandoned: Error, CustomStringConvertible {
        var description = "the stages that the step in hand needs are gone"
    }

    private func giveUpIfAbandoned() throws {
        if runtime.stop.isAbandoned { throw Abandoned() }
    }

    /// A step that waits for its samples may be given up; one that has them is finished.
    private func giveUpOnStop() throws {
        if runtime.stop.isStopped { throw Stopped() }
    }

    /// This rank's part of the next mini-batch, once all ranks have theirs.
    ///
    /// - Parameter isStopping: whether this rank was asked to stop before it came here.
    /// - Throws: `Stopped` on all ranks where one of them was asked to stop.
    private func nextBatch(isStopping: Bool) throws -> Batch {
        var own: Batch?
        do {
            if !isStopping { own = try feed.next(check: giveUpOnStop) }
        } catch is Stopped {}
        let agreed = try ranks.sum([own == nil ? 1 : 0, Int64(own?.labelled ?? 0)])
        guard agreed[0] == 0, var batch = own else { throw Stopped() }
        batch.labelled = Int(agreed[1])
        return batch
    }

    /// What a swap makes hold at a step; nil where a stop is asked for while the step is held up.
    private func enter(_ step: UInt64) throws -> SwapSchedule.Settings? {
        do {
            return try swaps.enter(
                step, check: giveUpOnStop, waiting: { runtime.report(.waiting, waitingOn: "swap \($0)") })
        } catch is Stopped {
            return nil
        }
    }

    private func train(_ step: UInt64) throws {
        runtime.origin.step = step
        let entered = try enter(step)
        var watch = Stopwatch()
        runtime.report(.waiting, waitingOn: "samples")
        let batch = try nextBatch(isStopping: entered == nil)
        guard let settings = entered else { throw Stopped() }
        runtime.report(.running)
        watch.lap("samples")

        // Dropout and all else that libtorch draws depends on the step and the rank alone.
        try Torch.seed(KeyedRandom.seed(recipe.seed, purpose: "torch", step: step, index: UInt64(ranks.rank)))
        let mines = recipe.contrast.enabled && step > UInt64(recipe.schedule.warmup)
        let pass = try trainer.forward(batch, learnsEmbedding: mines)
        try Torch.synchronize(trainer.device)
        watch.lap("forward")

        var anchors: [ClassAnchors] = []
        var drawn: [ClassAnchors] = []
        var grid: EmbeddingGrid?
        var firstPixel = 0
        var recordDigest: String?
        if let embedding = pass.embedding, mines || log != nil {
            let seen = try EmbeddingGrid(
                embedding: embedding, scores: pass.scores.main, alignCorners: trainer.network.alignCorners,
                labels: batch.labels,
                extent: trainer.network.scoredSize(of: Size2D(batch.labels.height, batch.labels.width)))
            func keys() throws -> MemoryRecord {
                let record = try seen.rows.withUnsafeBufferPointer {
                    try LogicalRecord(
                        embeddings: $0, dimension: seen.dimension, labels: seen.labels, imageIDs: batch.images,
                        settings: recipe.contrast, seed: recipe.seed, step: step, firstImage: share.lowerBound)
                }
                return MemoryRecord(record, step: step, images: batch.images.map(\.index))
            }
            if mines {
                firstPixel = share.lowerBound * seen.labels.pixelsPerImage
                let own = firstPixel..<firstPixel + seen.labels.values.count
                drawn = try ranks.anchors(
                    of: seen, firstImage: share.lowerBound, settings: recipe.contrast, seed: recipe.seed, step: step)
                anchors = drawn.compactMap { $0.within(own) }
                try miners!.send(
                    anchors, of: seen, firstPixel: firstPixel, step: step, since: oldestMemory, settings: settings,
                    keys: log == nil ? ranks.joined(keys()) : nil)
            }
            if let log {
                let payload = try keys().encode()
                try log.waitForRoom()
                try log.append(SequenceNumber(step), payload)
                recordDigest = try payload.digest()
            }
            grid = seen
        }
        watch.lap("anchors")

        var ce = try trainer.backwardFromScores(pass, batch: batch)
        // What miners are waited for is what they take longer than this.
        try Torch.synchronize(trainer.device)
        watch.lap("backwardHead")

        var outcome: MiningClient.Outcome?
        if mines, let grid {
            runtime.report(.waiting, waitingOn: Heartbeat.gradients)
            var answer = try miners!.collect(
                anchors, dimension: grid.dimension, firstPixel: firstPixel, check: giveUpIfAbandoned)
            runtime.report(.running)
            try answer.average(over: ranks)
            watch.lap("gradients")
            if answer.contributing > 0 { try trainer.backwardFromAnchors(pass, at: answer.pixels, answer.gradient) }
            outcome = answer
            watch.lap("backwardEmbedding")
        }
        try trainer.backwardThroughBackbone(pass)
        watch.lap("backwardBackbone")
        try trainer.sumGradients()
        if ranks.count > 1 { watch.lap("exchange") }
        let line = try ranks.joined(
            LedgerLine(
                step: step, position: (step - 1) * UInt64(recipe.schedule.batch), images: batch.images.map(\.index),
                batch: batch.digest, record: recordDigest, gradient: outcome?.digest,
                mining: outcome.map { _ in LedgerLine.Mining(settings) },
                arithmetic: arithmetic))
        try ledger?.enter(line)
        let lr = try trainer.update(step: step, embedding: mines)
        try Torch.synchronize(trainer.device)
        watch.lap("optimizer")
        let losses = try ranks.sum([ce, trainer.auxiliary ?? 0])
        ce = losses[0]
        try report(
            step, lr: lr, ce: ce, auxiliary: trainer.auxiliary.map { _ in losses[1] }, drawn: drawn, outcome: outcome,
            settings: settings, watch: watch)
    }

    private func report(
        _ step: UInt64, lr: Double, ce: Double, auxiliary: Double?, drawn: [ClassAnchors],
        outcome: MiningClient.Outcome?, settings: SwapSchedule.Settings, watch: Stopwatch
    ) throws {
        let total = watch.total
        let now = Double(recipe.schedule.batch) / total * 1000
        rate = rate.map { $0 + (now - $0) / 20 } ?? now
        let line = StepMetrics(
            step: step, lr: lr, ce: ce, auxiliary: auxiliary, nce: outcome?.loss,
            contributing: outcome?.contributing ?? 0, skipped: outcome?.skipped ?? 0,
            hard: outcome.map { _ in drawn.reduce(0) { $0 + $1.mispredicted } },
            positiveSimilarity: outcome?.similarities.means?.positive,
            negativeSimilarity: outcome?.similarities.means?.negative, milliseconds: total,
            waitedForSamples: watch.phases["samples"] ?? 0,
            waitedForGradients: watch.phases["gradients"] ?? 0, imagesPerSecond: rate!, phases: watch.phases,
            generation: settings.generation == .first ? nil : settings.generation)
        runtime.logger.debug(
            "cross-entropy \(line.ce), contrast \(line.nce.map { "\($0)" } ?? "off"), lr \(lr): \(durationText(seconds: total / 1000))"
        )
        waits.add(line)
        if let metrics {
            try metrics.append(line)
            events?.append(line, lambda: Double(recipe.contrast.lambda))
            if let outcome {
                byClass.add(drawn, outcome.similarities)
                if let means = outcome.similarities.means, let warning = collapse.add(means) {
                    runtime.warn("step \(step): \(warning)")
                }
            }
            if step % stretch == 0 { events?.scalars(byClass.take() + depths.scalars, step: step) }
            runtime.report(line)
        }
        guard ce.isFinite, outcome?.loss.isFinite ?? true else {
            let contrast = outcome.map { "\($0.loss)" } ?? "off"
            throw diverged(
                "the loss is no longer a number at step \(step) (cross-entropy \(ce), contrast \(contrast))")
        }
    }

    private func diverged(_ what: String) -> UserError {
        UserError("\(what); lower schedule.lr or raise schedule.lrWarmup")
    }

    /// A checkpoint that every resume would fail at is none.
    private func checkNumbers() throws {
        guard ranks.isFirst else { return }
        for (name, tensor) in trainer.modelState() where tensor.dtype.isFloatingPoint {
            guard try tensor.isFinite().all() else { throw diverged("'\(name)' is no longer a number at step \(step)") }
        }
    }

    /// A checkpoint in the middle of training. One that cannot be written, most often on a full disk, costs only what a
    /// resume would have to repeat: the run says so, and the next one that is due is tried again.
    private func checkpointIfPossible() throws {
        do {
            try checkpoint()
        } catch {
            switch error {
            case is UserError, LogError.refused(.storage, _):
                let message = "no checkpoint of step \(step): \(StageMain.oneLine(error)); training goes on"
                runtime.logger.error("\(message)")
                runtime.send(StageEvent(.checkpointFailed, message, step: step))
                runtime.report(.running)
            default: throw error
            }
        }
    }

    @discardableResult private func checkpoint() throws -> String {
        guard step > 0, ranks.isFirst else { return "" }
        if let saved, saved.step == step { return saved.folder }
        runtime.report(.checkpointing)
        try ledger?.sync()
        try metrics?.sync()
        let finished = step == UInt64(recipe.schedule.iterations)
        let folder = try CheckpointFiles.write(
            step: step, trainer: trainer, runDirectory: runtime.configuration.runDirectory,
            memory: finished ? nil : log.map { log in { try self.snapshot(log, into: $0) } })
        saved = (step, folder)
        if let log, !finished { try log.retain(from: SequenceNumber(step), timeout: nil) }
        let run = runtime.configuration.runDirectory
        CheckpointFiles.prune(run, keep: recipe.checkpoints.keep) { [recipe] step in
            EvaluationRecord.isAwaited(inRun: run, step: step, recipe)
        }
        runtime.checkpointWritten(step: step, path: folder)
        runtime.report(.running)
        return folder
    }

    private func snapshot(_ log: LogWriter, into folder: String) throws -> (file: String, hash: String) {
        let saved = try log.checkpoint(SequenceNumber(step), into: folder, timeout: nil)
        return (saved.file, "\(saved.hash)")
    }
}
