import StageKit
import Wire

/// `SwapPlanner` between its threads: the supervisor's orders and the pool's news come from theirs, the training loop
/// asks before every step.
final class SwapGate: Sendable {
    private let planner: Monitor<SwapPlanner>
    private let send: @Sendable (StageEvent) -> Void

    /// - Parameter send: takes what the supervisor is to be told; called with a lock held, so it must not block.
    init(_ planner: SwapPlanner, send: @escaping @Sendable (StageEvent) -> Void) {
        self.planner = Monitor(planner)
        self.send = send
    }

    func handle(_ event: SwapPlanner.Event) {
        planner.update { planner in
            for action in planner.handle(event) {
                switch action {
                case .planned(let swap):
                    send(
                        StageEvent(
                            .swapPlanned, "swap \(swap.generation) can hold from step \(swap.step) on", step: swap.step,
                            swap: swap))
                case .refused(let proposal, let why):
                    send(StageEvent(.swapRefused, why, swap: Swap(proposal, step: 0)))
                }
            }
        }
    }

    /// Begins a step, once no swap stands in its way that is not journalled.
    ///
    /// - Parameters:
    ///   - check: called now and then while waiting, to give up on a stop.
    ///   - waiting: called once where there is something to wait for.
    /// - Returns: what the step's mining tickets have.
    func enter(
        _ step: UInt64, check: () throws -> Void, waiting: (Generation) -> Void
    ) throws -> SwapSchedule.Settings {
        var deadline = Instant.now()
        var isFirst = true
        while true {
            let settings = planner.wait(until: deadline) { $0.enter(step) ? $0.schedule.settings(at: step) : nil }
            if let settings { return settings }
            if isFirst, let generation = planner.withLock({ $0.awaited }) { waiting(generation) }
            isFirst = false
            try check()
            deadline = .now() + .milliseconds(200)
        }
    }
}
