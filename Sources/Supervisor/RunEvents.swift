import StageKit

/// What happened to a run beside its steps, for TensorBoard: evaluations as curves, and as text restarts, swaps, scalings,
/// skipped samples.
///
/// The supervisor's own folder of event files, `RUN/events/supervisor`. Belongs to one thread.
public final class RunEvents {
    private let file: EventFile

    /// - Parameter onTrouble: hears, once, why nothing can be written.
    public init(runDirectory: String, onTrouble: @escaping (String) -> Void) {
        // What happened has happened, also where training goes back behind it.
        file = EventFile(folder: runDirectory + "/events/supervisor", continuingAfter: nil, onTrouble: onTrouble)
    }

    /// What an evaluation found, absent classes left out.
    public func scores(_ scores: EvaluationScores, classes: [EvaluationReport.ClassResult]) {
        let means = [
            ("mIoU", scores.mIoU), ("pixel accuracy", scores.pixelAccuracy), ("mean accuracy", scores.meanAccuracy),
        ]
        let values = means + classes.map { ("IoU/\($0.name)", $0.iou) }
        file.scalars(
            values.compactMap { tag, value in value.map { (tag: "\(scores.split)/\(tag)", value: $0) } },
            step: scores.step)
        file.flush()
    }

    /// - Parameters:
    ///   - tag: groups events of one sort: `restarts`, `swaps`.
    ///   - text: one sentence, as Markdown.
    ///   - step: the newest step that compute has reported.
    public func text(_ tag: String, _ text: String, step: UInt64) { file.text(tag, text, step: step) }
}
