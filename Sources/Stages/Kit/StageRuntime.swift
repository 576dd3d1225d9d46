import Basics
import Foundation
import Logging
import Wire

/// What a stage's work is given: its configuration, its log, and its ways to the supervisor. Thread-safe.
///
/// `@unchecked Sendable`: all members are constants of thread-safe types.
public final class StageRuntime: @unchecked Sendable {
    /// Which replica of which stage this process is.
    public let replica: Replica
    public let configuration: StageConfiguration
    /// Who this process is on every link: run, `loader-1`, incarnation.
    public let sender: Sender
    /// For the stage's own sockets. It is never terminated: the process ends without waiting for them.
    public let context: Context
    public let logger: Logger
    /// What the log's lines begin with; its step is the work's to set.
    public let origin: LogOrigin
    /// Says when to end and why. A stage that ends its work without being asked has finished.
    public let stop: StopToken
    /// Where this host has the run's dataset; nil where it is at the path that tickets name.
    public var datasetRoot: String? { link.arguments.datasetRoot }
    private let link: StageLink

    /// - Throws: `UserError` for keys that cannot be read.
    init(link: StageLink, configuration: StageConfiguration, logger: Logger, origin: LogOrigin) throws {
        self.link = link
        self.configuration = configuration
        self.logger = logger
        self.origin = origin
        replica = link.arguments.replica
        sender = link.sender
        stop = link.stop
        context = Context()
        // The context's closing would wait for sockets that worker threads still own.
        _ = Unmanaged.passRetained(context)
        if let key = link.arguments.key { context.identify(as: try key.security) }
        if let folder = configuration.keys { try secure(KeysFolder(folder)) }
    }

    /// Guards what this stage binds on TCP by the run's keys, also as they change.
    private func secure(_ folder: KeysFolder) throws {
        let allowed = AllowedKeys()
        let logger = logger
        try context.secureServers(
            ServerSecurity(keys: folder.serverKeys(), allowed: allowed, onNote: { logger.warning("\($0)") }))
        let load: @Sendable () throws -> Void = { allowed.replace(by: try folder.allowedKeys()) }
        link.onKeysChange {
            do {
                try load()
            } catch {
                // Who was in stays in; the supervisor, which reads the same file, tells the user.
                logger.error("\(errorLine(error))")
            }
        }
        try load()
    }

    /// What the stage does from now on; the next heartbeat says so.
    ///
    /// - Parameter waitingOn: for `.waiting`, what it waits for in a reader's words: `samples from loader`.
    public func report(_ state: StageState, waitingOn: String? = nil) { link.report(state, waitingOn: waitingOn) }

    /// Makes a pool's worker, which leaves as the stop token says and whose counts the heartbeats bring. Its consumers hear of
    /// it when it is run.
    ///
    /// - Parameter credit: how many tickets it holds per consumer, those in work included.
    public func poolWorker(_ link: LinkName, credit: Int) throws -> PoolWorker {
        let worker = try PoolWorker(
            consumers: configuration.endpoints(link), as: sender, generation: configuration.generation ?? .first,
            credit: credit, context: context, settings: configuration.poolSettings, onEvent: note)
        stop.onStop { reason in
            if reason == .drain { worker.drain() } else { worker.stop() }
        }
        setMetrics { worker.statistics.heartbeat }
        return worker
    }

    /// Writes what happened in a worker's pool into the log. The stage runs from when a consumer takes it: one whose port a
    /// firewall closes waits for ever.
    @Sendable private func note(_ event: PoolEvent) {
        logger.info("\(event)")
        if case .welcomed = event { report(.running) }
    }

    /// Compute: the newest step, for progress and status. Lines in `metrics.jsonl` are `MetricsFile`'s business.
    public func report(_ step: StepMetrics) { link.report(step) }

    /// Sets the closure that each heartbeat's metrics come from. It is called on the control thread.
    public func setMetrics(_ snapshot: @escaping @Sendable () -> [String: Double]) { link.setMetrics(snapshot) }

    /// Executes a ticket in view of the log, whose lines say from now on that they belong to its step.
    ///
    /// - Parameters:
    ///   - step: of the ticket. Threads that execute several tickets share the log, which has the newest one's.
    ///   - what: the ticket in a reader's words: `image 12`. It is written down at `--log-level debug` only, a failure too:
    ///     that is the consumer's to tell.
    public func execute<Output>(
        step: UInt64?, _ what: @autoclosure () -> String, _ body: () throws -> Output
    ) rethrows -> Output {
        origin.step = step ?? 0
        let start = ContinuousClock.now
        func taken() -> String { (ContinuousClock.now - start).text }
        do {
            let output = try body()
            logger.debug("\(what()): \(taken())")
            return output
        } catch {
            logger.debug("\(what()): failed after \(taken()): \(errorLine(error))")
            throw error
        }
    }

    /// Sends an event at once. A failure is better thrown: `StageMain` sends it.
    public func send(_ event: StageEvent) { link.send(.event, event) }

    /// Tells the user of what does not end the run, in this stage's log and through the supervisor.
    public func warn(_ message: String) {
        logger.warning("\(message)")
        send(StageEvent(.note, message))
    }

    /// Compute: a checkpoint's manifest is durable.
    public func checkpointWritten(step: UInt64, path: String) {
        send(StageEvent(.checkpoint, "checkpoint of step \(step)", step: step, path: path))
    }

    /// Compute: all iterations are done; `path` is the last checkpoint. Return from the body after this.
    public func finished(step: UInt64, checkpoint path: String) {
        send(StageEvent(.finished, "finished at step \(step)", step: step, path: path))
    }

    /// Compute's ranks beyond the first: all iterations are done; the first one tells of the checkpoint.
    public func finished(step: UInt64) { send(StageEvent(.finished, "finished at step \(step)", step: step)) }

    /// Consumers of pools: calls `body(worker, expected)`, on the control thread, when the supervisor knows that a worker is
    /// gone: expected where it killed it, which no ticket is to blame for.
    public func onWorkerLoss(_ body: @escaping @Sendable (_ worker: String, _ expected: Bool) -> Void) {
        link.onLoss(body)
    }

    /// Compute: calls `body`, on the control thread, with what the supervisor says of swaps, also of those before the call.
    public func onSwap(_ body: @escaping @Sendable (SwapOrder) -> Void) { link.onSwap(body) }
}
