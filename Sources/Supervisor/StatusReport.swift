import Configuration
import Foundation
import StageKit
import Wire

/// A run at one moment: what `picoflow status` prints and the progress display shows.
public struct StatusReport: Codable, Sendable, Equatable {
    public enum Phase: String, Codable, Sendable {
        case starting, training, evaluating, stopping
        /// No supervisor is at work on the run.
        case ended
    }

    public struct Stage: Codable, Sendable, Equatable {
        public var stage: String
        public var id: Int
        /// Nil before it has one and after it died.
        public var pid: Int32?
        public var host: String?
        public var state: StageState
        public var waitingOn: String?
        /// How often it was started again.
        public var restarts: Int
        public var metrics: [String: Double]
        /// The swap whose program it runs; no key is the topology's own.
        public var generation: Generation?
        public var kind: StageKind?
        /// What its counts grow by in a second, by the metric's name, over the last heartbeats.
        public var rates: [String: Double]?
    }

    /// Images of an evaluation.
    public struct Evaluated: Codable, Sendable, Equatable {
        public var done: Int
        public var total: Int
    }

    public var run: String
    public var runDirectory: String
    public var epoch: UInt64
    public var phase: Phase
    public var stages: [Stage]
    public var step: UInt64
    public var iterations: Int
    public var imagesPerSecond: Double?
    public var etaSeconds: Double?
    /// The newest step's numbers.
    public var metrics: StepMetrics?
    /// Step of the newest checkpoint that this supervisor heard of.
    public var checkpoint: UInt64?
    /// The swaps so far, past or ahead; no key is none.
    public var swaps: [Swap]?
    /// Messages that the supervisor's own socket had to drop, by what was wrong with them.
    public var control: [String: Double]?
    /// What the newest evaluation found; no key is none.
    public var evaluation: EvaluationScores?
    /// The step whose network is evaluated while the run trains.
    public var evaluating: UInt64?
    /// How far the evaluation at work is.
    public var evaluated: Evaluated?
    /// Along the samples' way; no key where no supervisor is at work.
    public var links: [Link]?
    /// How many replicas each stage that can be scaled now shall have.
    public var replicas: [String: Int]?
    /// How the run ended; no key where it goes on, or where its supervisor died.
    public var outcome: String?

    /// What a run does now, or how it ended.
    ///
    /// - Throws: `UserError` where it is no run directory, or its supervisor does not answer.
    public static func now(ofRun path: String) throws -> StatusReport {
        if RunDirectory.isLive(path) { return try ControlClient(run: path).ask(.status) }
        let iterations = (try? Recipe.resolve(path: path + "/recipe.yaml"))?.schedule.iterations ?? 0
        return try ofEndedRun(path, iterations: iterations)
    }

    /// What a run directory without a supervisor says of its run.
    ///
    /// - Throws: `UserError` where it is no run directory.
    public static func ofEndedRun(_ path: String, iterations: Int) throws -> StatusReport {
        let directory = try RunDirectory.absolute(path)
        let entries = try Journal.read(path: directory + "/journal.jsonl")
        var epoch: UInt64 = 0
        for case .epoch(let start) in entries { epoch = start.epoch.rawValue }
        var outcome: String?
        if case .ended(let how)? = entries.last { outcome = how }
        let last = MetricsFile.last(path: directory + "/metrics.jsonl")
        return StatusReport(
            run: (directory as NSString).lastPathComponent, runDirectory: directory, epoch: epoch, phase: .ended,
            stages: [],
            step: last?.step ?? 0, iterations: iterations, imagesPerSecond: nil, etaSeconds: nil, metrics: last,
            checkpoint: Checkpoint.list(in: directory + "/checkpoints").last?.step, swaps: SwapHistory(entries).listed,
            evaluation: entries.evaluations(inRun: directory).last, outcome: outcome)
    }
}
