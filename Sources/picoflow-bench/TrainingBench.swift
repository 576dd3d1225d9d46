import ArgumentParser
import Basics
import BenchKit
import Foundation

/// `tools/bench training`: whole runs, all stages and real images, beside another program's in turns.
struct TrainingBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "training",
        abstract: "Images per second of whole runs, what contrast adds to a step, and another program's rates.",
        discussion: """
            The quick recipes on CamVid, from random weights: the memory fills with keys of the network's own, at most 10 for \
            each class and image, so it is nearly full after one pass. Each run is stopped after its last measured step.

            --peer names a program that is run in turns with ours, as PROGRAM --data DIR --loss ce|pico|pico+ --steps N \
            --warmup N --batch 8 --crop 240 320 --threads N --workers 1 --no-eval [--bf16], and whose last line is a JSON object \
            with median_step_ms.
            """)

    @Argument(help: "A folder with CamVid: train and trainannot.") var camvid: String
    @Option(help: "Losses, separated by commas.") var modes = "ce,pico,pico-plus"
    @Option(help: "float32, bf16 or both, separated by a comma.") var precisions = "float32,bf16"
    @Option(help: "The sampler's strategy; the paper's, which costs most, unless told.") var strategy = "semi-hard"
    @Option(help: "Steps by cross-entropy alone; the last half of them is measured too.") var warmup = 60
    @Option(help: "Steps after them, which are measured.") var steps = 60
    @Option(help: "Runs of each side; medians are shown.") var rounds = 2
    @Option(help: "Processes that keep cores busy meanwhile.") var busy = 0
    @Option(help: "Another program to measure in turns with ours.") var peer: String?
    @Flag(help: "Print all measurements as JSON.") var json = false

    struct Row: Codable {
        var mode: String
        var precision: String
        var busy: Int
        /// Mean milliseconds per step, one number per run.
        var ours: [Double] = []
        /// Of these, waiting for samples and for gradients.
        var samples: [Double] = []
        var gradients: [Double] = []
        /// Mean milliseconds of the same run's steps by cross-entropy alone.
        var before: [Double] = []
        /// Median milliseconds per step.
        var peer: [Double] = []
    }

    static let batch = 8

    func validate() throws {
        guard warmup >= 20, steps >= 10, (1...99).contains(rounds), (0...64).contains(busy) else {
            throw ValidationError("--warmup takes 20 or more, --steps 10 or more, --rounds 1 to 99, --busy 0 to 64")
        }
        for (list, known, option) in [
            (modes, ["ce", "pico", "pico-plus"], "--modes"), (precisions, ["float32", "bf16"], "--precisions"),
        ] {
            for word in list.split(separator: ",") where !known.contains(String(word)) {
                throw ValidationError("\(option): '\(word)' is none of \(known.joined(separator: ", "))")
            }
        }
    }

    func run() throws {
        let scratch = try ScratchFolder()
        var rows: [Row] = []
        for precision in precisions.split(separator: ",").map(String.init) {
            for mode in modes.split(separator: ",").map(String.init) {
                var row = Row(mode: mode, precision: precision, busy: busy)
                for round in 1...rounds {
                    Child.tell("\(mode) \(precision), round \(round) of \(rounds)")
                    try measure(into: &row, run: "\(scratch.path)/\(mode)-\(precision)-\(round)")
                    guard let peer else { continue }
                    Child.tell("\(mode) \(precision), peer, round \(round) of \(rounds)")
                    row.peer.append(try measure(peer: peer, mode, precision))
                }
                rows.append(row)
            }
        }
        Child.tell("")
        print(try json ? rows.prettyJSON() : Self.table(rows))
    }

    private func measure(into row: inout Row, run folder: String) throws {
        let neighbours = try BusyNeighbours(busy)
        defer { withExtendedLifetime(neighbours) {} }
        let total = warmup + steps
        let run = try LiveRun(
            [
                "Pipelines/local.yaml", "--recipe", "Configs/camvid/quick-\(row.mode).yaml", "--set",
                "dataset.root=\(camvid)", "--set", "model.precision=\(row.precision)", "--set",
                "sampler.strategy=\(strategy)", "--set",
                // It is stopped long before its last iteration.
                "schedule={iterations: \(10 * total), warmup: \(warmup), lrWarmup: 20}",
            ], in: folder)
        let steps = try run.wait(forSteps: total)
        run.stop()
        func mean(_ steps: some Collection<LiveRun.Step>, _ value: (LiveRun.Step) -> Double) -> Double {
            steps.map(value).reduce(0, +) / Double(steps.count)
        }
        let early = steps[(warmup / 2)..<warmup]
        let late = steps[warmup..<total]
        row.before.append(mean(early, \.milliseconds))
        row.ours.append(mean(late, \.milliseconds))
        row.samples.append(mean(late, \.waitedForSamples))
        row.gradients.append(mean(late, \.waitedForGradients))
    }

    private func measure(peer: String, _ mode: String, _ precision: String) throws -> Double {
        struct Answer: Decodable { var median_step_ms: Double }
        let neighbours = try BusyNeighbours(busy)
        defer { withExtendedLifetime(neighbours) {} }
        let threads = ProcessInfo.processInfo.activeProcessorCount
        let answer: Answer = try Child.measure(
            command: try shellWords(peer) + [
                "--data", camvid, "--loss", mode == "pico-plus" ? "pico+" : mode, "--steps", "\(warmup + steps)",
                "--warmup", "\(warmup)", "--batch", "\(Self.batch)", "--crop", "240", "320", "--threads", "\(threads)",
                "--workers", "1", "--no-eval",
            ] + (precision == "bf16" ? ["--bf16"] : []))
        return answer.median_step_ms
    }

    static func table(_ rows: [Row]) -> String {
        markdownTable(
            [
                "loss", "precision", "busy neighbours", "ours, ms per step", "images/s",
                "waiting for samples / gradients, ms", "contrast adds", "peer, ms", "peer / ours",
            ], left: [0, 1],
            rows.map { row in
                let added = zip(row.ours, row.before).map { 100 * ($0 / $1 - 1) }
                return [
                    row.mode, row.precision, "\(row.busy)", row.ours.summary(0),
                    (1000 * Double(batch) / row.ours.median).fixed(1),
                    "\(row.samples.median.fixed(0)) / \(row.gradients.median.fixed(0))",
                    row.mode == "ce" ? "-" : added.summary(0) + " %", row.peer.summary(0),
                    (row.peer.median / row.ours.median).fixed(2),
                ]
            })
    }
}
