import Basics
import Foundation
import StageKit

/// What came out of one finished run of a sweep.
public struct SweepResult: Sendable, Equatable {
    public var variant: Int
    public var seed: Int
    public var evaluation: EvaluationReport
    /// Time of all its steps, whatever lay between them.
    public var seconds: Double
}

extension SweepResult {
    /// Reads a run's evaluation and its steps' times.
    ///
    /// - Returns: nil where the run has no evaluation, so is not finished.
    /// - Throws: `UserError` where the evaluation's file is damaged.
    init?(of cell: SweepPlan.Cell, inRun directory: String) throws {
        let path = EvaluationReport.path(inRun: directory)
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        let evaluation: EvaluationReport
        do {
            evaluation = try JSONDecoder().decode(EvaluationReport.self, from: data)
        } catch {
            throw UserError("\(path): no evaluation as a run's end leaves it; remove it to have it made again")
        }
        let steps = (try? MetricsFile.read(path: directory + "/metrics.jsonl")) ?? []
        self.init(
            variant: cell.variant, seed: cell.seed, evaluation: evaluation,
            seconds: steps.reduce(0) { $0 + $1.milliseconds } / 1000)
    }
}
