import ArgumentParser
import Basics
import BenchKit
import Foundation

/// `tools/bench mining`: what the contrast of one mini-batch costs, beside the bare products that it cannot do without,
/// and beside another program's in turns.
struct MiningBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mining",
        abstract: "Time and memory of mining a mini-batch from full memories of three datasets' sizes.",
        discussion: """
            Random unit vectors, 256 numbers each, 50 anchors of each class. The bare products are those that the memory \
            needs, at the rate of OpenBLAS's square product with this processor's widest kernels, whatever \
            OPENBLAS_CORETYPE says.

            Samples at random have rows of their own for every anchor, from all over the memory: no large product gives \
            their similarities, and memory, more than arithmetic, is their limit.

            --peer names a program that is run in turns with ours, as PROGRAM --case camvid|cityscapes|ade \
            --mode mined|mined+|subsampled --threads N --seconds S, and prints a JSON object with median_ms. It has no \
            samples at random.
            """)

    @Option(help: "Sizes, separated by commas: camvid, cityscapes, ade.") var sizes = "camvid,cityscapes,ade"
    @Option(help: "Modes, separated by commas: exact, synthesis, candidates, random.")
    var modes = "exact,synthesis,candidates,random"
    @Option(help: "Threads of the miner.") var threads = 2
    @Option(help: "Seconds of each measurement; at least three steps.") var seconds = 2.0
    @Option(help: "How often each measurement is made; medians are shown.") var rounds = 3
    @Option(help: "Another program to measure in turns with ours.") var peer: String?
    @Flag(help: "Print all measurements as JSON.") var json = false
    @Flag(help: .private) var ratios = false

    /// One size and mode.
    struct Row: Codable {
        var ours: [MiningMeasurement]
        /// Milliseconds.
        var peer: [Double]
    }

    func validate() throws {
        guard seconds >= 0.1, seconds <= 600 else { throw ValidationError("--seconds takes 0.1 to 600") }
        guard (1...99).contains(rounds) else { throw ValidationError("--rounds takes 1 to 99") }
        guard (1...1024).contains(threads) else { throw ValidationError("--threads takes 1 to 1024") }
        _ = try list(sizes, MiningSize.self, "--sizes")
        _ = try list(modes, MiningMode.self, "--modes")
    }

    func run() throws {
        var rows: [Row] = []
        for size in try list(sizes, MiningSize.self, "--sizes") {
            for mode in try list(modes, MiningMode.self, "--modes") {
                // Ours and the peer's take turns.
                var row = Row(ours: [], peer: [])
                for _ in 0..<rounds {
                    Child.tell("\(size) \(mode)")
                    row.ours.append(try measure(size, mode))
                    if let peer, let name = mode.peerName { row.peer.append(try measure(peer, size, name)) }
                }
                rows.append(row)
            }
        }
        Child.tell("")
        if ratios {
            return try Ratio.print(
                rows.map { row in
                    let first = row.ours[0]
                    return Ratio(
                        "mining \(first.size), \(first.mode)",
                        row.ours.map { $0.milliseconds.p50 / $0.productMilliseconds })
                })
        }
        print(try json ? rows.prettyJSON() : Self.table(rows))
    }

    private func measure(_ size: MiningSize, _ mode: MiningMode) throws -> MiningMeasurement {
        try Child.measure(
            [
                "mining-case", "--size", size.rawValue, "--mode", mode.rawValue, "--threads", "\(threads)", "--seconds",
                "\(seconds)",
            ], environment: ["OPENBLAS_CORETYPE": LibraryVariables.kernels["OPENBLAS_CORETYPE"]])
    }

    private func measure(_ peer: String, _ size: MiningSize, _ name: String) throws -> Double {
        struct Answer: Decodable { var median_ms: Double }
        let answer: Answer = try Child.measure(
            command: try shellWords(peer) + [
                "--case", size.rawValue, "--mode", name, "--threads", "\(threads)", "--seconds", "\(seconds)",
            ])
        return answer.median_ms
    }

    private func list<Item: RawRepresentable<String> & CaseIterable>(
        _ text: String, _: Item.Type, _ option: String
    ) throws -> [Item] {
        try text.split(separator: ",").map { word in
            guard let item = Item(rawValue: String(word)) else {
                let known = Item.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("\(option): '\(word)' is none of \(known)")
            }
            return item
        }
    }

    static func table(_ rows: [Row]) -> String {
        markdownTable(
            [
                "memory", "mode", "kernels", "GFLOP/s", "bare products, ms", "ours, ms", "of the bare",
                "above the memory, MiB", "peer, ms", "peer / ours",
            ], left: [0, 1, 2],
            rows.map { row in
                let first = row.ours[0]
                let milliseconds = row.ours.map(\.milliseconds.p50)
                return [
                    "\(first.size)", "\(first.mode)", first.kernels, row.ours.map(\.gigaflopsPerSecond).median.fixed(0),
                    row.ours.map(\.productMilliseconds).median.fixed(1), milliseconds.summary(1),
                    zip(milliseconds, row.ours).map { $0 / $1.productMilliseconds }.median.fixed(2),
                    row.ours.map(\.aboveMemoryMiB).median.fixed(0), row.peer.median.fixed(0),
                    zip(row.peer, milliseconds).map { $0 / $1 }.summary(1),
                ]
            })
    }
}
