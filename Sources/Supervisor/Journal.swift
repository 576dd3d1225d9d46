import Basics
import Configuration
import Foundation
import StageKit
import Wire

/// What happened to a run that a replay or a resume must know. One JSON object per line of `journal.jsonl`.
public enum JournalEntry: Codable, Equatable, Sendable {
    /// A start of compute: everything after it belongs to this epoch. Durable before any process is started under it.
    case epoch(EpochStart)
    /// The first fingerprint of a stage; later replicas of it must have the same. Two stages of one kind may compute by
    /// different programs, so it is the stage's and not the kind's.
    case fingerprint(stage: String, Fingerprint)
    /// An unreadable sample was replaced by an all-ignore one.
    case sampleSkipped(String, step: UInt64?, position: UInt64? = nil)
    /// A stage has another number of replicas; for readers only, as it changes no results.
    case scaled(stage: String, from: Int, to: Int, reason: String)
    /// A host that joined was given numbers of a stage, `last` the highest so far: no other host gets them, whichever
    /// supervisor it asks.
    case allotted(stage: String, last: Int)
    /// A swap was asked for; its generation is used up, whether or not a `swap` follows.
    case swapAsked(SwapProposal)
    /// A swap that was asked for comes to nothing.
    case swapCancelled(Generation)
    /// A swap holds from its step on. Durable before the first ticket of that step goes out.
    case swap(Swap)
    /// The fingerprint of a swapped program; later workers of it must have the same.
    case programFingerprint(Generation, Fingerprint)
    /// A checkpoint was evaluated; for readers only, as are all entries on evaluations.
    case evaluated(EvaluationScores)
    /// An evaluation beside training failed, which training did not mind.
    case evaluationFailed(step: UInt64, String)
    case ended(String)

    /// Whether a run goes on where there is no room for it: at worst a supervisor that takes over starts fewer replicas.
    var isForReadersOnly: Bool {
        switch self {
        case .scaled, .allotted, .evaluated, .evaluationFailed: true
        case .epoch, .fingerprint, .sampleSkipped, .swapAsked, .swapCancelled, .swap, .programFingerprint, .ended: false
        }
    }

    public struct EpochStart: Codable, Equatable, Sendable {
        public var epoch: Epoch
        /// UTC; for readers only.
        public var time: String
        /// The checkpoint's step that it starts from; nil at the beginning.
        public var from: UInt64?
        /// Compute's thread count: it changes the last bits.
        public var computeThreads: Int
        /// Compute ranks: they change the last bits.
        public var ranks: Int

        public init(epoch: Epoch, time: String, from: UInt64?, computeThreads: Int, ranks: Int = 1) {
            self.epoch = epoch
            self.time = time
            self.from = from
            self.computeThreads = computeThreads
            self.ranks = ranks
        }
    }

    /// What an entry's line holds: its name, and of the other keys those that it has.
    private struct Line: Codable {
        enum Name: String, Codable {
            case epoch, fingerprint, scaled, allotted, swap, evaluated, ended
            case sampleSkipped = "sample-skipped"
            case swapAsked = "swap-asked"
            case swapCancelled = "swap-cancelled"
            case programFingerprint = "program-fingerprint"
            case evaluationFailed = "evaluation-failed"
        }

        var entry: Name
        var start: EpochStart?
        var stage: String?
        /// Earlier journals named the kind, which stages are called after unless a topology names them.
        var kind: String?
        var fingerprint: Fingerprint?
        var message: String?
        var step: UInt64?
        var position: UInt64?
        var from: Int?
        var to: Int?
        var last: Int?
        var reason: String?
        var proposal: SwapProposal?
        var generation: Generation?
        var swap: Swap?
        var scores: EvaluationScores?
    }

    public init(from decoder: Decoder) throws {
        let line = try Line(from: decoder)
        func need<Value>(_ value: Value?) throws -> Value {
            guard let value else {
                throw DecodingError.dataCorrupted(
                    DecodingError.Context(
                        codingPath: decoder.codingPath, debugDescription: "'\(line.entry.rawValue)' lacks a key"))
            }
            return value
        }
        switch line.entry {
        case .epoch: self = .epoch(try need(line.start))
        case .fingerprint:
            self = .fingerprint(stage: try need(line.stage ?? line.kind), try need(line.fingerprint))
        case .sampleSkipped:
            self = .sampleSkipped(try need(line.message), step: line.step, position: line.position)
        case .scaled:
            self = .scaled(
                stage: try need(line.stage), from: try need(line.from), to: try need(line.to),
                reason: try need(line.reason))
        case .allotted: self = .allotted(stage: try need(line.stage), last: try need(line.last))
        case .swapAsked: self = .swapAsked(try need(line.proposal))
        case .swapCancelled: self = .swapCancelled(try need(line.generation))
        case .swap: self = .swap(try need(line.swap))
        case .programFingerprint:
            self = .programFingerprint(try need(line.generation), try need(line.fingerprint))
        case .evaluated: self = .evaluated(try need(line.scores))
        case .evaluationFailed: self = .evaluationFailed(step: try need(line.step), try need(line.message))
        case .ended: self = .ended(try need(line.message))
        }
    }

    public func encode(to encoder: Encoder) throws {
        let line: Line =
            switch self {
            case .epoch(let start): Line(entry: .epoch, start: start)
            case .fingerprint(let stage, let fingerprint):
                Line(entry: .fingerprint, stage: stage, fingerprint: fingerprint)
            case .sampleSkipped(let message, let step, let position):
                Line(entry: .sampleSkipped, message: message, step: step, position: position)
            case .scaled(let stage, let from, let to, let reason):
                Line(entry: .scaled, stage: stage, from: from, to: to, reason: reason)
            case .allotted(let stage, let last): Line(entry: .allotted, stage: stage, last: last)
            case .swapAsked(let proposal): Line(entry: .swapAsked, proposal: proposal)
            case .swapCancelled(let generation): Line(entry: .swapCancelled, generation: generation)
            case .swap(let swap): Line(entry: .swap, swap: swap)
            case .programFingerprint(let generation, let fingerprint):
                Line(entry: .programFingerprint, fingerprint: fingerprint, generation: generation)
            case .evaluated(let scores): Line(entry: .evaluated, scores: scores)
            case .evaluationFailed(let step, let message):
                Line(entry: .evaluationFailed, message: message, step: step)
            case .ended(let message): Line(entry: .ended, message: message)
            }
        try line.encode(to: encoder)
    }
}

/// The run's journal, open for appending. Belongs to one thread.
public final class Journal {
    /// All entries so far, in order.
    public private(set) var entries: [JournalEntry]
    private let descriptor: Int32
    private let path: String

    /// Opens or makes the journal. A torn last line, left by a crash in the middle of a write, is cut off: nothing was
    /// started under an entry that was not synced.
    ///
    /// - Throws: `UserError` with path and line for any other line that is no entry.
    public init(path: String) throws {
        self.path = path
        let bytes = FileManager.default.contents(atPath: path) ?? Data()
        let (entries, length) = try Journal.parse(bytes, path: path)
        self.entries = entries
        descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw DurableFile.systemError("cannot open", path) }
        if length < bytes.count {
            guard ftruncate(descriptor, length) == 0 else { throw DurableFile.systemError("cannot shorten", path) }
        }
        try DurableFile.syncFolder(of: path)
    }

    deinit { close(descriptor) }

    /// Appends an entry; when this returns it survives a power cut.
    public func append(_ entry: JournalEntry) throws {
        var line = try entry.wireJSON()
        line.append(UInt8(ascii: "\n"))
        try DurableFile.append(line, to: descriptor, path: path)
        guard fsync(descriptor) == 0 else { throw DurableFile.systemError("cannot sync", path) }
        entries.append(entry)
    }

    /// The epochs so far, the newest last.
    public var epochs: [JournalEntry.EpochStart] {
        entries.compactMap { if case .epoch(let start) = $0 { start } else { nil } }
    }

    /// The epoch that the next start takes.
    public var nextEpoch: Epoch { Epoch((epochs.map(\.epoch.rawValue).max() ?? 0) + 1) }

    /// The run's fingerprint of each stage.
    public var fingerprints: [String: Fingerprint] {
        var found: [String: Fingerprint] = [:]
        for case .fingerprint(let stage, let fingerprint) in entries where found[stage] == nil {
            found[stage] = fingerprint
        }
        return found
    }

    /// The numbers of replicas that the stages were scaled to since the run was last started by a command.
    public var counts: [String: Int] {
        let lived = entries[
            (entries.lastIndex { if case .ended = $0 { true } else { false } } ?? -1) + 1..<entries.count]
        var counts: [String: Int] = [:]
        for case .scaled(let stage, _, let count, _) in lived { counts[stage] = count }
        return counts
    }

    /// The highest number that a stage on another host has had, by stage.
    public var allotted: [String: Int] {
        var highest: [String: Int] = [:]
        for case .allotted(let stage, let last) in entries { highest[stage] = max(highest[stage] ?? 0, last) }
        return highest
    }

    /// Positions in the sample order that were trained without their sample, and are to be again.
    public var skipped: [UInt64] {
        entries.compactMap { if case .sampleSkipped(_, _, let position) = $0 { position } else { nil } }
    }

    /// What a replay must know of the run's swaps.
    public var swaps: SwapHistory { SwapHistory(entries) }

    /// Reads the entries of a journal that somebody else may be writing.
    public static func read(path: String) throws -> [JournalEntry] {
        guard let bytes = FileManager.default.contents(atPath: path) else { throw UserError("cannot read \(path)") }
        return try parse(bytes, path: path).entries
    }

    /// - Returns: the entries and the bytes they take up.
    private static func parse(_ bytes: Data, path: String) throws -> (entries: [JournalEntry], length: Int) {
        let (lines, length) = bytes.wholeLines
        let entries = try lines.enumerated().map { index, line in
            do {
                return try JSONDecoder().decode(JournalEntry.self, from: line)
            } catch {
                throw UserError(
                    "\(path):\(index + 1): this line is no journal entry; the file was changed or is damaged")
            }
        }
        return (entries, length)
    }
}
