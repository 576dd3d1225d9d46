import Foundation
import StageKit

/// How fast a stage's counters grow, over its newest heartbeats.
struct MetricRates: Sendable {
    /// Several heartbeats, so that a worker with one ticket in two seconds has a steady rate; few enough that a change
    /// shows soon.
    static let span = 5.0

    private struct Beat {
        /// Seconds by the stage's own clock, or by ours where it tells none.
        var time: Double
        var counts: [String: Double]
    }

    /// Oldest first.
    private var beats: [Beat] = []

    /// Growth per second by the counter's name; empty before two heartbeats.
    private(set) var perSecond: [String: Double] = [:]

    /// - Parameter now: of the supervisor, for stages that do not say their own time.
    mutating func note(_ metrics: [String: Double], now: Duration) {
        let beat = Beat(
            time: metrics[ProcessMetric.uptime] ?? now / .seconds(1), counts: metrics.filter { Self.isCount($0.key) })
        // A clock that goes back, or a count, is another process's.
        if let last = beats.last, beat.time <= last.time || beat.counts.contains(where: { $1 < last.counts[$0] ?? 0 }) {
            beats = []
        }
        beats.append(beat)
        while beats.count > 2, beat.time - beats[1].time >= Self.span { beats.removeFirst() }
        let first = beats[0]
        let time = beat.time - first.time
        perSecond = [:]
        guard time > 0 else { return }
        for (name, count) in beat.counts {
            // Digits that nobody reads would fill a report of a thousand workers.
            if let before = first.counts[name] { perSecond[name] = ((count - before) / time * 1000).rounded() / 1000 }
        }
    }

    /// Whether a metric is a sum since the start, of which the growth says something.
    static func isCount(_ name: String) -> Bool {
        switch name {
        case ProcessMetric.cpu, WorkerMetric.busy, WorkerMetric.tickets, ComputeMetric.steps,
            ComputeMetric.waitedForSamples, ComputeMetric.waitedForGradients:
            return true
        default:
            guard let dot = name.lastIndex(of: ".") else { return false }
            switch LinkMetric(rawValue: String(name[name.index(after: dot)...])) {
            case .sentBytes, .receivedBytes, .delivered, .sequence: return true
            case .underWay, .ready, nil: return false
            }
        }
    }
}
