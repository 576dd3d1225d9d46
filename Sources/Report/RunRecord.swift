import Basics
import Configuration
import Foundation
import StageKit
import Supervisor

/// A run as its directory tells of it, whatever became of it: what a report shows.
struct RunRecord {
    enum State: Equatable {
        case notStarted
        case running
        case finished
        case stopped
        case failed(String)
        /// Its supervisor died and nobody resumed it.
        case cutOff
    }

    /// The weights that a run has now.
    struct Model {
        var step: UInt64
        var sha256: String
        var bytes: Int
    }

    /// Absolute.
    let path: String
    let recipe: Recipe
    let recipeText: String
    let topologyText: String
    let journal: [JournalEntry]
    let state: State
    let steps: [StepMetrics]
    /// Of all evaluations, by step.
    let scores: [EvaluationScores]
    /// The newest one.
    let evaluation: EvaluationReport?
    /// Nil where the run was cut off before it was written.
    let dataset: DatasetSummary?
    let pictures: EvaluationPictures?
    let model: Model?
    /// What its steps were computed with, as the ledger says; nil before the first.
    let arithmetic: String?

    var name: String { (path as NSString).lastPathComponent }

    /// - Throws: `UserError` that says in one line why the folder is no run, or which of its files cannot be read.
    init(_ path: String) throws {
        guard FileManager.default.fileExists(atPath: path) else {
            throw UserError("\(path) does not exist; name a run's directory")
        }
        guard isFolder(path) else { throw UserError("\(path) is a file; name a run's directory") }
        for file in ["recipe.yaml", "topology.yaml", "journal.jsonl"]
        where !FileManager.default.fileExists(atPath: path + "/" + file) {
            throw UserError("\(path) is no run directory: it has no \(file)")
        }
        self.path = try RunDirectory.absolute(path)
        recipe = try Recipe.resolve(path: path + "/recipe.yaml")
        recipeText = Self.text(path + "/recipe.yaml")
        topologyText = Self.text(path + "/topology.yaml")
        journal = try Journal.read(path: path + "/journal.jsonl")
        state = Self.state(journal, isLive: RunDirectory.isLive(path))
        steps = (try? MetricsFile.read(path: path + "/metrics.jsonl")) ?? []
        scores = journal.evaluations(inRun: path)
        evaluation = EvaluationReport.newest(inRun: path)
        let summary = path + "/dataset.json"
        dataset =
            FileManager.default.fileExists(atPath: summary) ? try DatasetSummary(contentsOf: summary) : nil
        pictures = EvaluationPictures.newest(inRun: path)
        model = Checkpoint.list(in: path + "/checkpoints").last.flatMap(Self.model)
        arithmetic = Self.arithmetic(path + "/ledger.jsonl")
    }

    private static func text(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }

    private static func state(_ journal: [JournalEntry], isLive: Bool) -> State {
        if isLive { return .running }
        for entry in journal.reversed() {
            switch entry {
            case .ended(let summary):
                if summary.hasPrefix("finished") { return .finished }
                if summary.hasPrefix("stopped") { return .stopped }
                return .failed(summary.hasPrefix("failed: ") ? String(summary.dropFirst(8)) : summary)
            case .epoch: return .cutOff
            default: continue
            }
        }
        return .notStarted
    }

    private static func model(_ checkpoint: Checkpoint) -> Model? {
        struct Manifest: Decodable {
            struct File: Decodable { var name: String, bytes: Int, sha256: String }
            var step: UInt64
            var files: [File]
        }
        guard let bytes = FileManager.default.contents(atPath: checkpoint.path + "/" + Checkpoint.manifest),
            let manifest = try? JSONDecoder().decode(Manifest.self, from: bytes),
            let file = manifest.files.first(where: { $0.name == "model.safetensors" })
        else { return nil }
        return Model(step: manifest.step, sha256: file.sha256, bytes: file.bytes)
    }

    /// From the ledger's last whole line.
    private static func arithmetic(_ path: String) -> String? {
        struct Line: Decodable { var arithmetic: String }
        // Longer than a line of a batch of a thousand images.
        let lines = fileTail(path, bytes: 1 << 16)?.data.split(separator: UInt8(ascii: "\n")) ?? []
        return lines.reversed().lazy.compactMap { try? JSONDecoder().decode(Line.self, from: $0).arithmetic }.first
    }

    // MARK: In words

    /// Versions that stages told, by stage, in the order in which they came.
    var versions: [(stage: String, versions: String)] {
        journal.compactMap { entry in
            guard case .fingerprint(let stage, let fingerprint) = entry else { return nil }
            let words = fingerprint.versions.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
            return (stage, words.joined(separator: ", "))
        }
    }

    /// What happened, in order, without what every run has.
    var happenings: [String] {
        var epochs = 0
        return journal.compactMap { entry in
            switch entry {
            case .epoch(let start):
                epochs += 1
                let from = start.from.map { "from the checkpoint of step \($0)" } ?? "from the beginning"
                return "\(epochs == 1 ? "began" : "went on") \(from), \(Self.time(start.time))"
            case .scaled(let stage, let old, let new, let reason):
                return "\(stage) scaled from \(old) to \(new): \(reason)"
            case .swap(let swap): return "\(swap.stage) swapped from step \(swap.step) on: \(swap.change)"
            case .swapCancelled(let generation): return "swap \(generation) came to nothing"
            case .sampleSkipped(let message, let step, _):
                return "a sample was left out\(step.map { " at step \($0)" } ?? ""): \(message)"
            case .evaluationFailed(let step, let why): return "the evaluation of step \(step) failed: \(why)"
            case .ended(let summary): return summary
            case .fingerprint, .programFingerprint, .allotted, .swapAsked, .evaluated: return nil
            }
        }
    }

    /// `2026-11-25 09:00 UTC` of a journal's time.
    private static func time(_ iso: String) -> String {
        guard iso.count >= 16 else { return iso }
        return iso.prefix(16).replacingOccurrences(of: "T", with: " ") + " UTC"
    }
}
