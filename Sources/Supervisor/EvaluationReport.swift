import Basics
import Datasets
import Foundation
import StageKit

/// What an evaluation found, for readers and for programs.
public struct EvaluationReport: Encodable, Sendable, Equatable {
    public struct ClassResult: Encodable, Sendable, Equatable {
        public var name: String
        /// Nil for a class that is neither labelled nor predicted anywhere.
        public var iou: Double?
        /// Nil for a class that is not labelled anywhere. Not in the JSON.
        public var accuracy: Double?

        private enum CodingKeys: CodingKey { case name, iou }

        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(name, forKey: .name)
            // An absent class is null there, not left out.
            try container.encode(iou, forKey: .iou)
        }
    }

    var split: String
    var images: Int
    /// Where predictions were written.
    var written: String?
    /// False for a split without label maps: nothing was measured.
    var isMeasured: Bool
    /// Steps of training that the checkpoint had; nil where that is not known.
    var step: UInt64?
    var classes: [ClassResult]
    /// Mean of the classes' IoU, absent ones left out; nil where no pixel was counted, as the other two.
    var meanIoU: Double?
    var pixelAccuracy: Double?
    var meanAccuracy: Double?
    /// Pixels by label, then prediction; nil where nothing was measured.
    var confusion: [[Int64]]?

    /// - Parameter matrix: nil for a split without label maps.
    init(
        _ matrix: ConfusionMatrix?, classes names: [String], split: String, images: Int, step: UInt64?,
        written: String? = nil
    ) {
        self.split = split
        self.images = images
        self.step = step
        self.written = written
        isMeasured = matrix != nil
        confusion = matrix.map { matrix in
            (0..<matrix.classes).map { label in
                (0..<matrix.classes).map { matrix[label: label, prediction: $0] }
            }
        }
        let matrix = matrix ?? ConfusionMatrix(classes: names.count)
        let iou = matrix.iou
        let accuracy = matrix.classAccuracy
        classes = names.indices.map { ClassResult(name: names[$0], iou: iou[$0], accuracy: accuracy[$0]) }
        meanIoU = matrix.meanIoU
        pixelAccuracy = matrix.pixelAccuracy
        meanAccuracy = matrix.meanAccuracy
    }

    func summary() throws -> EvaluationSummary {
        EvaluationSummary(
            table: table, json: try prettyJSON(), report: self,
            scores: isMeasured
                ? step.map {
                    EvaluationScores(
                        step: $0, split: split, mIoU: meanIoU, pixelAccuracy: pixelAccuracy, meanAccuracy: meanAccuracy)
                } : nil,
            classes: classes)
    }

    // MARK: For programs

    private enum CodingKeys: CodingKey {
        case mIoU, pixelAccuracy, meanAccuracy, classes, confusion, split, images, step, written
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(meanIoU, forKey: .mIoU)
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
    var table: String {
        let title = "\(split), \(images) \(images == 1 ? "image" : "images")" + (step.map { ", step \($0)" } ?? "")
        let files = written.map { ["", "\(images) label map\(images == 1 ? "" : "s") written to \($0)"] } ?? []
        guard isMeasured else {
            return
                ([title, "", "The split has no label maps, so there is no mIoU: only its keepers can measure it."]
                + files)
                .joined(separator: "\n")
        }
        let head = ["class", "IoU", "accuracy"]
        let body = classes.map { [$0.name, Self.percent($0.iou), Self.percent($0.accuracy)] }
        let means = [
            ["mIoU", Self.percent(meanIoU), ""], ["mean accuracy", "", Self.percent(meanAccuracy)],
            ["pixel accuracy", "", Self.percent(pixelAccuracy)],
        ]
        let rows = [head] + body + means
        let widths = (0..<3).map { column in rows.map { $0[column].count }.max() ?? 0 }
        let rule = String(repeating: "-", count: widths.reduce(4, +))
        func line(_ row: [String]) -> String {
            var line = row[0] + Self.space(widths[0] - row[0].count)
            for column in 1...2 { line += Self.space(2 + widths[column] - row[column].count) + row[column] }
            return String(line.reversed().drop { $0 == " " }.reversed())
        }
        return ([title, "", line(head), rule] + body.map(line) + [rule] + means.map(line) + files)
            .joined(separator: "\n")
    }

    private static func percent(_ fraction: Double?) -> String {
        guard let fraction else { return "absent" }
        return String(format: "%.2f %%", 100 * fraction)
    }

    private static func space(_ count: Int) -> String { String(repeating: " ", count: max(0, count)) }
}

extension EvaluationSummary {
    /// Where the evaluation at a run's end is kept.
    public static func path(inRun directory: String) -> String { directory + "/evaluation.json" }

    /// Writes the JSON into a run's directory, whole or not at all.
    public func save(inRun directory: String) throws {
        try DurableFile.write(json + "\n", to: Self.path(inRun: directory))
    }
}
