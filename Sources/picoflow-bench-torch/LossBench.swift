import ArgumentParser
import Basics
import BenchKit
import Foundation
import Tensors

/// `tools/bench loss`: the loss at full resolution, forward and backward, beside its two operators.
struct LossBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "loss",
        abstract: "Milliseconds and memory of resizing and cross-entropy, fused and as two operators.",
        discussion: "The two forms take turns, each in processes of its own.")

    @Option(help: "Of both forms; all processors if left out.")
    var threads = ProcessInfo.processInfo.activeProcessorCount
    @Option(help: "Processes of each form; medians are shown.") var rounds = 3
    @Flag(help: "Prints all measurements as JSON.") var json = false
    @Flag(help: .private) var ratios = false

    func validate() throws {
        guard threads >= 1, rounds >= 1 else { throw ValidationError("--threads and --rounds take 1 or more") }
    }

    /// The quick recipe, Cityscapes by SegFormer and by DeepLabV3, ADE20K by SegFormer.
    private static let cases = [
        "8x11x15x20x240x320", "2x19x128x256x512x1024", "8x19x32x64x512x1024", "8x150x128x128x512x512",
    ]

    private struct Row: Encodable {
        var sizes: String
        var fused: [LossFigures] = []
        var plain: [LossFigures] = []

        func median(_ form: KeyPath<Row, [LossFigures]>, _ figure: KeyPath<LossFigures, Double>) -> Double {
            self[keyPath: form].map { $0[keyPath: figure] }.median
        }
    }

    func run() throws {
        var rows: [Row] = []
        for sizes in Self.cases {
            var row = Row(sizes: sizes)
            for round in 1...rounds {
                Child.tell("\(sizes), round \(round) of \(rounds)")
                let words = ["loss-case", "--sizes", sizes, "--threads", "\(threads)"]
                row.fused.append(try Child.measure(words, threads: threads))
                row.plain.append(try Child.measure(words + ["--plain"], threads: threads))
            }
            rows.append(row)
        }
        Child.tell("")
        if ratios {
            return try Ratio.print(
                rows.map { row in
                    Ratio("loss \(row.sizes)", zip(row.fused, row.plain).map { $0.milliseconds / $1.milliseconds })
                })
        }
        guard !json else { return print(try rows.prettyJSON()) }
        print(
            markdownTable(
                [
                    "scores, labels", "fused, ms", "two operators, ms", "times as fast", "fused, MiB",
                    "two operators, MiB", "memory",
                ],
                rows.map { row in
                    let (fast, slow) = (row.median(\.fused, \.milliseconds), row.median(\.plain, \.milliseconds))
                    let (small, large) = (row.median(\.fused, \.peakMiB), row.median(\.plain, \.peakMiB))
                    return [
                        row.sizes, fast.fixed(1), slow.fixed(1), (slow / fast).fixed(1), small.fixed(0), large.fixed(0),
                        "1/" + (large / max(small, 1)).fixed(0),
                    ]
                }))
        print(
            "\n\(threads) threads; medians of \(rounds) processes of 5 passes each; memory is beyond scores and labels")
    }
}

/// One form's passes in this process.
struct LossCase: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "loss-case", shouldDisplay: false)

    @Option(help: "Images x classes x height x width of the scores x height x width of the labels.") var sizes: String
    @Option var threads = 1
    @Flag var plain = false

    func run() throws {
        let numbers = sizes.split(separator: "x").compactMap { Int($0) }
        guard numbers.count == 6, numbers.allSatisfy({ $0 > 0 }) else {
            throw ValidationError("--sizes takes six numbers: 8x11x15x20x240x320")
        }
        try Torch.setThreads(threads)
        let (images, classes) = (numbers[0], numbers[1])
        let size = Size2D(numbers[4], numbers[5])
        var random = KeyedRandom(seed: 1, purpose: "loss bench")
        // Channels last as they come, without a copy that the allocator would keep for the passes.
        let scores = try Tensor(
            (0..<images * classes * numbers[2] * numbers[3]).map { _ in random.uniform(-4, 4) },
            shape: [images, numbers[2], numbers[3], classes]
        ).permute([0, 3, 1, 2]).requiresGrad(true)
        let labels = try Tensor(
            (0..<images * size.height * size.width).map { _ in Int64(random.next() % UInt64(classes)) },
            shape: [images, size.height, size.width])
        Usage.resetPeak()
        let before = Double(Usage.resident) / 1_048_576
        let clock = ContinuousClock()
        let times = try (0..<6).map { _ in
            let begin = clock.now
            let loss =
                plain
                ? try scores.interpolate(size, .bilinear(alignCorners: false))
                    .crossEntropy(labels, ignoring: 255, reduction: .sum)
                : try scores.upsampledCrossEntropy(labels, size: size, alignCorners: false, ignoring: 255)
            try loss.backward()
            try scores.setGrad(nil)
            return (clock.now - begin) / .milliseconds(1)
        }
        // The first pass fills the allocator.
        let figures = LossFigures(
            milliseconds: Array(times.dropFirst()).median, peakMiB: Double(Usage.peak) / 1_048_576 - before)
        print(String(decoding: try JSONEncoder().encode(figures), as: UTF8.self))
    }
}

struct LossFigures: Codable {
    /// Forward and backward.
    var milliseconds: Double
    /// What the process's peak grew by beyond scores and labels.
    var peakMiB: Double
}
