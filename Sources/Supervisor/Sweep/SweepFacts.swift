/// A sweep's runs for programs: what `picoflow sweep --json` prints.
public struct SweepFacts: Encodable, Sendable {
    public struct Run: Encodable, Sendable {
        public var variant: String
        public var seed: Int
        /// Fractions; not there where nothing was labelled.
        public var mIoU: Double?
        public var pixelAccuracy: Double?
        public var meanAccuracy: Double?
        /// Time of all its steps.
        public var seconds: Double
    }

    public struct Failure: Encodable, Sendable {
        public var run: String
        public var reason: String
    }

    /// Where the runs and their tables are.
    public var folder: String
    /// All that there are to train.
    public var planned: Int
    /// Whether a signal ended the sweep before its end; the same command goes on.
    public var isStopped: Bool
    public var finished: [Run]
    public var failed: [Failure]
}

extension SweepTable {
    public func facts(folder: String, failures: [(name: String, reason: String)], isStopped: Bool) -> SweepFacts {
        SweepFacts(
            folder: folder, planned: plan.cells.count, isStopped: isStopped,
            finished: results.map { run in
                SweepFacts.Run(
                    variant: plan.variants[run.variant].name, seed: run.seed, mIoU: run.evaluation.mIoU,
                    pixelAccuracy: run.evaluation.pixelAccuracy, meanAccuracy: run.evaluation.meanAccuracy,
                    seconds: run.seconds)
            },
            failed: failures.map { SweepFacts.Failure(run: $0.name, reason: $0.reason) })
    }
}
