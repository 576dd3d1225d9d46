import StageKit
import Supervisor

extension ReportPage {
    /// Losses, mIoU, learning rate, what contrast met, and speed.
    var curves: String {
        let figures = plots.map(\.html).filter { !$0.isEmpty }
        guard !figures.isEmpty else {
            return section("Curves", "<p>No step has been trained, so there are no curves.</p>")
        }
        return section(
            "Curves", note: "over training's steps", "<div class=plots>\n\(figures.joined(separator: "\n"))\n</div>")
    }

    private var plots: [CurvePlot] {
        var plots = [
            CurvePlot(title: "cross-entropy", curves: ofRuns("cross-entropy") { $0.ce }),
            CurvePlot(title: "contrastive loss", curves: ofRuns("contrastive loss") { $0.nce }),
            CurvePlot(
                title: "mIoU" + splits, unit: "%", scale: 100, fromZero: true,
                curves: runs.indices.map { index in
                    Curve(
                        compares ? names[index] : "mIoU", color: color(index),
                        runs[index].scores.compactMap { score in score.mIoU.map { (score.step, $0) } }, isMarked: true)
                }),
        ]
        if compares {
            plots += [
                CurvePlot(title: "similarity with positives", curves: ofRuns("") { $0.positiveSimilarity }),
                CurvePlot(title: "similarity with negatives", curves: ofRuns("") { $0.negativeSimilarity }),
            ]
        } else {
            plots.append(
                CurvePlot(
                    title: "similarity of anchors",
                    curves: [
                        curve(0, "with positives", color: 0) { $0.positiveSimilarity },
                        curve(0, "with negatives", color: 1) { $0.negativeSimilarity },
                    ]))
        }
        plots.append(
            CurvePlot(
                title: "mispredicted anchors", unit: "%", scale: 100, fromZero: true,
                curves: ofRuns("of all anchors") { step in
                    let drawn = step.contributing + step.skipped
                    return drawn > 0 ? step.hard.map { Double($0) / Double(drawn) } : nil
                }))
        plots.append(CurvePlot(title: "learning rate", fromZero: true, curves: ofRuns("learning rate") { $0.lr }))
        plots.append(
            CurvePlot(
                title: "speed", unit: "images/s", fromZero: true, curves: ofRuns("images/s") { $0.imagesPerSecond }))
        func share(_ part: Double, _ step: StepMetrics) -> Double? {
            step.milliseconds > 0 ? part / step.milliseconds : nil
        }
        if compares {
            plots += [
                CurvePlot(
                    title: "waiting for samples", unit: "%", scale: 100, fromZero: true,
                    curves: ofRuns("") { share($0.waitedForSamples, $0) }),
                CurvePlot(
                    title: "waiting for gradients", unit: "%", scale: 100, fromZero: true,
                    curves: ofRuns("") { share($0.waitedForGradients, $0) }),
            ]
        } else {
            plots.append(
                CurvePlot(
                    title: "part of a step that compute waits", unit: "%", scale: 100, fromZero: true,
                    curves: [
                        curve(0, "for samples", color: 0) { share($0.waitedForSamples, $0) },
                        curve(0, "for gradients", color: 1) { share($0.waitedForGradients, $0) },
                    ]))
        }
        return plots
    }

    /// ` on val`, where all runs were measured on it.
    private var splits: String {
        let found = Set(runs.flatMap { $0.scores.map(\.split) })
        return found.count == 1 ? " on \(found.first!)" : ""
    }

    private func color(_ index: Int) -> Int { index % Self.colors }

    /// A curve per run, called after it where there are several.
    private func ofRuns(_ name: String, _ value: (StepMetrics) -> Double?) -> [Curve] {
        runs.indices.map { curve($0, compares ? names[$0] : name, color: color($0), value) }
    }

    private func curve(_ index: Int, _ name: String, color: Int, _ value: (StepMetrics) -> Double?) -> Curve {
        Curve(name, color: color, runs[index].steps.compactMap { step in value(step).map { (step.step, $0) } })
    }
}
