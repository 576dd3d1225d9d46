import Foundation
import Synchronization

/// A counter on standard error for work that takes long: `checked 120 of 701, 12.3 s left`.
///
/// In place on a terminal; elsewhere, in a log for one, a line every ten seconds, so that short work says nothing.
public final class WorkProgress: Sendable {
    private let state: Mutex<WorkCounter>
    private let start = ContinuousClock.now
    private let isShown: Bool

    /// - Parameters:
    ///   - verb: what was done to so many: `checked`.
    ///   - quiet: shows nothing.
    public init(_ verb: String, quiet: Bool = false) {
        state = Mutex(WorkCounter(verb, isTerminal: standardErrorIsScreen))
        isShown = !quiet
    }

    /// May be called as often as there is anything to count.
    public func show(_ done: Int, of total: Int) {
        guard isShown else { return }
        let now = ContinuousClock.now - start
        if let text = state.withLock({ $0.text(done, of: total, now: now) }) { writeToStandardError(text) }
    }
}

/// What a counter says and when: the part without a clock.
struct WorkCounter: Sendable {
    private let verb: String
    private let isTerminal: Bool
    private var lastShown: Duration?

    init(_ verb: String, isTerminal: Bool) {
        self.verb = verb
        self.isTerminal = isTerminal
    }

    /// Ten times a second is as fast as anybody reads; six lines a minute are what a log file bears.
    private var interval: Duration { isTerminal ? .milliseconds(100) : .seconds(10) }

    /// - Parameter now: since the work began.
    /// - Returns: what to write; nil while the last text is new enough.
    mutating func text(_ done: Int, of total: Int, now: Duration) -> String? {
        let isLast = done >= total
        // On a terminal the first number shows at once, and the last is always there to stay; elsewhere only where there
        // were others before it.
        let isDue =
            switch lastShown {
            case nil: isTerminal || now >= interval
            case let last?: isLast || now - last >= interval
            }
        guard isDue else { return nil }
        lastShown = now
        var line = "\(verb) \(done) of \(total)"
        // Sooner, the speed is anybody's guess.
        if !isLast, done > 0, now >= .seconds(2) {
            line += ", \((now * Double(total - done) / Double(done)).text) left"
        }
        return isTerminal ? "\r\(line)\u{1b}[K" + (isLast ? "\n" : "") : line + "\n"
    }
}
