import Basics
import MemoryKit
import StageKit
import Wire

/// The bank: owns the memory, and with it the order of everything that enters it.
public enum BankStage {
    /// What `picoflow-bank` does: serves the memory of one epoch until the supervisor says stop.
    ///
    /// Started again within an epoch it goes on with its log as it is; in a new epoch it starts from the checkpoint.
    ///
    /// - Throws: `RecoverableFailure` where its storage is damaged (the remedy is a rollback), or where it cannot be
    ///   written (another start).
    public static func run(_ runtime: StageRuntime) throws {
        let configuration = runtime.configuration
        // The bank's own storage: records and snapshots; nobody else writes there.
        let folder = configuration.runDirectory + "/bank"
        let lock = try FileLock(
            path: configuration.runDirectory + "/bank.lock", use: "another bank still writes to \(folder)")
        defer { withExtendedLifetime(lock) {} }
        let endpoint = try configuration.endpoint(.memory)
        let memory = MemoryReducer(shape: try configuration.memoryShape())
        let start = LogStart.within(
            configuration.epoch, folder: folder,
            fresh: configuration.resume.map { .snapshot($0 + "/" + LogCheckpoint.fileName) } ?? .empty)
        let done = start == .existing ? nil : configuration.resume.map { Checkpoint.step(inPath: $0) ?? 0 } ?? 0
        let logger = runtime.logger
        let telemetry = MemoryTelemetry(
            folder: configuration.runDirectory + "/events/\(runtime.replica)", classes: configuration.dataset.classes,
            continuingAfter: done, iterations: configuration.recipe.schedule.iterations,
            onTrouble: { logger.warning("\($0)") })
        var isServing = false
        do {
            let server = try LogServer(
                bind: endpoint, alsoAt: configuration.otherEndpoints(.memory), as: runtime.sender,
                context: runtime.context, folder: folder,
                reducer: WatchedMemory(memory, telemetry: telemetry, origin: runtime.origin), start: start,
                // Compute opens this epoch itself; all before it are over.
                knownEpoch: Epoch(configuration.epoch.rawValue - 1), onNote: { logger.info("\($0)") })
            defer { server.stop() }
            isServing = true
            runtime.stop.onStop { _ in server.stop() }
            runtime.setMetrics {
                let position = server.position
                return server.statistics.heartbeat(.memory, at: position.sequence)
            }
            runtime.report(.running)
            try server.waitUntilStopped()
        } catch let error where isServing {
            // Nothing that was not stored has been acknowledged: another start goes on where this one ends.
            throw RecoverableFailure(errorLine(error), remedy: .restart)
        } catch let error where start == .existing {
            throw RecoverableFailure("its log cannot be opened again: \(errorLine(error))", remedy: .rollback)
        }
    }

    /// A bank does no arithmetic: it copies and orders. Its version is the layout of what it writes.
    public static func fingerprint() -> Fingerprint { Fingerprint.compute(versions: ["memory": "1"]) { _ in } }
}
