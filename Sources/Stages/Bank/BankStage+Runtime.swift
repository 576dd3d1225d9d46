import MemoryKit
import StageKit
import Wire

extension BankStage {
    /// What `picoflow-bank` does: serves the memory of one epoch until the supervisor says stop.
    public static func run(_ runtime: StageRuntime) throws {
        let configuration = runtime.configuration
        let bank = BankConfiguration(
            endpoint: try configuration.endpoint(.memory), sender: runtime.sender,
            folder: configuration.runDirectory + "/bank",
            start: configuration.resume.map { .snapshot($0 + "/" + LogCheckpoint.fileName) } ?? .empty,
            // Compute opens this epoch itself; all before it are over.
            knownEpoch: Epoch(configuration.epoch.rawValue - 1), shape: try configuration.memoryShape())
        try run(bank, context: runtime.context, onNote: { [logger = runtime.logger] in logger.info("\($0)") }) {
            server in
            runtime.stop.onStop { _ in server.stop() }
            runtime.setMetrics {
                let position = server.position
                return server.statistics.frames.metrics("memory")
                    .merging(["sequence": Double(position.sequence.rawValue)]) { $1 }
            }
            runtime.report(.running)
        }
    }

    /// A bank does no arithmetic: it copies and orders. Its version is the layout of what it writes.
    public static func fingerprint() -> Fingerprint { Fingerprint.compute(versions: ["memory": "1"]) { _ in } }
}
