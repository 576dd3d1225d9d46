import Basics
import Datasets
import Foundation
import StageKit

/// What an evaluation found, for readers and for programs: `evaluation.json` and `evaluations/step-NNNNNN.json` of a run, and
/// what `picoflow eval --json` prints.
public struct EvaluationReport: Codable, Sendable, Equatable {
    public struct ClassResult: Codable, Sendable, Equatable {
        public var name: String
        /// A fraction; nil for a class that is neither labelled nor predicted anywhere.
        public var iou: Double?

        private enum CodingKeys: CodingKey { case name, iou }

        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(name, forKey: .name)
            // An absent class is null there, not left out.
            try container.encode(iou, forKey: .iou)
        }
    }

    public var split: String
    public var images: Int
    /// Where predictions were written.
    public var written: String?
    /// Steps of training that the checkpoint had; nil where that is not known.
    public var step: UInt64?
    /// In the order of their numbers.
    public var classes: [ClassResult]
    /// Mean of the classes' IoU, absent ones left out; nil where no pixel was counted, as the other two.
    public var mIoU: Double?
    public var pixelAccuracy: Double?
    public var meanAccuracy: Double?
    /// Pixels by label, then prediction; nil where nothing was measured, as the split has no label maps, and in files of
    /// earlier versions.
    public var confusion: [[Int64]]?

    /// The confusion matrix, where it is one of all classes.
    public var matrix: [[Int64]]? {
        confusion.flatMap { rows in
            rows.count == classes.count && rows.allSatisfy { $0.count == classes.count } ? rows : nil
        }
    }

    /// Of the pixels labelled as a class, the part that was right; nil for a class that is not labelled anywhere, or where
    /// there is no matrix.
    public func accuracy(of number: Int) -> Double? {
        guard let row = matrix?[number] else { return nil }
        let labelled = row.reduce(0, +)
        return labelled > 0 ? Double(row[number]) / Double(labelled) : nil
    }

    /// Nil where nothing was measured, or nobody knows at which step.
    var scores: EvaluationScores? {
        guard confusion != nil, let step else { return nil }
        return EvaluationScores(
            step: step, split: split, mIoU: mIoU, pixelAccuracy: pixelAccuracy, meanAccuracy: meanAccuracy)
    }

    // MARK: For programs

    private enum CodingKeys: CodingKey {
        case mIoU, pixelAccuracy, meanAccuracy, classes, confusion, split, images, step, written
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        // Absent means are null too.
        try container.encode(mIoU, forKey: .mIoU)
        try container.encode(pixelAccuracy, forKey: .pixelAccuracy)
        try container.encode(meanAccuracy, forKey: .meanAccuracy)
        try container.encode(classes, forKey: .classes)
        try container.encodeIfPresent(confusion, forKey: .confusion)
        try container.encode(split, forKey: .split)
        try container.encode(images, forKey: .images)
        try container.encodeIfPresent(step, forKey: .step)
        try container.encodeIfPresent(written, forKey: .written)
    }

    // MARK: For readers

    /// Percentages in aligned columns; the means stand below the classes, each in its column.
    public var table: String {
        let title = "\(split), \(images) \(images == 1 ? "image" : "images")" + (step.map { ", step \($0)" } ?? "")
        let files = written.map { ["", "\(images) label map\(images == 1 ? "" : "s") written to \($0)"] } ?? []
        guard confusion != nil else {
            return
                ([title, "", "The split has no label maps, so there is no mIoU: only its keepers can measure it."]
                + files)
                .joined(separator: "\n")
        }
        let head = ["class", "IoU", "accuracy"]
        let body = classes.indices.map { number in
            [classes[number].name, Self.percent(classes[number].iou), Self.percent(accuracy(of: number))]
        }
        let means = [
            ["mIoU", Self.percent(mIoU), ""], ["mean accuracy", "", Self.percent(meanAccuracy)],
            ["pixel accuracy", "", Self.percent(pixelAccuracy)],
        ]
        var lines = alignedColumns([head] + body + means, right: [1, 2]).map(\.withoutTrailingBlanks)
        let rule = String(repeating: "-", count: lines[0].count)
        lines.insert(rule, at: 1)
        lines.insert(rule, at: lines.count - means.count)
        return ([title, ""] + lines + files).joined(separator: "\n")
    }

    private static func percent(_ fraction: Double?) -> String {
        guard let fraction else { return "absent" }
        return String(format: "%.2f %%", 100 * fraction)
    }
}

extension EvaluationReport {
    /// - Parameter matrix: nil for a split without label maps.
    init(
        _ matrix: ConfusionMatrix?, classes names: [String], split: String, images: Int, step: UInt64?,
        written: String? = nil
    ) {
        let iou = matrix?.iou
        let confusion: [[Int64]]? = matrix.map { matrix in
            (0..<matrix.classes).map { label in
                (0..<matrix.classes).map { matrix[label: label, prediction: $0] }
            }
        }
        self.init(
            split: split, images: images, written: written, step: step,
            classes: names.indices.map { ClassResult(name: names[$0], iou: iou?[$0]) }, mIoU: matrix?.meanIoU,
            pixelAccuracy: matrix?.pixelAccuracy, meanAccuracy: matrix?.meanAccuracy, confusion: confusion)
    }

    // MARK: In a run

    /// Where the evaluation at a run's end is kept.
    static func path(inRun directory: String) -> String { directory + "/evaluation.json" }

    /// Writes the JSON into a run's directory, whole or not at all.
    public func save(inRun directory: String) throws {
        try DurableFile.write(prettyJSON() + "\n", to: Self.path(inRun: directory))
    }

    /// Of the highest step; nil where nothing was measured.
    public static func newest(inRun directory: String) -> EvaluationReport? {
        let folder = directory + "/evaluations"
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
            .filter { $0.hasSuffix(".json") }
        let reports = (names.map { folder + "/" + $0 } + [path(inRun: directory)]).compactMap { path in
            FileManager.default.contents(atPath: path).flatMap {
                // One that failed has no classes.
                try? JSONDecoder().decode(EvaluationReport.self, from: $0)
            }
        }
        return reports.max { ($0.step ?? 0) < ($1.step ?? 0) }
    }
}
