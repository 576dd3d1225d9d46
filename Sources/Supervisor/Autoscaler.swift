import Basics
import Foundation
import StageKit

/// Decides how many replicas a stage should have, by how long compute waits for it. A value: readings and times go in.
///
/// It compares sums over windows, so that single slow steps do not matter, and judges only windows in which all of the
/// stage's replicas worked from begin to end. So every change is followed by a whole window under the new number, and
/// the time that a new replica takes to start is not held against it.
struct Autoscaler: Sendable {
    /// Long against a step and a heartbeat (a second), short against a training.
    static let window = Duration.seconds(10)
    /// A tenth of the time waiting is worth another process; less is not felt.
    static let tooLong = 0.10
    /// Compute that waits less than this is not held up by the stage at all.
    static let none = 0.01
    /// Replicas that would have more of their time in use than this do without reserve: a few slow tickets in a row, and
    /// compute waits. It lies far enough below full use that a removal is not taken back at once.
    static let fullUse = 0.70
    /// Between a change and a removal at first. Doubled with every removal that was taken back, up to the longest.
    static let patience = Duration.seconds(30)
    static let longestPatience = Duration.seconds(1800)
    /// An addition this soon after a removal takes it back.
    static let regret = Duration.seconds(300)

    /// Sums since the processes' starts, in seconds.
    struct Reading: Sendable, Equatable {
        /// Replicas of the stage.
        var count: Int
        /// All of them serve.
        var isComplete: Bool
        /// Compute: in finished steps, and of these waiting for the stage.
        var steps: Double
        var waited: Double
        /// Each replica's time in execution; nil where one does not tell.
        var busy: [Replica: Double]?
        /// Tickets that a replica executes at a time.
        var threads: Int
    }

    struct Decision: Sendable, Equatable {
        var count: Int
        /// One line, with the numbers.
        var reason: String
    }

    let bounds: ClosedRange<Int>
    /// `samples`, `gradients`: what compute waits for.
    let what: String
    private var begin: (reading: Reading, at: Duration)?
    private var lastChange: Duration?
    private var lastRemoval: Duration?
    private var patience = Autoscaler.patience

    init(bounds: ClosedRange<Int>, what: String) {
        self.bounds = bounds
        self.what = what
    }

    mutating func read(_ reading: Reading, now: Duration) -> Decision? {
        guard let begin, reading.isComplete, reading.count == begin.reading.count,
            // A compute or worker process that was started anew counts from 0.
            reading.steps >= begin.reading.steps, reading.busy?.keys == begin.reading.busy?.keys
        else {
            self.begin = reading.isComplete ? (reading, now) : nil
            return nil
        }
        let elapsed = now - begin.at
        let steps = reading.steps - begin.reading.steps
        // A step that goes on is in no sum yet: where steps take long, the window is longer.
        guard elapsed >= Self.window, steps >= 0.5 * seconds(Self.window) else { return nil }
        self.begin = (reading, now)
        let share = (reading.waited - begin.reading.waited) / steps
        let waits =
            "compute waited for \(what) \(percent(share)) of the last \(elapsed.text)"
        if share > Self.tooLong {
            guard reading.count < bounds.upperBound else { return nil }
            if let lastRemoval, now - lastRemoval < Self.regret {
                patience = min(Self.longestPatience, patience * 2)
            }
            lastRemoval = nil
            return decide(reading.count + 1, "\(waits), more than \(percent(Self.tooLong))", now)
        }
        guard share < Self.none, reading.count > bounds.lowerBound, let use = use(begin.reading, reading, elapsed)
        else { return nil }
        let afterwards = use * Double(reading.count) / Double(reading.count - 1)
        guard afterwards <= Self.fullUse, lastChange.map({ now - $0 >= patience }) ?? true else { return nil }
        lastRemoval = now
        return decide(
            reading.count - 1,
            "\(waits), and \(reading.count - 1) would be busy \(percent(afterwards)) of the time", now)
    }

    private mutating func decide(_ count: Int, _ reason: String, _ now: Duration) -> Decision {
        lastChange = now
        return Decision(count: count, reason: reason)
    }

    /// The part of the replicas' time that was in use; nil where they do not tell.
    private func use(_ begin: Reading, _ end: Reading, _ elapsed: Duration) -> Double? {
        guard let before = begin.busy, let after = end.busy, after.count == end.count else { return nil }
        let busy = after.reduce(0) { $0 + $1.value - (before[$1.key] ?? 0) }
        return max(0, busy) / (seconds(elapsed) * Double(end.count * end.threads))
    }

    private func seconds(_ duration: Duration) -> Double { duration / .seconds(1) }
    private func percent(_ share: Double) -> String { String(format: share < 0.1 ? "%.1f %%" : "%.0f %%", 100 * share) }
}
