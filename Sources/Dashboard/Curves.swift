import Basics
import Foundation
import StageKit

/// The curves of `metrics.jsonl`, read as it grows. An actor of its own: the file of a long run takes seconds to read first.
actor Curves {
    /// What a plot needs: one value per point and curve, null where there is none.
    struct Points: Encodable {
        var step: [UInt64] = []
        var ce: [Double?] = []
        var nce: [Double?] = []
        var lr: [Double?] = []
        var imagesPerSecond: [Double?] = []
        /// Of a step's time, spent waiting for samples and for gradients, 0 to 1.
        var samplesWait: [Double?] = []
        var gradientsWait: [Double?] = []
        var evaluations: [EvaluationScores] = []
    }

    private let path: String
    private var offset: UInt64 = 0
    private var inode: UInt64?
    /// The end of a line that has not come yet.
    private var torn = Data()
    private var steps: [StepMetrics] = []
    private var evaluations: [EvaluationScores] = []

    init(path: String) { self.path = path }

    /// Reads what is new. A file that was replaced, as a rollback does, is read anew.
    private func update() {
        guard let file = FileHandle(forReadingAtPath: path) else { return }
        defer { try? file.close() }
        var status = stat()
        guard fstat(file.fileDescriptor, &status) == 0 else { return }
        let found = UInt64(status.st_ino)
        if found != inode || UInt64(status.st_size) < offset {
            (inode, offset, torn, steps, evaluations) = (found, 0, Data(), [], [])
        }
        try? file.seek(toOffset: offset)
        let decoder = JSONDecoder()
        while let bytes = try? file.read(upToCount: 1 << 20), !bytes.isEmpty {
            offset += UInt64(bytes.count)
            torn.append(bytes)
            let (lines, length) = torn.wholeLines
            for line in lines {
                if var metrics = try? decoder.decode(StepMetrics.self, from: line) {
                    // Of a hundred thousand steps, what is not drawn is not kept.
                    metrics.phases = [:]
                    steps.append(metrics)
                } else if let scores = try? decoder.decode(EvaluationScores.self, from: line) {
                    evaluations.append(scores)
                }
            }
            torn = Data(torn.dropFirst(length))
        }
    }

    /// - Parameter limit: most points; more steps are averaged in equal stretches.
    func points(limit: Int) -> Points {
        update()
        var points = Points()
        points.evaluations = evaluations
        let stretch = max(1, (steps.count + limit - 1) / limit)
        for start in stride(from: 0, to: steps.count, by: stretch) {
            let part = steps[start..<min(steps.count, start + stretch)]
            func mean(_ value: (StepMetrics) -> Double?) -> Double? {
                let values = part.compactMap(value).filter(\.isFinite)
                return values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
            }
            points.step.append(part.last!.step)
            points.ce.append(mean { $0.ce })
            points.nce.append(mean { $0.nce })
            points.lr.append(mean { $0.lr })
            points.imagesPerSecond.append(mean { $0.imagesPerSecond })
            points.samplesWait.append(mean { $0.milliseconds > 0 ? $0.waitedForSamples / $0.milliseconds : nil })
            points.gradientsWait.append(mean { $0.milliseconds > 0 ? $0.waitedForGradients / $0.milliseconds : nil })
        }
        return points
    }
}
