import Foundation
import StageKit
import TestSupport
import Testing

@testable import Dashboard
@testable import Supervisor

@Suite struct PrometheusTextTests {
    private func report() -> StatusReport {
        var report = StatusReport(
            run: "quick \"1\"\\\n", runDirectory: "/runs/q", epoch: 2, phase: .training, stages: [], step: 120,
            iterations: 550, imagesPerSecond: 11.25, etaSeconds: 312,
            metrics: StepMetrics(step: 120, lr: 0.01, ce: 0.5, nce: .nan), checkpoint: 100,
            evaluation: EvaluationScores(
                step: 100, split: "val", mIoU: 0.25, pixelAccuracy: nil, meanAccuracy: nil))
        for id in 1...2 {
            report.stages.append(
                StatusReport.Stage(
                    stage: "loader", id: id, pid: 7, host: "here", state: .running, restarts: id - 1,
                    metrics: [
                        ProcessMetric.cpu: 1.5, ProcessMetric.resident: 1_073_741_824,
                        WorkerMetric.tickets: Double(10 * id),
                    ], kind: .loader))
        }
        report.stages.append(
            StatusReport.Stage(
                stage: "compute", id: 1, pid: 8, host: "here", state: .waiting, waitingOn: "samples", restarts: 0,
                metrics: [
                    "samples.receivedBytes": 123_456_789_012, "samples.underWay": 3, "samples.bad.header": 2,
                    "samples.heard": 9,
                ], kind: .compute))
        return report
    }

    @Test func samplesOfOneNameStandTogetherBehindTheirType() {
        let lines = PrometheusText(report()).text.split(separator: "\n")
        let start = lines.firstIndex(of: "# TYPE picoflow_stage_tickets_total counter")!
        #expect(lines[start - 1] == "# HELP picoflow_stage_tickets_total Tickets executed.")
        #expect(
            lines[start + 1] == #"picoflow_stage_tickets_total{run="quick \"1\"\\\n",stage="loader",replica="1"} 10"#)
        #expect(lines[start + 2].hasSuffix(#"replica="2"} 20"#))
        #expect(lines.contains { $0.hasPrefix("picoflow_loss{") && $0.hasSuffix(#"part="contrast"} NaN"#) })
        #expect(lines.contains { $0.hasSuffix(#"link="samples",check="header"} 2"#) })
        #expect(lines.contains { $0.hasPrefix("picoflow_link_received_bytes_total") && $0.hasSuffix(" 123456789012") })
        #expect(!PrometheusText(report()).text.contains("heard"))
    }

    @Test(.enabled(if: Python.has("prometheus_client"), "no prometheus_client in python3"))
    func prometheusOwnParserReadsIt() throws {
        let folder = try TemporaryFolder("metrics")
        try folder.write(PrometheusText(report()).text, to: "metrics.txt")
        let parsed = try Python.run([
            "-c",
            """
            import sys
            from prometheus_client.parser import text_string_to_metric_families
            families = list(text_string_to_metric_families(open(sys.argv[1]).read()))
            assert len({f.name for f in families}) == len(families), "a name comes twice"
            for f in families:
                assert f.documentation and f.type in ("counter", "gauge"), f
                for s in f.samples:
                    assert s.labels["run"] == 'quick "1"\\\\\\n', s
            by = {f.name: f for f in families}
            assert by["picoflow_stage_cpu_seconds"].type == "counter"
            assert [s.value for s in by["picoflow_stage_tickets"].samples] == [10, 20]
            assert by["picoflow_miou_ratio"].samples[0].labels["split"] == "val"
            print(len(families), int(by["picoflow_link_received_bytes"].samples[0].value))
            """, folder("metrics.txt"),
        ])
        #expect(parsed.hasSuffix(" 123456789012\n"), "\(parsed)")
    }
}
