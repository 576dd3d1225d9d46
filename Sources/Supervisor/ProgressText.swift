import Basics
import Foundation
import StageKit

/// A run's state in words: pure functions of the report.
enum ProgressText {
    /// One line: `step 120/550 ce 0.931 contrast 9.24 lr 0.0412 11.2 images/s eta 5 min 12 s waits: samples 2%, gradients 10%`.
    static func line(_ report: StatusReport, evaluated: (done: Int, total: Int)?) -> String {
        if let evaluated, report.phase == .evaluating {
            return "evaluating \(evaluated.done)/\(evaluated.total) images"
        }
        guard let metrics = report.metrics else { return "\(report.phase.rawValue): \(stages(report))" }
        return "\(steps(report))  \(losses(metrics))  \(speed(report))  waits: \(waits(metrics))"
    }

    /// The lines of the terminal's block.
    static func block(_ report: StatusReport, evaluated: (done: Int, total: Int)?) -> [String] {
        var lines = ["\(report.run)  \(report.phase.rawValue)" + (report.checkpoint.map { "  checkpoint \($0)" } ?? "")]
        if let metrics = report.metrics {
            lines.append(
                "  \(bar(Double(report.step) / Double(max(1, report.iterations)))) \(steps(report))  \(speed(report))")
            lines.append("  \(losses(metrics))")
            lines.append(
                "  of a step's \(durationText(seconds: metrics.milliseconds / 1000)) compute waits for \(waits(metrics))"
            )
        }
        if let evaluated, report.phase == .evaluating {
            lines.append(
                "  \(bar(Double(evaluated.done) / Double(max(1, evaluated.total)))) evaluated \(evaluated.done)/\(evaluated.total)"
            )
        }
        if let step = report.evaluating {
            let images = evaluated.map { ", \($0.done)/\($0.total) images" } ?? ""
            lines.append("  evaluating the network of step \(step)\(images)")
        }
        if let scores = report.evaluation { lines.append("  \(scores.text) at step \(scores.step)") }
        // The one in force, and those ahead.
        let swaps = report.swaps ?? []
        let inForce = swaps.lastIndex { $0.step <= report.step + 1 }
        for swap in swaps[(inForce ?? 0)...] {
            let tense = report.step + 1 >= swap.step ? "since" : "from"
            lines.append("  \(swap.stage) \(tense) step \(swap.step): swap \(swap.generation), \(swap.change)")
        }
        lines.append("  \(stages(report))")
        return lines
    }

    /// Every stage with what it does or waits for; replicas in the same state together.
    static func stages(_ report: StatusReport) -> String {
        var parts: [(stage: String, state: String, count: Int)] = []
        for stage in report.stages {
            let state = stage.waitingOn.map { "waits for \($0)" } ?? stage.state.rawValue
            if let index = parts.firstIndex(where: { $0.stage == stage.stage && $0.state == state }) {
                parts[index].count += 1
            } else {
                parts.append((stage.stage, state, 1))
            }
        }
        return parts.map { "\($0.count > 1 ? "\($0.count) " : "")\($0.stage): \($0.state)" }.joined(separator: " · ")
    }

    static func steps(_ report: StatusReport) -> String { "step \(report.step)/\(report.iterations)" }

    static func losses(_ metrics: StepMetrics) -> String {
        let contrast = metrics.nce.map { "  contrast \(number($0, 3))" } ?? ""
        let lr = metrics.lr > 0 && metrics.lr < 0.001 ? String(format: "%.2e", metrics.lr) : number(metrics.lr, 5)
        return "ce \(number(metrics.ce, 3))\(contrast)  lr \(lr)"
    }

    static func speed(_ report: StatusReport) -> String {
        let rate = report.imagesPerSecond.map { "\(number($0, 1)) images/s" } ?? "- images/s"
        return rate + (report.etaSeconds.map { "  eta \(durationText(seconds: $0))" } ?? "")
    }

    /// Shares of the step that compute stood still.
    static func waits(_ metrics: StepMetrics) -> String {
        guard metrics.milliseconds > 0 else { return "samples -, gradients -" }
        let samples = 100 * metrics.waitedForSamples / metrics.milliseconds
        let gradients = 100 * metrics.waitedForGradients / metrics.milliseconds
        return "samples \(number(samples, 0))%, gradients \(number(gradients, 0))%"
    }

    private static func bar(_ fraction: Double) -> String {
        let filled = Int((min(1, max(0, fraction)) * 20).rounded(.down))
        return "[" + String(repeating: "#", count: filled) + String(repeating: ".", count: 20 - filled) + "]"
    }

    private static func number(_ value: Double, _ digits: Int) -> String {
        value.isFinite ? String(format: "%.\(digits)f", value) : "nan"
    }
}

extension StatusReport {
    /// For a person: the progress block and a table of the processes.
    public var text: String {
        let rows = stages.map { stage in
            [
                "\(stage.stage)-\(stage.id)", stage.pid.map { "\($0)" } ?? "-", stage.host ?? "-",
                stage.waitingOn.map { "waits for \($0)" } ?? stage.state.rawValue,
                stage.restarts > 0 ? "restarted \(stage.restarts)x" : "",
            ]
        }
        let table = alignedColumns(rows).map { "  " + $0 }
        let progress = ProgressText.block(self, evaluated: evaluated.map { ($0.done, $0.total) }).dropLast()
        let end = outcome ?? "its supervisor is gone; go on with: picoflow launch --resume \(shellWord(runDirectory))"
        return (progress + (phase == .ended ? ["  \(end)"] : []) + table).joined(separator: "\n")
    }
}
