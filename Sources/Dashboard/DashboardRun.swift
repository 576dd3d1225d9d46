import Basics
import Configuration
import Foundation
import StageKit
import Supervisor

/// The run behind a dashboard: its supervisor, asked as `picoflow status` asks it, and its files. However many pages look,
/// the supervisor is asked about once a second, and a snapshot is read once.
actor DashboardRun {
    nonisolated let path: String
    private let curves: Curves
    private var newest: (time: ContinuousClock.Instant, journal: Int, report: StatusReport)?
    private var asking: Task<StatusReport, any Error>?
    private var graph: TopologyGraph?
    private var recipe: Recipe?
    private var memory: (snapshot: String, map: MemoryMap)?

    /// - Parameter path: the run's directory; it may not be there yet.
    init(_ path: String) {
        self.path = path
        curves = Curves(path: path + "/metrics.jsonl")
    }

    /// - Throws: `UserError` where the run has not begun, or its supervisor does not answer.
    func report() async throws -> StatusReport {
        if let newest {
            // Pages look once a second; of what has ended nothing new is to be heard, unless it went on and ended meanwhile.
            let isFresh = ContinuousClock.now - newest.time < .milliseconds(700)
            let hasEnded = newest.report.phase == .ended && newest.journal == journalSize
            if isFresh || hasEnded && !RunDirectory.isLive(path) { return newest.report }
        }
        if let asking { return try await asking.value }
        let path = path
        let journal = journalSize
        let task = Task { try await blocking { try StatusReport.now(ofRun: path) } }
        asking = task
        defer { asking = nil }
        let report = try await task.value
        newest = (.now, journal, report)
        return report
    }

    private nonisolated var journalSize: Int {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path + "/journal.jsonl")
        return attributes?[.size] as? Int ?? -1
    }

    func state() async throws -> RunState {
        let report = try await report()
        if graph == nil {
            recipe = try? Recipe.resolve(path: path + "/recipe.yaml")
            graph = (try? Topology.resolve(path: path + "/topology.yaml", recipe: recipe)).map {
                TopologyGraph($0, recipe: recipe)
            }
        }
        return RunState(
            report: report, nodes: graph?.nodes ?? [], links: graph?.links ?? [],
            mining: report.swaps?.last?.mining ?? recipe.map { MiningSettings($0) })
    }

    /// A few hundred points are as many as a plot is wide.
    func points() async -> Curves.Points { await curves.points(limit: 400) }

    /// The newest snapshot's; nil where there is none.
    func memoryMap() async throws -> MemoryMap? {
        guard let snapshot = MemoryMap.newestSnapshot(run: path) else { return memory?.map }
        if let memory, memory.snapshot == snapshot { return memory.map }
        let dataset = try? DatasetSummary(contentsOf: path + "/dataset.json")
        let map = try await blocking { try MemoryMap(snapshot: snapshot, dataset: dataset) }
        memory = (snapshot, map)
        return map
    }

    /// Asks the supervisor for something.
    ///
    /// - Throws: `UserError` with its refusal.
    nonisolated func ask(_ request: ControlClient.Request) async throws {
        let path = path
        _ = try await blocking { try ControlClient(run: path).ask(request, timeout: request.patience) }
        await forget()
    }

    /// What was asked for shows at the next look.
    private func forget() { newest = nil }
}

/// Runs what blocks on a thread that may: those of tasks are few.
func blocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(with: Result { try body() }) }
    }
}
