import Foundation
import StageKit
import Supervisor

/// A report in Prometheus' text format, version 0.0.4: <https://prometheus.io/docs/instrumenting/exposition_formats>.
///
/// Names follow its conventions: base units in the name, `_total` for sums since a process's start. Samples of one name
/// stand together, in the order of the report.
struct PrometheusText {
    static let type = "text/plain; version=0.0.4; charset=utf-8"

    enum Kind: String { case counter, gauge }

    private struct Family {
        var name: String
        var kind: Kind
        var help: String
        var samples: [(labels: [(String, String)], value: Double)] = []
    }

    private var families: [Family] = []
    private let run: String

    var text: String {
        families.filter { !$0.samples.isEmpty }.map { family in
            var lines = ["# HELP \(family.name) \(family.help)", "# TYPE \(family.name) \(family.kind.rawValue)"]
            for sample in family.samples {
                let labels = ([("run", run)] + sample.labels).map { "\($0.0)=\"\(Self.escaped($0.1))\"" }
                lines.append("\(family.name){\(labels.joined(separator: ","))} \(Self.number(sample.value))")
            }
            return lines.joined(separator: "\n") + "\n"
        }.joined()
    }

    init(_ report: StatusReport) {
        run = report.run
        add(.gauge, "picoflow_up", "Whether a supervisor is at work on the run.", report.phase == .ended ? 0 : 1)
        add(.gauge, "picoflow_phase", "1 for what the run does now.", labels: [("phase", report.phase.rawValue)], 1)
        add(.gauge, "picoflow_epoch", "Reigns of compute so far.", Double(report.epoch))
        add(.gauge, "picoflow_step", "Newest training step.", Double(report.step))
        add(.gauge, "picoflow_iterations", "Steps of the whole run.", Double(report.iterations))
        add(.gauge, "picoflow_images_per_second", "Images trained per second.", report.imagesPerSecond)
        add(.gauge, "picoflow_eta_seconds", "Time until the last step, by the present speed.", report.etaSeconds)
        add(.gauge, "picoflow_checkpoint_step", "Step of the newest checkpoint.", report.checkpoint.map(Double.init))
        add(.gauge, "picoflow_swaps", "Swaps of the miners so far.", Double(report.swaps?.count ?? 0))
        if let step = report.metrics {
            let help = "Loss of the newest step by its part."
            add(.gauge, "picoflow_loss", help, labels: [("part", "cross_entropy")], step.ce)
            add(.gauge, "picoflow_loss", help, labels: [("part", "contrast")], step.nce)
            add(.gauge, "picoflow_learning_rate", "Learning rate of the newest step.", step.lr)
        }
        if let scores = report.evaluation {
            let labels = [("split", scores.split)]
            add(.gauge, "picoflow_miou_ratio", "Mean IoU of the newest evaluation.", labels: labels, scores.mIoU)
            add(
                .gauge, "picoflow_evaluation_step", "Step of the newest evaluation.", labels: labels,
                Double(scores.step))
        }
        for stage in report.stages { add(stage) }
    }

    private mutating func add(_ stage: StatusReport.Stage) {
        let labels = [("stage", stage.stage), ("replica", "\(stage.id)")]
        add(
            .gauge, "picoflow_stage_state", "1 for what a process does now.",
            labels: labels + [
                ("kind", stage.kind?.rawValue ?? ""), ("host", stage.host ?? ""), ("state", stage.state.rawValue),
            ], 1)
        add(
            .counter, "picoflow_stage_restarts_total", "How often a process was started again.", labels: labels,
            Double(stage.restarts))
        let plain: [(String, Kind, String, String)] = [
            (ProcessMetric.cpu, .counter, "cpu_seconds_total", "Processor time used."),
            (ProcessMetric.resident, .gauge, "resident_bytes", "Memory in use."),
            (WorkerMetric.busy, .counter, "busy_seconds_total", "Time spent executing tickets, over all threads."),
            (WorkerMetric.tickets, .counter, "tickets_total", "Tickets executed."),
            (ComputeMetric.steps, .counter, "step_seconds_total", "Time spent in training steps."),
            (
                ComputeMetric.waitedForSamples, .counter, "waited_for_samples_seconds_total",
                "Of it, waiting for samples."
            ),
            (
                ComputeMetric.waitedForGradients, .counter, "waited_for_gradients_seconds_total",
                "Of it, waiting for gradients."
            ),
        ]
        for (metric, kind, name, help) in plain {
            add(kind, "picoflow_stage_\(name)", help, labels: labels, stage.metrics[metric])
        }
        for link in LinkName.allCases {
            let labels = labels + [("link", link.rawValue)]
            for metric in LinkMetric.allCases {
                let (kind, name, help): (Kind, String, String) =
                    switch metric {
                    case .sentBytes: (.counter, "sent_bytes_total", "Bytes sent by the side that binds the link.")
                    case .receivedBytes:
                        (.counter, "received_bytes_total", "Bytes received by the side that binds the link.")
                    case .delivered: (.counter, "results_total", "Results handed on.")
                    case .underWay: (.gauge, "tickets_under_way", "Tickets that wait for a worker or are with one.")
                    case .ready: (.gauge, "results_ready", "Results that nobody has taken yet.")
                    case .sequence: (.gauge, "sequence", "The log's newest record.")
                    }
                add(kind, "picoflow_link_\(name)", help, labels: labels, stage.metrics[metric.name(link)])
            }
            for (name, value) in stage.metrics.sorted(by: { $0.key < $1.key })
            where name.hasPrefix("\(link.rawValue).bad.") {
                add(
                    .counter, "picoflow_link_bad_frames_total", "Frames that broke the protocol, by the failed check.",
                    labels: labels + [("check", String(name.dropFirst(link.rawValue.count + 5)))], value)
            }
        }
    }

    private mutating func add(
        _ kind: Kind, _ name: String, _ help: String, labels: [(String, String)] = [], _ value: Double?
    ) {
        guard let value else { return }
        if let index = families.firstIndex(where: { $0.name == name }) {
            families[index].samples.append((labels, value))
        } else {
            families.append(Family(name: name, kind: kind, help: help, samples: [(labels, value)]))
        }
    }

    private static func escaped(_ value: String) -> String {
        value.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"")
            .replacingOccurrences(of: "\n", with: "\\n")
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        return value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : "\(value)"
    }
}
