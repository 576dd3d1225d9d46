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
    let runtime: StageRuntime
    let recipe: Recipe
    let ranks: Ranks
    /// This rank's images within a mini-batch.
    private let share: Range<Int>
    let trainer: Trainer
    private var feed: SampleFeed
    private var miners: MiningClient?
    let log: LogWriter?
    /// Nil on ranks beyond the first.
    let records: StepRecords?
    /// What decides the last bits of this run's sums.
    private let arithmetic: String
    private let pools: [PoolConsumer]
    private let swaps: SwapGate
    private let waits = WaitTotals()
    private let depths = PoolDepths()
    var step: UInt64
    /// The newest checkpoint: one of the present step is not written again.
    var saved: (step: UInt64, folder: String)?
    /// The last step with a checkpoint, written or not, on all ranks: mining looks at no older memory, as a run that is
    /// resumed there has none.
    private var oldestMemory: UInt64
    /// Images per second, smoothed over about the last 20 steps.
    private var rate: Double?

    /// - Parameter done: steps that the trainer's state already holds.
    init(runtime: StageRuntime, ranks: Ranks, trainer: Trainer, after done: UInt64) throws {
        let configuration = runtime.configuration
        let recipe = configuration.recipe
        let share = ranks.share(of: recipe.schedule.batch)
        self.runtime = runtime
        self.recipe = recipe
        self.ranks = ranks
        self.share = share
        self.trainer = trainer
        step = done
        saved = configuration.resume.map { (done, $0) }
        oldestMemory = done
        arithmetic = try recipe.arithmetic(
            threads: configuration.threads, ranks: ranks.count, device: trainer.device)
        records =
            ranks.isFirst
            ? try StepRecords(
                runtime: runtime, after: done, arithmetic: arithmetic,
                // Only a CPU's sums have a fixed order. And behind a checkpoint that a stop made, a longer lag finds other
                // memory than the pass before did.
                isEnforced: recipe.determinism == .strict && trainer.device == .cpu
                    && (!recipe.contrast.hasLongLag || done % UInt64(recipe.checkpoints.every) == 0),
                depths: depths) : nil
        let gate = SwapGate(
            SwapPlanner(
                schedule: SwapSchedule(recipe, swaps: configuration.swaps ?? []), after: done,
                held: records?.ledger.newest ?? done, last: UInt64(recipe.schedule.iterations)),
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
        self.pools = pools
        log = recipe.contrast.usesMemory ? try Self.openLog(runtime, ranks, after: done) : nil
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
        feed = try SampleFeed(
            pool: samples, recipe: recipe, share: share, dataset: configuration.dataset, padding: trainer.padding,
            after: done, skipped: configuration.skipped ?? []
        ) { [runtime] position, step, message in
            runtime.send(StageEvent(.sampleSkipped, message, step: step, position: position))
        }
    }

    /// The memory's log, after a step.
    ///
    /// - Throws: `UserError` where the bank's memory is not the checkpoint's.
    private static func openLog(_ runtime: StageRuntime, _ ranks: Ranks, after done: UInt64) throws -> LogWriter {
        let configuration = runtime.configuration
        let log = try LogWriter(
            connect: configuration.endpoint(.memory), as: runtime.sender, rank: ranks.rank, of: ranks.count,
            context: runtime.context, onNote: { [logger = runtime.logger] in logger.info("\($0)") })
        // Here and wherever else compute waits for the bank: it may be reading its snapshot, or be started again. How
        // long that may take the supervisor knows; when it gives the bank up, it abandons this run.
        runtime.stop.onAbandon { log.cancel() }
        let hash = try log.open(epoch: configuration.epoch, at: SequenceNumber(done), timeout: nil)
        if let folder = configuration.resume, let known = try CheckpointFiles.manifest(of: folder).memory,
            known != "\(hash)"
        {
            throw UserError(
                "the bank's memory after step \(done) is not the checkpoint's: its hash is \(hash), "
                    + "\(folder)/\(Checkpoint.manifest) says \(known)")
        }
        return log
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
        records?.flush()
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
        watch.lap(.samples)

        // Dropout and all else that libtorch draws depends on the step and the rank alone.
        try Torch.seed(KeyedRandom.seed(recipe.seed, purpose: "torch", step: step, index: UInt64(ranks.rank)))
        let mines = recipe.contrast.enabled && step > UInt64(recipe.schedule.warmup)
        let pass = try trainer.forward(batch, learnsEmbedding: mines)
        try Torch.synchronize(trainer.device)
        watch.lap(.forward)

        let contrast = try beginContrast(pass, batch, step, mining: mines ? settings : nil)
        watch.lap(.anchors)

        let own = try trainer.backwardFromScores(pass, batch: batch)
        // What miners are waited for is what they take longer than this.
        try Torch.synchronize(trainer.device)
        watch.lap(.backwardHead)

        var outcome: MiningClient.Outcome?
        if let tickets = contrast.tickets {
            runtime.report(.waiting, waitingOn: Heartbeat.gradients)
            var answer = try miners!.collect(tickets, check: giveUpIfAbandoned)
            runtime.report(.running)
            try answer.average(over: ranks)
            watch.lap(.gradients)
            if answer.contributing > 0 { try trainer.backwardFromAnchors(pass, at: answer.pixels, answer.gradient) }
            outcome = answer
            watch.lap(.backwardEmbedding)
        }
        try trainer.backwardThroughBackbone(pass)
        watch.lap(.backwardBackbone)
        try trainer.sumGradients()
        if ranks.count > 1 { watch.lap(.exchange) }
        let entry = try ranks.joined(
            LedgerLine(
                step: step, position: (step - 1) * UInt64(recipe.schedule.batch), images: batch.images.map(\.index),
                batch: batch.digest, record: contrast.record, gradient: outcome?.digest,
                mining: outcome.map { _ in LedgerLine.Mining(settings) },
                arithmetic: arithmetic))
        try records?.ledger.enter(entry)
        let lr = try trainer.update(step: step, embedding: mines)
        try Torch.synchronize(trainer.device)
        watch.lap(.optimizer)
        let losses = try ranks.sum([own.main, own.auxiliary ?? 0])
        let total = watch.total
        let line = StepMetrics(
            step: step, lr: lr, ce: losses[0], auxiliary: own.auxiliary.map { _ in losses[1] }, nce: outcome?.loss,
            contributing: outcome?.contributing ?? 0, skipped: outcome?.skipped ?? 0,
            hard: outcome.map { _ in contrast.drawn.reduce(0) { $0 + $1.mispredicted } },
            positiveSimilarity: outcome?.similarities.means?.positive,
            negativeSimilarity: outcome?.similarities.means?.negative, milliseconds: total,
            waitedForSamples: watch[.samples], waitedForGradients: watch[.gradients],
            imagesPerSecond: smoothedRate(milliseconds: total), phases: watch.milliseconds,
            generation: settings.generation == .first ? nil : settings.generation)
        try report(line, contrast.drawn, outcome)
    }

    /// What a step has begun of contrast before its backward pass.
    private struct BegunContrast {
        /// The anchors of the whole mini-batch.
        var drawn: [ClassAnchors] = []
        /// What the miners work at meanwhile; nil while contrast rests.
        var tickets: MiningClient.Tickets?
        /// The digest of the keys that the memory's log got.
        var record: String?
    }

    /// Sends a step's anchors to the miners and its keys to the bank.
    ///
    /// - Parameter settings: what the tickets ask for; nil while contrast rests.
    private func beginContrast(
        _ pass: Trainer.Pass, _ batch: Batch, _ step: UInt64, mining settings: SwapSchedule.Settings?
    ) throws -> BegunContrast {
        var begun = BegunContrast()
        guard let embedding = pass.embedding, settings != nil || log != nil else { return begun }
        let grid = try EmbeddingGrid(
            embedding: embedding, scores: pass.scores.main, alignCorners: trainer.network.alignCorners,
            labels: batch.labels, firstImage: share.lowerBound,
            extent: trainer.network.scoredSize(of: Size2D(batch.labels.height, batch.labels.width)))
        func keys() throws -> MemoryRecord {
            let record = try grid.record(of: batch.images, settings: recipe.contrast, seed: recipe.seed, step: step)
            return MemoryRecord(record, step: step, images: batch.images.map(\.index))
        }
        if let settings {
            begun.drawn = try ranks.anchors(of: grid, settings: recipe.contrast, seed: recipe.seed, step: step)
            begun.tickets = try miners!.send(
                begun.drawn, of: grid, step: step, since: oldestMemory, settings: settings,
                keys: log == nil ? ranks.joined(keys()) : nil)
        }
        if let log {
            let payload = try keys().encode()
            try log.waitForRoom()
            try log.append(SequenceNumber(step), payload)
            begun.record = try payload.digest()
        }
        return begun
    }

    private func smoothedRate(milliseconds: Double) -> Double {
        let now = Double(recipe.schedule.batch) / milliseconds * 1000
        let smoothed = rate.map { $0 + (now - $0) / 20 } ?? now
        rate = smoothed
        return smoothed
    }

    /// Tells of a step that is done.
    ///
    /// - Throws: `UserError` where its losses are no numbers.
    private func report(_ line: StepMetrics, _ drawn: [ClassAnchors], _ outcome: MiningClient.Outcome?) throws {
        let contrast = outcome.map { "\($0.loss)" } ?? "off"
        runtime.logger.debug(
            "cross-entropy \(line.ce), contrast \(contrast), lr \(line.lr): \(durationText(seconds: line.milliseconds / 1000))"
        )
        waits.add(line)
        try records?.add(line, drawn, outcome)
        guard line.ce.isFinite, outcome?.loss.isFinite ?? true else {
            throw diverged(
                "the loss is no longer a number at step \(line.step) (cross-entropy \(line.ce), contrast \(contrast))")
        }
    }

    func diverged(_ what: String) -> UserError {
        UserError("\(what); lower schedule.lr or raise schedule.lrWarmup")
    }
}
