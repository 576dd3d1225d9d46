import Foundation

/// `evaluations/step-NNNNNN.json` or `evaluation.json`, read back: what an `EvaluationReport` left there.
public struct EvaluationRecordFile: Decodable, Sendable, Equatable {
    public struct Class: Decodable, Sendable, Equatable {
        public var name: String
        /// A fraction; nil for a class that is nowhere.
        public var iou: Double?
    }

    public var step: UInt64?
    public var split: String
    public var images: Int
    public var mIoU: Double?
    public var pixelAccuracy: Double?
    public var meanAccuracy: Double?
    /// In the dataset's order.
    public var classes: [Class]
    /// Pixels by label, then prediction; nil in records of earlier versions.
    public var confusion: [[Int64]]?

    /// Of the highest step; nil where nothing was measured.
    public static func newest(inRun directory: String) -> EvaluationRecordFile? {
        let folder = directory + "/evaluations"
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
            .filter { $0.hasSuffix(".json") }
        let paths = names.map { folder + "/" + $0 } + [EvaluationSummary.path(inRun: directory)]
        let records = paths.compactMap { path in
            FileManager.default.contents(atPath: path).flatMap {
                // One that failed has no classes.
                try? JSONDecoder().decode(EvaluationRecordFile.self, from: $0)
            }
        }
        return records.max { ($0.step ?? 0) < ($1.step ?? 0) }
    }

    /// The matrix, where it is one of all classes.
    public var matrix: [[Int64]]? {
        confusion.flatMap { rows in
            rows.count == classes.count && rows.allSatisfy { $0.count == classes.count } ? rows : nil
        }
    }
}
