import Basics
import Configuration
import Foundation
import StageKit
import Tensors
import Wire

/// What one training step was made of: a line of the run's `ledger.jsonl`. Equal lines mean equal steps.
///
/// Where compute is several ranks, a digest here is SHA-256 of the ranks' own digests, one per line, in their order.
struct LedgerLine: Codable, Equatable {
    /// From 1.
    var step: UInt64
    /// Place in the global sample order of the batch's first sample.
    var position: UInt64
    /// Index of each of the batch's images in the split's list, in the batch's order.
    var images: [Int]
    /// SHA-256 of the batch's pixels, then its labels.
    var batch: String
    /// SHA-256 of the record appended to the memory's log; absent in runs without contrast.
    var record: String?
    /// SHA-256 of dL_NCE / d(anchors) as the miners returned it; absent while contrast rests.
    var gradient: String?
    /// What the step's mining tickets asked for; absent like `gradient`.
    var mining: Mining?
    /// What else decides the step's bits: what the recipe says of training, libtorch, the numbers of threads and ranks, and
    /// the precision where it is not float32.
    var arithmetic: String

    struct Mining: Codable, Equatable {
        var generation: Int
        var temperature: Float
        var sampler: SamplerSettings
        var synthesis: SynthesisSettings
    }

    /// The first part in which a line differs from this one: its name, its value here and there.
    func difference(from other: LedgerLine) -> (part: String, here: String, there: String)? {
        func text(_ value: String?) -> String { value.map { String($0.prefix(12)) } ?? "absent" }
        func json(_ value: Mining?) -> String {
            guard let value, let data = try? value.wireJSON() else { return "absent" }
            return String(decoding: data, as: UTF8.self)
        }
        let parts: [(String, String, String)] = [
            ("step", "\(step)", "\(other.step)"), ("position", "\(position)", "\(other.position)"),
            ("images", "\(images)", "\(other.images)"), ("batch", text(batch), text(other.batch)),
            ("record", text(record), text(other.record)), ("mining", json(mining), json(other.mining)),
            ("gradient", text(gradient), text(other.gradient)),
            ("arithmetic", arithmetic, other.arithmetic),
        ]
        return parts.first { $0.1 != $0.2 }.map { (part: $0.0, here: $0.1, there: $0.2) }
    }
}

extension Recipe {
    /// Twelve hexadecimal digits that stand for all that changes what a step comes out as. The dataset is left out, as a
    /// line's `batch` is of its bytes and a folder may be moved.
    var trainingDigest: String {
        get throws {
            var training = self
            training.dataset = .init()
            training.model = model.anywhere
            training.checkpoints = .init()
            // Behind a checkpoint a longer lag finds other memory.
            if contrast.hasLongLag { training.checkpoints.every = checkpoints.every }
            training.evaluate = .init()
            training.determinism = .strict
            return String(SHA256.hex(String(decoding: try training.wireJSON(), as: UTF8.self)).prefix(12))
        }
    }

    /// What decides the last bits of a run's sums, for its ledger.
    func arithmetic(threads: Int, ranks: Int, device: Device) throws -> String {
        "recipe \(try trainingDigest), libtorch \(Torch.version), \(threads) threads"
            + (ranks > 1 ? ", \(ranks) ranks" : "")
            + (model.precision == .float32 ? "" : ", \(model.precision.rawValue)")
            + (device == .cpu ? "" : ", CUDA")
    }
}

extension ModelSettings {
    /// The same on every machine: of the weights that training began with the file's name, not its folder.
    var anywhere: ModelSettings {
        var settings = self
        settings.pretrained = pretrained.map { ($0 as NSString).lastPathComponent }
        return settings
    }
}

extension LedgerLine.Mining {
    init(_ settings: SwapSchedule.Settings) {
        self.init(
            generation: settings.generation.rawValue, temperature: settings.mining.temperature,
            sampler: settings.mining.sampler, synthesis: settings.mining.synthesis)
    }
}

/// The run's ledger, `ledger.jsonl`: one line per step, in order, whatever crashed on the way.
///
/// After a rollback the steps that are done again must come out as their lines say. The first one that does not is an
/// error: the run's promise of equal bits is broken and going on would hide it. Steps that the same file knows from
/// another arithmetic (a resume that was allowed other threads, or of a recipe that was edited: more iterations are
/// another learning rate) are no promise; their lines are dropped.
///
/// Not thread-safe: the training loop owns it. The file is not synced per step, as what a power cut may lose is written
/// again by the steps after the checkpoint, before whose manifest it is; nor must a step's line have room on a full disk.
final class Ledger {
    private let path: String
    private let file: LineFile
    /// The step of the file's first line.
    private let first: UInt64
    /// Lines of steps that are done again, the next one last.
    private var expected: [LedgerLine] = []
    /// The newest step with a line.
    private(set) var newest: UInt64

    /// Opens or makes the file.
    ///
    /// - Parameters:
    ///   - step: training goes on after this one; lines beyond it are what it will be held to.
    ///   - arithmetic: as in the lines that will be entered.
    ///   - isEnforced: false writes lines, but holds nobody to them: on devices whose sums have no fixed order.
    /// - Throws: `UserError` with path and line where the file is not a ledger.
    init(path: String, continuingAfter step: UInt64, arithmetic: String, isEnforced: Bool) throws {
        self.path = path
        let bytes = FileManager.default.contents(atPath: path) ?? Data()
        var kept = bytes.wholeLines.lines
        // A run that was begun without a ledger has one from some later step on.
        let first = try kept.first.map { try Ledger.read($0, "\(path):1").step } ?? step + 1
        guard first <= step + 1 else {
            throw UserError("\(path) begins at step \(first), after the checkpoint of step \(step)")
        }
        self.first = first
        let known = Int(clamping: step + 1 - first)
        guard kept.count >= known else {
            throw UserError(
                "\(path) ends at step \(first + UInt64(kept.count) - 1), before the checkpoint of step \(step): lines are missing"
            )
        }
        let ahead = try kept.enumerated().dropFirst(known).map { index, line in
            let decoded = try Ledger.read(line, "\(path):\(index + 1)")
            guard decoded.step == first + UInt64(index) else {
                throw UserError("\(path):\(index + 1): this is not the line of step \(first + UInt64(index))")
            }
            return decoded
        }
        let binds = isEnforced && ahead.allSatisfy { $0.arithmetic == arithmetic }
        if !binds { kept.removeLast(ahead.count) }
        expected = binds ? ahead.reversed() : []
        newest = step + UInt64(expected.count)

        let length = kept.last.map { $0.endIndex + 1 } ?? 0
        if length < bytes.count, truncate(path, length) != 0 {
            throw DurableFile.systemError("cannot shorten", path)
        }
        file = try LineFile(path: path)
    }

    /// Enters a step that is done, before its update counts: appends its line, or holds it to the line that is there.
    ///
    /// - Throws: `UserError` that names the first difference of a step that was done before.
    func enter(_ line: LedgerLine) throws {
        if let before = expected.popLast() {
            guard let found = line.difference(from: before) else { return }
            throw UserError(
                "step \(line.step), done again after a rollback, did not come out as before: '\(found.part)' is "
                    + "\(found.here), \(path):\(line.step - first + 1) says \(found.there); 'determinism: relaxed' in the recipe goes on regardless"
            )
        }
        try file.append(line.wireJSON())
        newest = line.step
    }

    /// Makes all lines so far survive a power cut.
    func sync() throws { try file.sync() }

    private static func read(_ line: Data, _ place: String) throws -> LedgerLine {
        guard let decoded = try? JSONDecoder().decode(LedgerLine.self, from: line) else {
            throw UserError("\(place): this is no line of a ledger; the file was changed or is damaged")
        }
        return decoded
    }
}
