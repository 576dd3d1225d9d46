import Basics
import Configuration
import Foundation
import Models
import Tensors

/// `picoflow models`: what there is to train, each network built and run once, so that the list says what is.
enum ModelsJob {
    /// - Parameters:
    ///   - arguments: `[--size HxW] [--classes N] [--output-stride 8|16] [NAME…]`; a name is a head's or a backbone's, or
    ///     the beginning of one.
    ///   - progress: called after each network.
    ///   - write: takes one line at a time; rows come as they are measured.
    /// - Returns: what the rows say, for programs.
    /// - Throws: `UserError` for a word that is none of these.
    static func run(
        _ arguments: [String], progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }, write: (String) -> Void
    ) throws -> [NetworkSummary] {
        let words = try JobArguments(arguments, options: ["--size", "--classes", "--output-stride"])
        // Smaller ones are less than a score; larger ones need more memory than most have.
        let size = try words.size("--size", sides: 32...8192) ?? 512
        let classes = try words["--classes"].map { try number($0, "--classes", 1...255) } ?? 19
        let stride = try words["--output-stride"].map { try number($0, "--output-stride", 8...16) } ?? 8
        let networks = try fitting(words.rest)
        write("Forward passes of one \(size) image, \(classes) classes; deeplabv3 at output stride \(stride).\n")
        write(row("head", "backbone", "params", "backbone", "GMACs", "stride", "embedding", "weights named as in"))
        return try networks.enumerated().map { index, settings in
            var settings = settings
            settings.outputStride = stride
            let summary = try NetworkSummary(settings, classes: classes, size: size)
            write(line(summary))
            progress(index + 1, networks.count)
            return summary
        }
    }

    /// The combinations that the names choose; all of them where there are no names.
    private static func fitting(_ names: [String]) throws -> [ModelSettings] {
        var all: [ModelSettings] = []
        for head in ModelSettings.Head.allCases {
            for backbone in head.backbones {
                var settings = ModelSettings()
                settings.head = head
                settings.backbone = backbone
                all.append(settings)
            }
        }
        func fits(_ settings: ModelSettings, _ name: String) -> Bool {
            settings.head.rawValue.hasPrefix(name) || settings.backbone.rawValue.hasPrefix(name)
        }
        let known = ModelSettings.Head.allCases.map(\.rawValue) + ModelSettings.Backbone.allCases.map(\.rawValue)
        for name in names where !all.contains(where: { fits($0, name) }) {
            throw UserError("no network is called '\(name)'\(suggestion(for: name, among: known))")
        }
        return names.isEmpty ? all : all.filter { settings in names.contains { fits(settings, $0) } }
    }

    private static func line(_ summary: NetworkSummary) -> String {
        row(
            summary.head.rawValue, summary.backbone.rawValue, millions(summary.parameters),
            millions(summary.backboneParameters), String(format: "%.1f", Double(summary.multiplyAdds) / 1e9),
            "\(summary.outputStride)", "\(summary.embeddingChannels) at \(summary.embeddingStride)",
            summary.backboneNames + "; " + summary.networkNames)
    }

    private static func row(_ columns: String...) -> String {
        let widths = [10, 11, -8, -8, -8, -6, -11]
        let cells = zip(columns, widths).map { $0.padded(to: abs($1), right: $1 < 0) }
        return cells.joined(separator: " ") + "  " + (columns.last ?? "")
    }

    private static func millions(_ count: Int) -> String { String(format: "%.2f M", Double(count) / 1e6) }

    private static func number(_ text: String, _ option: String, _ range: ClosedRange<Int>) throws -> Int {
        guard let value = Int(text), range.contains(value) else {
            throw UserError("\(option) \(text): must be a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }
}
