import ArgumentParser
import Basics
import BenchKit
import Foundation
import Wire

/// One measurement of a pool, printed as JSON: what `pool` is made of, and what to put under a profiler.
struct PoolCase: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "pool-case", shouldDisplay: false)

    @Option var transport = Transport.ipc
    @Option var workers = 256
    /// Of a result's tensors; 0 sends none.
    @Option var bytes = 0
    @Option var seconds = 2.0
    /// Numbers, separated by commas.
    @Option var workerCores: String

    /// Tickets that a worker holds: one is executed, the others hide the way.
    static let credit = 4
    /// Tickets under way: enough for every worker's credit, bounded as a stage bounds what it asks for ahead.
    private var window: Int { bytes == 0 ? min(workers * Self.credit, 4096) : min(workers * Self.credit, 32) }

    func run() throws {
        try Usage.allowFiles(workers + 128, for: "\(workers) connections")
        let folder = try ScratchFolder()
        let pool = try PoolConsumer(
            endpoint: Endpoint(transport.address(in: folder.path)), as: Sender(run: "bench", name: "consumer"),
            epoch: Epoch(1), context: Context())
        let before = Usage.resident
        let child = try Child(
            [
                "pool-workers", "--endpoint", pool.boundEndpoint.address, "--workers", "\(workers)", "--bytes",
                "\(bytes)",
            ], cores: workerCores.split(separator: ",").compactMap { Int($0) })
        defer { child.end() }
        let start = Instant.now()
        while pool.statistics.workers.count < workers {
            guard !child.hasEnded, Instant.now() < start + .seconds(60) else {
                throw UserError("\(pool.statistics.workers.count) of \(workers) workers joined within a minute")
            }
            usleep(10_000)
        }
        let joined = Usage.resident
        var client = Client(pool: pool)
        _ = try client.run(window: window, seconds: min(0.3, seconds / 2))  // warms caches up
        let alone = try client.run(window: 1, seconds: min(0.5, seconds / 2))
        let cpu = Usage.cpu
        let loaded = try client.run(window: window, seconds: seconds)
        let used = Usage.cpu - cpu
        let result = PoolMeasurement(
            transport: transport, workers: workers,
            workersAs: workers <= PoolWorkers.threaded ? "PoolWorker" : "PoolWorkerCore", resultBytes: bytes,
            window: window, tickets: loaded.milliseconds.count, seconds: loaded.seconds,
            alone: Percentiles(alone.milliseconds), loaded: Percentiles(loaded.milliseconds),
            cpuMicrosecondsPerTicket: used / Double(loaded.milliseconds.count) * 1e6, cpuShare: used / loaded.seconds,
            memoryPerWorkerKiB: Double(joined - before) / Double(workers) / 1024,
            peakMiB: Double(Usage.peak) / 0x10_0000
        )
        print(String(decoding: try JSONEncoder().encode(result), as: UTF8.self))
    }

    /// Issues tickets and takes their results, as compute does.
    private struct Client {
        let pool: PoolConsumer
        private var next: UInt64 = 1

        init(pool: PoolConsumer) { self.pool = pool }

        /// Keeps `window` tickets under way for a time, then waits for the last of them.
        mutating func run(window: Int, seconds: Double) throws -> (milliseconds: [Double], seconds: Double) {
            let start = Instant.now()
            let end = start + .seconds(seconds)
            var issued: [Instant] = []
            var milliseconds: [Double] = []
            func issue() throws {
                issued.append(.now())
                try pool.issue(Ticket(id: TicketID(next), body: Data(#"{"position":123456,"seed":987654321}"#.utf8)))
                next += 1
            }
            for _ in 0..<window { try issue() }
            var now = start
            while milliseconds.count < issued.count {
                guard try pool.next(timeout: .seconds(30)) != nil else {
                    throw UserError("no result came for 30 seconds")
                }
                now = .now()
                let taken = now.nanoseconds - issued[milliseconds.count].nanoseconds
                milliseconds.append(Double(taken) / 1e6)
                if now < end { try issue() }
            }
            return (milliseconds, Double(now.nanoseconds - start.nanoseconds) / 1e9)
        }
    }
}
