import ArgumentParser
import Basics
import BenchKit
import Foundation

/// `tools/bench --check`: what has become slower than the committed table says, by ratios that are taken in one run.
struct CheckBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Compare this build's ratios with the committed ones.",
        discussion: """
            Each ratio is of two measurements that take turns: a sample over decoding alone, mining over its bare products, the \
            fused loss over its two operators, a pool over bare sockets. One that is beyond the committed spread by more than a \
            twentieth fails the check. For a person on a quiet machine: --update writes the table anew.
            """)

    @Option(help: "The committed ratios.") var table = "tools/bench-ratios.json"
    @Flag(help: "Write the table instead of comparing with it.") var update = false

    func run() throws {
        var found: [Ratio] = []
        for (program, arguments) in [
            ("picoflow-bench", ["loader", "--seconds", "1"]),
            ("picoflow-bench", ["mining", "--sizes", "camvid", "--seconds", "1"]),
            ("picoflow-bench-torch", ["loss"]),
            ("picoflow-bench", ["pool", "--workers", "16", "--transports", "ipc", "--seconds", "0.5"]),
        ] {
            found += try Child.measure(arguments + ["--ratios"], by: program) as [Ratio]
        }
        guard !update else {
            try DurableFile.write(found.prettyJSON() + "\n", to: table)
            return print("\(found.count) ratios written to \(table)")
        }
        guard let bytes = FileManager.default.contents(atPath: table) else {
            throw DurableFile.systemError("cannot read", table)
        }
        guard let committed = try? JSONDecoder().decode([Ratio].self, from: bytes) else {
            throw UserError("\(table): is no table of ratios; --update writes one")
        }
        var worse: [String] = []
        let rows = found.map { ratio in
            let before = committed.first { $0.name == ratio.name }
            let isWorse = before.map { ratio.isWorse(than: $0) } ?? false
            if isWorse { worse.append(ratio.name) }
            return [
                ratio.name, before?.values.summary(2) ?? "-", ratio.values.summary(2),
                before == nil ? "new" : isWorse ? "worse" : "as before",
            ]
        }
        print(markdownTable(["ratio", "committed", "now", ""], left: [0, 3], rows))
        guard worse.isEmpty else { throw UserError("slower than \(table) says: \(worse.joined(separator: ", "))") }
    }
}
