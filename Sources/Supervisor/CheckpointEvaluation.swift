import Configuration
import StageKit
import Wire

/// What measures a checkpoint: the consumer of the evaluators' pool. The supervisor starts and watches the evaluator
/// processes meanwhile, so an implementation binds `session.endpoint`, issues tickets and adds up the results.
public protocol CheckpointEvaluation: Sendable {
    /// Called for the finished network and for those on the way, one after another, each time on a thread of its own.
    ///
    /// - Throws: why it failed, which ends the run where it is the last one; anything after `session.stop` was set.
    func evaluate(_ session: EvaluationSession) throws -> EvaluationResult
}

/// What an evaluation works with.
public struct EvaluationSession: Sendable {
    public var recipe: Recipe
    /// The names of the classes that the network was trained on, in the order of their numbers.
    public var classes: [String]
    /// The checkpoint folder that holds `model.safetensors`.
    public var checkpoint: String
    /// Where the consumer binds; the evaluators dial it.
    public var endpoint: Endpoint
    public var sender: Sender
    public var context: Context
    public var epoch: Epoch
    public var pool: Configuration.PoolSettings
    /// Set when nobody wants the result any more; an implementation that waits registers a wakeup or callback.
    public var stop: StopToken
    /// Images done and to do, for the progress display.
    public var progress: @Sendable (_ done: Int, _ total: Int) -> Void
    /// Worker losses the supervisor knows of, as `StageRuntime.onWorkerLoss`. Set it before issuing tickets.
    public var onWorkerLoss:
        @Sendable (_ body: @escaping @Sendable (_ worker: String, _ expected: Bool) -> Void) -> Void
}

/// What an evaluation came to.
public struct EvaluationResult: Sendable, Equatable {
    public var report: EvaluationReport
    /// Where they were asked for.
    public var pictures: EvaluationPictures?
    /// One line on what could not be had beside the numbers.
    public var trouble: String?
}
