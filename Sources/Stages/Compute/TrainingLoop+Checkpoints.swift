import Basics
import Configuration
import StageKit
import Tensors
import Wire

extension TrainingLoop {
    /// A checkpoint that every resume would fail at is none.
    func checkNumbers() throws {
        guard ranks.isFirst else { return }
        for (name, tensor) in trainer.modelState() where tensor.dtype.isFloatingPoint {
            guard try tensor.isFinite().all() else { throw diverged("'\(name)' is no longer a number at step \(step)") }
        }
    }

    /// A checkpoint in the middle of training. One that cannot be written, most often on a full disk, costs only what a
    /// resume would have to repeat: the run says so, and the next one that is due is tried again.
    func checkpointIfPossible() throws {
        do {
            try checkpoint()
        } catch {
            switch error {
            case is UserError, LogError.refused(.storage, _):
                let message = "no checkpoint of step \(step): \(errorLine(error)); training goes on"
                runtime.logger.error("\(message)")
                runtime.send(StageEvent(.checkpointFailed, message, step: step))
                runtime.report(.running)
            default: throw error
            }
        }
    }

    @discardableResult func checkpoint() throws -> String {
        guard step > 0, ranks.isFirst else { return "" }
        if let saved, saved.step == step { return saved.folder }
        runtime.report(.checkpointing)
        try records?.sync()
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
