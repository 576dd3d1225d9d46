import ArgumentParser
import Basics
import BenchKit
import Foundation

/// `tools/bench step`: what a training step of each network costs, beside another program's step of the same network.
///
/// Every measurement runs in a process of its own; ours and the peer's take turns, so that what else the machine does
/// meets both alike.
struct StepBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "step",
        abstract: "Milliseconds and peak memory of a training step by cross-entropy, for each network.",
        discussion: """
            A peer is a program that takes --model HEAD-BACKBONE --batch N --crop H W --classes N --threads N --steps N --skip N \
            [--bf16] and prints one line of JSON with median_ms, min_ms, max_ms, peak_rss_mb, params_m and parts_ms; \
            tools/peers/step.py is one for PyTorch. Where it fails for a network, ours is measured alone.
            """)

    @Option(help: "Networks, separated by commas; all if left out.") var networks: String?
    @Option(help: "The peer's command: 'python3 tools/peers/step.py'.") var peer: String?
    @Option(help: "Images per mini-batch; large networks get a quarter.") var batch = 8
    @Option(parsing: .upToNextOption, help: "Height and width.") var crop = [240, 320]
    @Option var classes = 11
    @Option(help: "Of both; all processors if left out.") var threads = ProcessInfo.processInfo.activeProcessorCount
    @Option(help: "Steps in a process that count.") var steps = 5
    @Option(help: "Processes of each side; medians are shown.") var rounds = 2
    @Option(help: "float32, bf16 or both, separated by a comma.") var precisions = "float32,bf16"
    @Flag(help: "Prints all measurements as JSON.") var json = false

    func validate() throws {
        guard crop.count == 2, crop.allSatisfy({ (16...4096).contains($0) }) else {
            throw ValidationError("--crop takes a height and a width of 16 to 4096")
        }
        guard batch >= 2, steps >= 1, rounds >= 1, threads >= 1, (2...255).contains(classes) else {
            throw ValidationError("--batch takes 2 or more, --classes 2 to 255, the others 1 or more")
        }
        _ = try chosen()
        _ = try types()
    }

    private func chosen() throws -> [BenchedNetwork] {
        guard let networks else { return BenchedNetwork.all }
        return try networks.split(separator: ",").map { name in
            guard let network = BenchedNetwork(name: String(name)) else {
                let all = BenchedNetwork.all.map(\.name)
                throw ValidationError("--networks: no '\(name)'; there are \(all.joined(separator: ", "))")
            }
            return network
        }
    }

    private func types() throws -> [String] {
        let types = precisions.split(separator: ",").map(String.init)
        guard !types.isEmpty, types.allSatisfy({ ["float32", "bf16"].contains($0) }) else {
            throw ValidationError("--precisions takes float32 and bf16, not '\(precisions)'")
        }
        return types
    }

    func run() throws {
        let peerWords = try peer.map { try shellWords($0) }
        var rows: [StepRow] = []
        for network in try chosen() {
            let images = network.isLarge ? max(2, batch / 4) : batch
            for type in try types() {
                let arguments =
                    [
                        "--model", network.name, "--batch", "\(images)", "--crop", "\(crop[0])", "\(crop[1])",
                        "--classes", "\(classes)", "--threads", "\(threads)", "--steps", "\(steps + Self.skipped)",
                        "--skip", "\(Self.skipped)",
                    ] + (type == "bf16" ? ["--bf16"] : [])
                var row = StepRow(network: network.name, batch: images, precision: type)
                for round in 1...rounds {
                    Child.tell("\(network.name) \(type), round \(round) of \(rounds)")
                    row.ours.append(
                        try Child.measure(["step-case"] + arguments, threads: threads))
                    guard let peerWords, row.trouble == nil else { continue }
                    do {
                        row.peer.append(try Child.measure(command: peerWords + arguments, threads: threads))
                    } catch {
                        row.trouble = "\(error)"
                        Child.tell("\(error)")
                    }
                }
                rows.append(row)
            }
        }
        Child.tell("")
        let report = StepReport(
            crop: crop, classes: classes, threads: threads, rounds: rounds, steps: steps, rows: rows)
        print(json ? try report.prettyJSON() : report.table())
    }

    /// Libraries choose kernels and allocate in the first steps.
    private static let skipped = 2
}
