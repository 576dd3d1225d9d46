import Configuration
import Foundation
import StageKit
import Wire

/// Which checkpoints are evaluated: those that training leaves on its way, and the last one.
struct Evaluations: Sendable {
    struct Running: Sendable {
        var checkpoint: String
        /// Nil for the evaluation that ends the run.
        var step: UInt64?
        /// Why it was cancelled; its outcome says no more than that it was.
        var failure: String?

        var isFinal: Bool { step == nil }
    }

    /// Waiting for their turn, oldest first.
    var due: [Checkpoint] = []
    /// The last one, until its turn comes.
    var final: String?
    var running: Running?
    /// Steps that are or were due under this supervisor.
    var known: Set<UInt64> = []
    /// Of the newest step.
    var latest: EvaluationScores?

    init(_ history: EvaluationHistory) {
        due = history.due.sorted { $0.step < $1.step }
        known = Set(due.map(\.step))
        latest = history.latest
    }

    var isDone: Bool { due.isEmpty && final == nil && running == nil }
}

/// What a start of the supervisor must know of the run's evaluations.
public struct EvaluationHistory: Sendable, Equatable {
    /// Checkpoints that are there and whose evaluation nobody finished.
    public var due: [Checkpoint] = []
    public var latest: EvaluationScores?

    public init(due: [Checkpoint] = [], latest: EvaluationScores? = nil) {
        self.due = due
        self.latest = latest
    }
}

extension [JournalEntry] {
    /// What was measured, in the order of the steps; not of a training that was given up, whose records are gone.
    public func evaluations(inRun directory: String) -> [EvaluationScores] {
        var byStep: [UInt64: EvaluationScores] = [:]
        for case .evaluated(let scores) in self { byStep[scores.step] = scores }
        return byStep.values.filter { EvaluationRecord.isThere(inRun: directory, step: $0.step) }
            .sorted { $0.step < $1.step }
    }
}

/// Evaluations beside training, one after another, and the one that ends the run.
///
/// Each starts evaluators of its own, which leave when it is over. One beside training that fails, also because its
/// evaluators cannot live, costs itself alone; the last one ends the run as failed. Compute keeps a checkpoint until the
/// record of its evaluation is written.
extension SupervisorCore {
    var isEvaluating: Bool { evaluations.running != nil }

    private var evaluators: [Int] { members.indices.filter { members[$0].kind == .evaluator } }

    /// Compute wrote a checkpoint, or goes on from one.
    mutating func noteDue(_ checkpoint: Checkpoint) {
        guard hasEvaluation, plan.goal == .train, plan.recipe.isEvaluated(after: checkpoint.step),
            !plan.isRecorded(checkpoint.step), evaluations.known.insert(checkpoint.step).inserted
        else { return }
        evaluations.due.append(checkpoint)
        evaluations.due.sort { $0.step < $1.step }
    }

    /// Training that is faster than its evaluations fills the disk with their checkpoints.
    mutating func warnOfBacklog() {
        let waiting = evaluations.due.count
        guard isEvaluating, waiting > 1 else { return }
        log(
            .warning,
            "\(waiting) checkpoints wait for their evaluation; 'picoflow scale' more evaluators, or evaluate less often"
        )
    }

    /// Starts what is next, once the evaluators of the one before are gone, and lets evaluators go that have none.
    mutating func evaluateNext() {
        guard ending == nil, !isEvaluating, hasEvaluation else { return }
        for index in evaluators {
            switch members[index].life {
            case .waiting: over(index)
            case .spawning, .starting, .working:
                if !members[index].isStopping { stop(index, within: timing.stop) }
            // Over for this evaluation, not for the next.
            case .idle: if !members[index].hasLeft { members[index].isOver = false }
            case .gone, .held: break
            }
        }
        guard !evaluations.isDone, evaluators.allSatisfy({ members[$0].isQuiet }) else { return }
        let next: Evaluations.Running
        if !evaluations.due.isEmpty {
            let checkpoint = evaluations.due.removeFirst()
            next = Evaluations.Running(checkpoint: checkpoint.path, step: checkpoint.step)
            log(.info, "evaluating the network of step \(checkpoint.step)")
        } else {
            next = Evaluations.Running(checkpoint: evaluations.final!)
            evaluations.final = nil
        }
        evaluations.running = next
        for index in evaluators where !members[index].hasLeft {
            members[index].isOver = false
            members[index].failures = 0
            spawn(index)
        }
        actions.append(.startEvaluation(checkpoint: next.checkpoint))
    }

    mutating func evaluationEnded(_ outcome: EvaluationOutcome) {
        guard let running = evaluations.running else { return }
        evaluations.running = nil
        switch running.failure.map({ EvaluationOutcome.failed($0) }) ?? outcome {
        case .succeeded(let result):
            if running.isFinal { evaluation = result.report }
            guard let scores = result.report.scores else { return }
            if scores.step >= evaluations.latest?.step ?? 0 { evaluations.latest = scores }
            actions.append(.journal(.evaluated(scores)))
            actions.append(.recordEvaluation(scores, result))
            if !running.isFinal { log(.info, "step \(scores.step): \(scores.text)") }
        case .failed(let why):
            // After a stop or a failure it had to fail; what was due stays so for a resume.
            guard ending == nil else { return }
            guard let step = running.step else { return fail("the final evaluation failed: \(why)") }
            actions.append(.journal(.evaluationFailed(step: step, why)))
            actions.append(.recordFailedEvaluation(step: step, why))
            log(.error, "the evaluation of step \(step) failed: \(why); training goes on")
            actions.append(.runEvent(tag: "failed evaluations", why, step: step))
        }
    }

    /// An evaluator that cannot be brought to work ends an evaluation beside training, not the run.
    ///
    /// - Returns: whether the member is one of such an evaluation.
    mutating func hasGivenUpEvaluation(of member: Member, _ why: String) -> Bool {
        guard member.kind == .evaluator, ending == nil, let running = evaluations.running, !running.isFinal else {
            return false
        }
        if running.failure == nil {
            evaluations.running!.failure = why
            actions.append(.cancelEvaluation)
        }
        return true
    }
}
