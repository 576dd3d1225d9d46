import Basics
import Contrast
import StageKit
import Wire

/// What the first rank keeps of every step: the ledger, the metrics, and TensorBoard's events.
final class StepRecords {
    let ledger: Ledger
    private let metrics: MetricsFile
    private let events: EventFile
    private let runtime: StageRuntime
    private let depths: PoolDepths
    private var collapse = CollapseWatch()
    /// For the event files, and how many steps gather for a point of their curves.
    private var byClass: ContrastByClass
    private let stretch: UInt64

    /// Goes on with a run's files, or begins them.
    ///
    /// - Parameters:
    ///   - step: training goes on after this one.
    ///   - arithmetic: what decides the last bits of the run's sums.
    ///   - isEnforced: whether steps that are done again are held to their lines in the ledger.
    /// - Throws: `UserError` for files that are not of such a run.
    init(
        runtime: StageRuntime, after step: UInt64, arithmetic: String, isEnforced: Bool, depths: PoolDepths
    ) throws {
        let configuration = runtime.configuration
        let run = configuration.runDirectory
        self.runtime = runtime
        self.depths = depths
        ledger = try Ledger(
            path: run + "/ledger.jsonl", continuingAfter: step, arithmetic: arithmetic, isEnforced: isEnforced)
        metrics = try MetricsFile(path: run + "/metrics.jsonl", continuingAfter: step)
        events = EventFile(
            folder: run + "/events/\(runtime.replica)", continuingAfter: step,
            onTrouble: { [logger = runtime.logger] in logger.warning("\($0)") })
        byClass = ContrastByClass(classes: configuration.dataset.classes)
        stretch = EventFile.stretch(iterations: configuration.recipe.schedule.iterations)
    }

    /// Adds a step that is done, and tells the supervisor of it.
    ///
    /// - Parameters:
    ///   - drawn: the anchors of the whole mini-batch.
    ///   - outcome: what the miners said of them, over all ranks; nil while contrast rests.
    func add(_ line: StepMetrics, _ drawn: [ClassAnchors], _ outcome: MiningClient.Outcome?) throws {
        try metrics.append(line)
        events.append(line, lambda: Double(runtime.configuration.recipe.contrast.lambda))
        if let outcome {
            byClass.add(drawn, outcome.similarities)
            if let means = outcome.similarities.means, let warning = collapse.add(means) {
                runtime.warn("step \(line.step): \(warning)")
            }
        }
        if line.step % stretch == 0 { events.scalars(byClass.take() + depths.scalars, step: line.step) }
        runtime.report(line)
    }

    /// Makes the ledger's and the metrics' lines survive a power cut.
    func sync() throws {
        try ledger.sync()
        try metrics.sync()
    }

    /// Writes out what the event files still hold back.
    func flush() { events.flush() }
}
