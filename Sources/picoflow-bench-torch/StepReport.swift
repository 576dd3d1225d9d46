import BenchKit
import Foundation

/// One network in one precision, measured in turns.
struct StepRow: Encodable {
    var network: String
    var batch: Int
    var precision: String
    var ours: [StepFigures] = []
    var peer: [StepFigures] = []
    /// Why there is nothing of the peer.
    var trouble: String?

    /// How many times as long the peer's step takes.
    var speed: Double? { ratio(\.median) }
    /// Our peak memory over the peer's.
    var memory: Double? { ratio(\.peakMiB).map { 1 / $0 } }

    private func ratio(_ figure: KeyPath<StepFigures, Double>) -> Double? {
        peer.isEmpty ? nil : peer.map { $0[keyPath: figure] }.median / ours.map { $0[keyPath: figure] }.median
    }
}

/// All measurements of a `tools/bench step`, as a Markdown table for people and as JSON for programs.
struct StepReport: Encodable {
    var crop: [Int]
    var classes: Int
    var threads: Int
    var rounds: Int
    var steps: Int
    var rows: [StepRow]

    func table() -> String {
        let table = markdownTable(
            [
                "network", "params, M", "batch", "precision", "ours, ms (from - to)", "peer, ms (from - to)",
                "peer / ours", "ours, MiB", "peer, MiB", "ours / peer",
            ], left: [0, 3],
            rows.map { row in
                [
                    row.network, row.ours[0].parametersM.fixed(1), "\(row.batch)", row.precision, times(row.ours),
                    row.peer.isEmpty ? "-" : times(row.peer), (row.speed ?? .nan).fixed(2),
                    row.ours.map(\.peakMiB).median.fixed(0), row.peer.map(\.peakMiB).median.fixed(0),
                    (row.memory ?? .nan).fixed(2),
                ]
            })
        return table
            + "\n\ncrop \(crop[0])x\(crop[1]), \(classes) classes, \(threads) threads; medians of \(rounds) processes of "
            + "\(steps) steps each, in turns"
            + rows.compactMap { row in row.trouble.map { "\n\(row.network) \(row.precision), peer: \($0)" } }.joined()
    }

    private func times(_ figures: [StepFigures]) -> String {
        let (least, most) = (figures.map(\.least).min()!, figures.map(\.most).max()!)
        return "\(figures.map(\.median).median.fixed(0)) (\(least.fixed(0)) - \(most.fixed(0)))"
    }
}
