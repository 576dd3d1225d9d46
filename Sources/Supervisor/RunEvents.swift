import Configuration
import StageKit

/// What happened to a run beside its steps, for TensorBoard: evaluations as curves and pictures, its recipe as a row of the table
/// of hyper-parameters, and as text restarts, swaps, scalings, skipped samples.
///
/// The supervisor's own folder of event files, `RUN/events/supervisor`. Belongs to one thread.
public final class RunEvents {
    private let file: EventFile

    /// - Parameters:
    ///   - recipe: the run's; nil where it is no run of its own.
    ///   - onTrouble: hears, once, why nothing can be written.
    public init(runDirectory: String, recipe: Recipe?, onTrouble: @escaping (String) -> Void) {
        // What happened has happened, also where training goes back behind it.
        file = EventFile(folder: runDirectory + "/events/supervisor", continuingAfter: nil, onTrouble: onTrouble)
        if let recipe {
            let split = recipe.dataset.evaluationSplit
            file.begin(
                HyperParameters(
                    recipe, results: ["\(split)/mIoU", "\(split)/pixel accuracy", "\(split)/mean accuracy"]))
        }
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

    /// The pictures that every evaluation has: side by side the image, its label map, the prediction, and where that is wrong.
    public func pictures(_ pictures: EvaluationPictures) {
        for picture in pictures.pictures(.fixed) {
            file.image(
                "\(pictures.split) image, label, prediction, errors/\(picture.name)", picture.png,
                width: 4 * picture.width, height: picture.height, step: pictures.step)
        }
        file.flush()
    }

    /// The run is over. One that was stopped or failed may go on and finish, and TensorBoard keeps the first end that it reads.
    public func end(_ outcome: RunOutcome) {
        if case .finished = outcome { file.succeed() }
    }

    /// - Parameters:
    ///   - tag: groups events of one sort: `restarts`, `swaps`.
    ///   - text: one sentence, as Markdown.
    ///   - step: the newest step that compute has reported.
    public func text(_ tag: String, _ text: String, step: UInt64) { file.text(tag, text, step: step) }
}
