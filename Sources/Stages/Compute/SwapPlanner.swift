import Configuration
import StageKit
import Wire

/// Finds the step from which a swap holds, and keeps every step's tickets to one side of it. No sockets, no threads.
///
/// A swap becomes valid in two phases, so that it is in the journal before the first ticket of its step: compute says
/// the step (`planned`), the supervisor journals it and commits; until then that step is not entered. A swap of the
/// program is planned once a worker of the new one has joined; what does not start never costs a step.
struct SwapPlanner {
    enum Event: Equatable {
        case order(SwapOrder)
        /// A worker of a generation is there, with its copy of the memory.
        case joined(Generation)
    }

    enum Action: Equatable {
        case planned(Swap)
        case refused(SwapProposal, String)
    }

    private struct Pending {
        var proposal: SwapProposal
        /// The step that the supervisor was told.
        var step: UInt64?
    }

    private(set) var schedule: SwapSchedule
    /// The run's last step.
    private let last: UInt64
    /// Steps up to this one were done before a rollback, and must come out as they did.
    private let held: UInt64
    /// The newest step whose tickets may have been sent.
    private var entered: UInt64
    private var joined: Set<Generation> = []
    private var pending: Pending?

    /// - Parameters:
    ///   - done: steps that the trainer's state holds.
    ///   - held: the newest step that must come out as it did before.
    init(schedule: SwapSchedule, after done: UInt64, held: UInt64 = 0, last: UInt64) {
        self.schedule = schedule
        self.last = last
        self.held = held
        entered = done
    }

    mutating func handle(_ event: Event) -> [Action] {
        switch event {
        case .joined(let generation):
            joined.insert(generation)
            return plan()
        case .order(.prepare(let proposal)):
            guard !schedule.swaps.contains(where: { $0.generation == proposal.generation }) else { return [] }
            if let pending, pending.proposal.generation == proposal.generation { return repeated() }
            pending = Pending(proposal: proposal)
            return plan()
        case .order(.commit(let generation, let step)):
            guard let pending, pending.proposal.generation == generation else { return [] }
            schedule.append(Swap(pending.proposal, step: step))
            self.pending = nil
        case .order(.cancel(let generation)):
            if pending?.proposal.generation == generation { pending = nil }
        case .order(.supervisorChanged): return repeated()
        }
        return []
    }

    /// Whether a step may begin. False holds it until the next event.
    mutating func enter(_ step: UInt64) -> Bool {
        if let holdsFrom = pending?.step ?? pending?.proposal.atStep, step >= holdsFrom { return false }
        entered = step
        return true
    }

    /// The swap for which steps may be held up, for whoever wants to know.
    var awaited: Generation? { pending?.proposal.generation }

    private mutating func plan() -> [Action] {
        guard let pending, pending.step == nil else { return [] }
        let proposal = pending.proposal
        let next = max(entered, held) + 1
        if let trouble = trouble(proposal, next: next) {
            self.pending = nil
            return [.refused(proposal, trouble)]
        }
        if proposal.exec != nil, !joined.contains(proposal.generation) { return [] }
        let step = max(next, proposal.atStep ?? next, schedule.swaps.last?.step ?? next)
        self.pending?.step = step
        return [.planned(Swap(proposal, step: step))]
    }

    private func trouble(_ proposal: SwapProposal, next: UInt64) -> String? {
        guard next <= last else { return "no step is left to begin: the last is \(last)" }
        guard let wanted = proposal.atStep else { return nil }
        if wanted < next { return "step \(wanted) is past: the next is \(next)" }
        if wanted > last { return "step \(wanted) will not come: the last is \(last)" }
        if let swap = schedule.swaps.last, wanted < swap.step {
            return "step \(wanted) lies before that of swap \(swap.generation), \(swap.step)"
        }
        return nil
    }

    private func repeated() -> [Action] {
        guard let pending, let step = pending.step else { return [] }
        return [.planned(Swap(pending.proposal, step: step))]
    }
}
