import Basics
import Foundation

/// Means and deviations of a sweep's runs so far.
public struct SweepTable: Sendable {
    let plan: SweepPlan
    let results: [SweepResult]

    public init(_ plan: SweepPlan, _ results: [SweepResult]) {
        self.plan = plan
        self.results = results
    }

    /// For readers: the variants, then IoU by class. Percent; ± is the seeds' standard deviation (n - 1).
    public var markdown: String {
        var lines: [String] = []
        if results.count < plan.cells.count {
            lines += ["Partial: \(results.count) of \(plan.cells.count) runs have finished.", ""]
        }
        let first = plan.variants[0].name
        var head = ["variant", "runs", "mIoU", "pixel accuracy", "mean accuracy", "training time"]
        if plan.variants.count > 1 { head.insert("mIoU against \(first), seed by seed", at: 3) }
        lines += Self.table(
            head,
            plan.variants.indices.map { variant in
                let runs = self.runs(of: variant)
                var row = [
                    plan.variants[variant].name, "\(runs.count)", Spread(runs.map(\.evaluation.mIoU)).text,
                    Spread(runs.map(\.evaluation.pixelAccuracy)).text, Spread(runs.map(\.evaluation.meanAccuracy)).text,
                    Spread(runs.map(\.seconds)).mean.map { durationText(seconds: $0) } ?? "",
                ]
                if plan.variants.count > 1 { row.insert(variant == 0 ? "" : gain(of: variant).signed, at: 3) }
                return row
            })
        guard !classes.isEmpty else { return lines.joined(separator: "\n") }
        lines += [""]
        lines += Self.table(
            ["IoU"] + plan.variants.map(\.name),
            classes.map { name in
                [name] + plan.variants.indices.map { Spread(runs(of: $0).map { Self.iou(of: name, $0) }).text }
            })
        return lines.joined(separator: "\n")
    }

    /// For programs: one line per variant, fractions, each mean with its deviation behind it.
    public var csv: String {
        let head =
            ["variant", "runs"]
            + (["mIoU", "pixelAccuracy", "meanAccuracy", "seconds"] + classes.map { "IoU \($0)" })
            .flatMap { [$0, $0 + " deviation"] }
        let rows = plan.variants.indices.map { variant in
            let runs = self.runs(of: variant)
            let spreads =
                [
                    Spread(runs.map(\.evaluation.mIoU)), Spread(runs.map(\.evaluation.pixelAccuracy)),
                    Spread(runs.map(\.evaluation.meanAccuracy)), Spread(runs.map(\.seconds)),
                ] + classes.map { name in Spread(runs.map { Self.iou(of: name, $0) }) }
            return [plan.variants[variant].name, "\(runs.count)"]
                + spreads.flatMap { [$0.mean, $0.deviation] }.map { $0.map { "\($0)" } ?? "" }
        }
        return ([head] + rows).map { $0.map(Self.quoted).joined(separator: ",") + "\n" }.joined()
    }

    /// One line per run.
    public var runsCSV: String {
        let head =
            ["variant", "seed", "mIoU", "pixelAccuracy", "meanAccuracy", "seconds"]
            + classes.map { "IoU \($0)" }
        let rows = results.map { run in
            [plan.variants[run.variant].name, "\(run.seed)"]
                + ([run.evaluation.mIoU, run.evaluation.pixelAccuracy, run.evaluation.meanAccuracy, run.seconds]
                + classes.map { Self.iou(of: $0, run) })
                .map { $0.map { "\($0)" } ?? "" }
        }
        return ([head] + rows).map { $0.map(Self.quoted).joined(separator: ",") + "\n" }.joined()
    }

    /// Of all runs, in the order in which they come: variants may be of several datasets.
    private var classes: [String] {
        results.flatMap(\.evaluation.classes).reduce(into: []) { if !$0.contains($1.name) { $0.append($1.name) } }
    }

    private static func iou(of name: String, _ run: SweepResult) -> Double? {
        run.evaluation.classes.first { $0.name == name }?.iou
    }

    private func runs(of variant: Int) -> [SweepResult] { results.filter { $0.variant == variant } }

    /// Differences to the first variant with the same seed: what the seeds have in common cancels.
    private func gain(of variant: Int) -> Spread {
        let base = Dictionary(uniqueKeysWithValues: runs(of: 0).map { ($0.seed, $0.evaluation.mIoU) })
        return Spread(
            runs(of: variant).map { run in
                guard let other = base[run.seed] ?? nil, let own = run.evaluation.mIoU else { return nil }
                return own - other
            })
    }

    private static func table(_ head: [String], _ rows: [[String]]) -> [String] {
        func line(_ cells: [String]) -> String {
            "| " + cells.map { $0.replacingOccurrences(of: "|", with: "\\|") }.joined(separator: " | ") + " |"
        }
        return [line(head), "|" + String(repeating: "---|", count: head.count)] + rows.map(line)
    }

    /// RFC 4180.
    private static func quoted(_ text: String) -> String {
        guard text.contains(where: { ",\"\n\r".contains($0) }) else { return text }
        return "\"" + text.replacingOccurrences(of: "\"", with: "\"\"") + "\""
    }
}

/// Mean and sample deviation of those values that are there.
struct Spread: Equatable {
    var mean: Double?
    /// Of n - 1; nil for fewer than two values.
    var deviation: Double?

    init(_ values: [Double?]) {
        let values = values.compactMap(\.self)
        guard !values.isEmpty else { return }
        let mean = values.reduce(0, +) / Double(values.count)
        self.mean = mean
        guard values.count > 1 else { return }
        deviation = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count - 1)).squareRoot()
    }

    var text: String { formatted("%.2f") }
    var signed: String { formatted("%+.2f") }

    private func formatted(_ format: String) -> String {
        guard let mean else { return "–" }
        return String(format: format, 100 * mean) + (deviation.map { String(format: " ± %.2f", 100 * $0) } ?? "")
    }
}
