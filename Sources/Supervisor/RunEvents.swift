import StageKit

/// What happened to a run beside its steps, for TensorBoard's text view: restarts, swaps, scalings, skipped samples.
///
/// The supervisor's own folder of event files, `RUN/events/supervisor`. Belongs to one thread.
public final class RunEvents {
    private let file: EventFile

    /// - Parameter onTrouble: hears, once, why nothing can be written.
    public init(runDirectory: String, onTrouble: @escaping (String) -> Void) {
        // What happened has happened, also where training goes back behind it.
        file = EventFile(folder: runDirectory + "/events/supervisor", continuingAfter: nil, onTrouble: onTrouble)
    }

    /// - Parameters:
    ///   - tag: groups events of one sort: `restarts`, `swaps`.
    ///   - text: one sentence, as Markdown.
    ///   - step: the newest step that compute has reported.
    public func text(_ tag: String, _ text: String, step: UInt64) { file.text(tag, text, step: step) }
}
