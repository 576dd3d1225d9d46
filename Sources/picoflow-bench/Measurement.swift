import BenchKit
import Foundation

/// What one consumer did with its workers.
struct PoolMeasurement: Codable {
    var transport: Transport
    var workers: Int
    /// `PoolWorker`: each with its threads, as in a stage. `PoolWorkerCore`: the same protocol, many on one thread.
    var workersAs: String
    /// Of a result's tensors.
    var resultBytes: Int
    /// Tickets under way at full load.
    var window: Int
    var tickets: Int
    var seconds: Double
    /// Milliseconds from `issue` to `next`, one ticket at a time.
    var alone: Percentiles
    /// The same at full load, where tickets wait for one another.
    var loaded: Percentiles
    /// Of the consumer's process, its network thread and its caller included.
    var cpuMicrosecondsPerTicket: Double
    /// Share of its one core that the consumer's process used.
    var cpuShare: Double
    /// What its resident memory grew by while the workers joined, per worker.
    var memoryPerWorkerKiB: Double
    /// The most that it had resident, all in all.
    var peakMiB: Double

    var ticketsPerSecond: Double { Double(tickets) / seconds }
    var megabytesPerSecond: Double { Double(resultBytes) * ticketsPerSecond / 1e6 }
}

/// What a bare ROUTER got from bare DEALERs.
struct BareMeasurement: Codable {
    var transport: Transport
    var dealers: Int
    var messageBytes: Int
    var messages: Int
    var seconds: Double
    var cpuMicrosecondsPerMessage: Double

    var megabytesPerSecond: Double { Double(messageBytes) * Double(messages) / seconds / 1e6 }
}
