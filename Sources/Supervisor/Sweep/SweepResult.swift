import Basics
import Foundation
import StageKit

/// What came out of one finished run of a sweep.
public struct SweepResult: Sendable, Equatable {
    public var variant: Int
    public var seed: Int
    /// Fractions; nil where nothing was labelled.
    public var meanIoU: Double?
    public var pixelAccuracy: Double?
    public var meanAccuracy: Double?
    /// By class, in the dataset's order; nil for a class that is nowhere.
    public var iou: [(name: String, value: Double?)]
    /// Time of all its steps, whatever lay between them.
    public var seconds: Double

    public static func == (a: SweepResult, b: SweepResult) -> Bool {
        a.variant == b.variant && a.seed == b.seed && a.meanIoU == b.meanIoU && a.pixelAccuracy == b.pixelAccuracy
            && a.meanAccuracy == b.meanAccuracy && a.seconds == b.seconds
            && a.iou.elementsEqual(b.iou) { $0.name == $1.name && $0.value == $1.value }
    }

    init(
        variant: Int, seed: Int, meanIoU: Double?, pixelAccuracy: Double?, meanAccuracy: Double?,
        iou: [(name: String, value: Double?)], seconds: Double
    ) {
        self.variant = variant
        self.seed = seed
        self.meanIoU = meanIoU
        self.pixelAccuracy = pixelAccuracy
        self.meanAccuracy = meanAccuracy
        self.iou = iou
        self.seconds = seconds
    }

    /// Reads a run's evaluation and its steps' times.
    ///
    /// - Returns: nil where the run has no evaluation, so is not finished.
    /// - Throws: `UserError` where the evaluation's file is damaged.
    init?(of cell: SweepPlan.Cell, inRun directory: String) throws {
        let path = EvaluationSummary.path(inRun: directory)
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        let read: Evaluation
        do {
            read = try JSONDecoder().decode(Evaluation.self, from: data)
        } catch {
            throw UserError("\(path): no evaluation as a run's end leaves it; remove it to have it made again")
        }
        let steps = (try? MetricsFile.read(path: directory + "/metrics.jsonl")) ?? []
        self.init(
            variant: cell.variant, seed: cell.seed, meanIoU: read.mIoU, pixelAccuracy: read.pixelAccuracy,
            meanAccuracy: read.meanAccuracy, iou: read.classes.map { ($0.name, $0.iou) },
            seconds: steps.reduce(0) { $0 + $1.milliseconds } / 1000)
    }

    /// What `evaluation.json` holds of use here.
    private struct Evaluation: Decodable {
        struct Class: Decodable {
            var name: String
            var iou: Double?
        }
        var mIoU: Double?
        var pixelAccuracy: Double?
        var meanAccuracy: Double?
        var classes: [Class]
    }
}
