import ArgumentParser
import Basics
import BenchKit
import Datasets
import Foundation

/// `tools/bench growth`: how cost grows with what a user may turn up, one quantity at a time.
struct GrowthBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "growth",
        abstract: "Cost against batch, crop, classes, memory and loaders, and memory over many steps.",
        discussion: """
            Steps are DeepLabV3's on MobileNetV2 by cross-entropy; mining is of CamVid's memory and multiples of it. The last table \
            is a run of the demo in small: what each of its processes has resident after so many steps.
            """)

    @Option(help: "How often each measurement is made; medians are shown.") var rounds = 3
    @Option(help: "Of the run whose memory is watched; 0 leaves it out.") var steps = 10_000
    @Flag(help: "Print all measurements as JSON.") var json = false

    /// One value of one quantity.
    struct Point: Codable {
        var value: String
        /// How often the first point's amount of work this is.
        var work: Double
        /// In the series' unit, one number per round.
        var cost: [Double] = []
    }

    struct Series: Codable {
        var quantity: String
        var unit: String
        var points: [Point]
    }

    /// Resident memory after some steps, MiB by process.
    struct Moment: Codable {
        var step: Int
        var resident: [String: Double]
    }

    struct Report: Codable {
        var series: [Series] = []
        var moments: [Moment] = []
    }

    func validate() throws {
        guard (1...99).contains(rounds), steps == 0 || (100...10_000_000).contains(steps) else {
            throw ValidationError("--rounds takes 1 to 99, --steps 0 or 100 and more")
        }
    }

    func run() throws {
        let scratch = try ScratchFolder()
        var report = Report()
        report.series = [
            try series("batch", "ms per step", [2, 4, 8, 16].map { ("\($0)", Double($0) / 2) }) {
                try step(batch: Int($0)!)
            },
            try series("crop", "ms per step", [("120x160", 1), ("240x320", 4), ("360x480", 9), ("480x640", 16)]) {
                try step(crop: $0.split(separator: "x").map { Int($0)! })
            },
            try series("classes", "ms per step", [("11", 1), ("19", 1), ("59", 1), ("150", 1)]) {
                try step(classes: Int($0)!)
            },
            try series("memory, times CamVid's", "ms per mini-batch", [1, 2, 4, 8].map { ("\($0)", Double($0)) }) {
                try mine($0)
            },
            try series("loaders at once", "samples/s", [1, 2, 4].map { ("\($0)", Double($0)) }) {
                try load(Int($0)!, scratch.path)
            },
        ]
        if steps > 0 { report.moments = try watch(scratch.path) }
        Child.tell("")
        print(try json ? report.prettyJSON() : Self.text(report))
    }

    private func series(
        _ quantity: String, _ unit: String, _ values: [(String, Double)], _ measure: (String) throws -> Double
    ) throws -> Series {
        var points = values.map { Point(value: $0.0, work: $0.1) }
        for round in 1...rounds {
            for index in points.indices {
                Child.tell("\(quantity) \(points[index].value), round \(round) of \(rounds)")
                points[index].cost.append(try measure(points[index].value))
            }
        }
        return Series(quantity: quantity, unit: unit, points: points)
    }

    private func step(batch: Int = 8, crop: [Int] = [240, 320], classes: Int = 11) throws -> Double {
        struct Answer: Decodable { var median_ms: Double }
        let threads = ProcessInfo.processInfo.activeProcessorCount
        let answer: Answer = try Child.measure(
            [
                "step-case", "--model", "deeplabv3-mobilenetv2", "--batch", "\(batch)", "--crop", "\(crop[0])",
                "\(crop[1])", "--classes", "\(classes)", "--threads", "\(threads)",
            ], by: "picoflow-bench-torch", threads: threads)
        return answer.median_ms
    }

    private func mine(_ growth: String) throws -> Double {
        let found: MiningMeasurement = try Child.measure([
            "mining-case", "--size", "camvid", "--mode", "exact", "--threads", "1", "--seconds", "1", "--growth",
            growth,
        ])
        return found.milliseconds.p50
    }

    /// So many processes on the same files.
    private func load(_ count: Int, _ scratch: String) throws -> Double {
        let data = scratch + "/data"
        if !FileManager.default.fileExists(atPath: data) {
            var options = Synthesizer.Options()
            (options.width, options.height, options.train, options.val) = (480, 360, 40, 1)
            _ = try Synthesizer.write(to: data, options: options)
        }
        let seconds = 2.0
        let children = try (0..<count).map { _ in
            try Child(
                ["loader-case", "--root", data, "--crop", "360", "480", "--seconds", "\(seconds)"],
                cores: Cores.split().all)
        }
        let found: [LoaderMeasurement] = try children.map { try $0.result("loader-case") }
        return Double(found.map(\.samples).reduce(0, +)) / seconds
    }

    private func watch(_ scratch: String) throws -> [Moment] {
        let data = scratch + "/scenes"
        var options = Synthesizer.Options()
        (options.width, options.height, options.train, options.val) = (64, 48, 40, 1)
        _ = try Synthesizer.write(to: data, options: options)
        let run = try LiveRun(
            [
                "Pipelines/local.yaml", "--recipe", "Configs/demo/pico-plus.yaml", "--set", "dataset.root=\(data)",
                "--set", "dataset.description=\(data)/dataset.yaml", "--set", "augmentation.crop=[48,64]", "--set",
                "model.atrousRates=[1,2,3]", "--set", "checkpoints={every: 500, keep: 2}", "--set",
                "schedule={iterations: \(2 * steps), batch: 2, warmup: 50, lrWarmup: 20}", "--stage", "loader=1",
            ], in: scratch + "/run")
        defer { run.stop() }
        return try (1...10).map { tenth in
            let step = steps * tenth / 10
            Child.tell("a run of \(steps) steps, \(step)")
            _ = try run.wait(forSteps: step)
            return Moment(step: step, resident: run.stages.mapValues { Usage.resident(of: $0) / 1_048_576 })
        }
    }

    static func text(_ report: Report) -> String {
        let growth = markdownTable(
            ["quantity", "value", "cost", "unit", "work", "cost per work"], left: [0, 1, 3],
            report.series.flatMap { series in
                series.points.map { point in
                    let first = series.points[0].cost.median
                    return [
                        series.quantity, point.value, point.cost.summary(1), series.unit, point.work.fixed(0) + "x",
                        (point.cost.median / first / point.work).fixed(2),
                    ]
                }
            })
        guard let names = report.moments.first?.resident.keys.sorted() else { return growth }
        return growth + "\n\n"
            + markdownTable(
                ["after step"] + names.map { "\($0), MiB" }, left: [],
                report.moments.map { moment in
                    ["\(moment.step)"] + names.map { (moment.resident[$0] ?? .nan).fixed(0) }
                })
    }
}
