import Foundation

/// What an evaluation found of the network after a step: in the journal, a line of `metrics.jsonl`, in `picoflow status`.
public struct EvaluationScores: Codable, Sendable, Equatable {
    public var step: UInt64
    /// What it was measured on.
    public var split: String
    /// Nil where no pixel was counted, as the others.
    public var mIoU: Double?
    public var pixelAccuracy: Double?
    public var meanAccuracy: Double?

    public init(step: UInt64, split: String, mIoU: Double?, pixelAccuracy: Double?, meanAccuracy: Double?) {
        self.step = step
        self.split = split
        self.mIoU = mIoU
        self.pixelAccuracy = pixelAccuracy
        self.meanAccuracy = meanAccuracy
    }

    /// `mIoU 41.30 % on val`
    public var text: String { "mIoU \(mIoU.map { String(format: "%.2f %%", 100 * $0) } ?? "absent") on \(split)" }
}
