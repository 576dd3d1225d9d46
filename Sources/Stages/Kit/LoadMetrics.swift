import Foundation
import Wire

/// Names of heartbeat metrics that the supervisor looks at, as PROTOCOL.md lists them. Those in seconds, and all counts
/// and bytes but the ones of a moment, are sums since the process's start.
public enum ComputeMetric {
    /// In finished steps.
    public static let steps = "stepSeconds"
    /// Of these, spent waiting for the loaders and for the miners.
    public static let waitedForSamples = "waitedForSamplesSeconds"
    public static let waitedForGradients = "waitedForGradientsSeconds"
}

public enum WorkerMetric {
    /// Spent executing tickets, all threads together.
    public static let busy = "busySeconds"
    /// Executed, failed ones included.
    public static let tickets = "tickets"
}

/// What every stage tells of its process.
public enum ProcessMetric {
    /// Since its start, by a clock that never goes back.
    public static let uptime = "uptimeSeconds"
    /// Of processor time, all threads together.
    public static let cpu = "cpuSeconds"
    /// Memory that it occupies now.
    public static let resident = "residentBytes"
}

/// What the side that binds a link tells of it, behind the link's name and a dot: `samples.sentBytes`.
public enum LinkMetric: String, Sendable, CaseIterable {
    case sentBytes, receivedBytes
    /// A pool's tickets whose results were handed on.
    case delivered
    /// Now: tickets that wait for a worker or are with one.
    case underWay
    /// Now: results that nobody has taken yet.
    case ready
    /// The log's newest record.
    case sequence

    public func name(_ link: LinkName) -> String { "\(link.rawValue).\(rawValue)" }
}

extension PoolWorkerStatistics {
    /// What a worker's heartbeats carry.
    public var heartbeat: [String: Double] {
        [WorkerMetric.busy: busy / .seconds(1), WorkerMetric.tickets: Double(results + failures)]
    }
}

extension PoolStatistics {
    /// What the heartbeats of a pool's consumer carry of it.
    public func heartbeat(_ link: LinkName) -> [String: Double] {
        frames.metrics(link.rawValue).merging(traffic.heartbeat(link)) { $1 }.merging([
            LinkMetric.delivered.name(link): Double(delivered),
            LinkMetric.underWay.name(link): Double(queued + inFlight),
            LinkMetric.ready.name(link): Double(waiting + ready),
        ]) { $1 }
    }
}

extension LogServerStatistics {
    /// What a bank's heartbeats carry.
    public func heartbeat(_ link: LinkName, at sequence: SequenceNumber) -> [String: Double] {
        frames.metrics(link.rawValue).merging(traffic.heartbeat(link)) { $1 }
            .merging([LinkMetric.sequence.name(link): Double(sequence.rawValue)]) { $1 }
    }
}

extension Traffic {
    fileprivate func heartbeat(_ link: LinkName) -> [String: Double] {
        [LinkMetric.sentBytes.name(link): Double(sent), LinkMetric.receivedBytes.name(link): Double(received)]
    }
}

/// What a process has used so far and occupies now.
struct ProcessLoad {
    var uptime: Duration
    /// Of processor time.
    var cpu: Duration
    /// Nil where the system does not say.
    var resident: Int?

    /// Of this process.
    static func now() -> ProcessLoad {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func duration(_ time: timeval) -> Duration { .seconds(time.tv_sec) + .microseconds(time.tv_usec) }
        // Pages: all that is mapped, then what of it is in memory.
        let pages = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ")
        let resident = pages.flatMap { $0.count > 1 ? Int($0[1]) : nil }
        return ProcessLoad(
            uptime: start.duration(to: .now), cpu: duration(usage.ru_utime) + duration(usage.ru_stime),
            resident: resident.map { $0 * Int(sysconf(Int32(_SC_PAGESIZE))) })
    }

    /// Begins with the first heartbeat: only differences count.
    private static let start = SuspendingClock.now

    var metrics: [String: Double] {
        func seconds(_ time: Duration) -> Double { (time / .milliseconds(1)).rounded() / 1000 }
        var metrics = [ProcessMetric.uptime: seconds(uptime), ProcessMetric.cpu: seconds(cpu)]
        metrics[ProcessMetric.resident] = resident.map(Double.init)
        return metrics
    }
}
