import Basics
import Configuration
import Foundation
import StageKit
import Wire

/// Other settings or another program for the miners while the run trains.
///
/// Compute finds the step, the supervisor makes it durable and says so, and only then that step's tickets go out. With
/// several compute ranks each answers with the first step that it can still hold up, and the latest is taken. Workers
/// of a new program start beside the old ones, which leave once compute has passed the step.
extension SupervisorCore {
    struct PendingSwap: Sendable {
        var proposal: SwapProposal
        /// Who asked and waits for the answer; nil after a takeover.
        var client: ControlPeer?
        /// The step that each compute replica said.
        var steps: [Replica: UInt64] = [:]
    }

    var schedule: SwapSchedule { SwapSchedule(plan.recipe, swaps: history.swaps) }

    // MARK: Asked

    mutating func swap(_ request: SwapRequest, _ peer: ControlPeer) {
        let proposal: SwapProposal
        do {
            proposal = try self.proposal(for: request)
        } catch {
            return send(.refused("\(error)"), to: peer)
        }
        history.last = proposal.generation
        // The number must not be taken again, also by a supervisor that follows this one.
        actions.append(.journal(.swapAsked(proposal)))
        let at = proposal.atStep.map { " at step \($0)" } ?? ""
        log(.info, "swap \(proposal.generation) of \(proposal.stage) asked\(at): \(proposal.change)")
        begin(PendingSwap(proposal: proposal, client: peer))
        tellCompute(.prepare(proposal))
    }

    private func proposal(for request: SwapRequest) throws -> SwapProposal {
        guard ending == nil, phase == .training || phase == .starting else {
            throw UserError("the run is not training")
        }
        guard let stage = workingStage(named: request.stage) else { throw unknownStage(request.stage) }
        guard stage.kind == .miner else {
            throw UserError(
                "stage '\(stage.name)' is of kind \(stage.kind.rawValue); only miners can be swapped while a run trains"
            )
        }
        if let pendingSwap {
            throw UserError(
                "swap \(pendingSwap.proposal.generation) is still being prepared; try again once it is done")
        }
        guard !request.set.isEmpty || request.exec != nil else {
            throw UserError("nothing to swap: give --set, --exec or both")
        }
        if let exec = request.exec, exec.contains(where: \.isEmpty) {
            throw UserError("--exec has an empty word")
        }
        if let step = request.atStep {
            guard step > 0, step <= UInt64(plan.recipe.schedule.iterations) else {
                throw UserError("--at-step \(step): the run has the steps 1 to \(plan.recipe.schedule.iterations)")
            }
        }
        var recipe = plan.recipe
        let newest = schedule.newest
        recipe.sampler = newest.sampler
        recipe.synthesis = newest.synthesis
        recipe.contrast.temperature = newest.temperature
        if !request.set.isEmpty { recipe = try recipe.swapping(request.set) }
        let program = request.exec.map { ["exec=" + ($0.isEmpty ? "builtin" : $0.joined(separator: " "))] } ?? []
        return SwapProposal(
            generation: history.last.next, stage: stage.name, atStep: request.atStep, mining: MiningSettings(recipe),
            exec: request.exec, change: (request.set + program).joined(separator: " "))
    }

    private mutating func begin(_ swap: PendingSwap) {
        pendingSwap = swap
        guard swap.proposal.exec != nil, let stage = workingStage(named: swap.proposal.stage) else { return }
        resize(stage, swap.proposal.generation, to: count(of: stage, swap.proposal.generation))
    }

    // MARK: Planned by compute

    mutating func swapPlanned(_ swap: Swap, _ index: Int) {
        if let known = history.swaps.first(where: { $0.generation == swap.generation }) {
            // The commit was lost with the supervisor that journalled it.
            return tell(index, Command(.commit(known.generation, step: known.step)))
        }
        if history.cancelled.contains(swap.generation) { return tell(index, Command(.cancel(swap.generation))) }
        if pendingSwap == nil {
            // Planned under a supervisor that died before it could journal it.
            history.last = max(history.last, swap.generation)
            begin(PendingSwap(proposal: SwapProposal(swap), client: nil))
        }
        guard pendingSwap?.proposal.generation == swap.generation else { return }
        pendingSwap!.steps[members[index].replica] = swap.step
        let steps = pendingSwap!.steps
        guard trainers.allSatisfy({ $0.isOver || steps[$0.replica] != nil }) else { return }
        commit(at: steps.values.max()!)
    }

    private mutating func commit(at step: UInt64) {
        guard let pending = pendingSwap else { return }
        pendingSwap = nil
        let swap = Swap(pending.proposal, step: step)
        history.swaps.append(swap)
        // Durable before compute hears of it.
        actions.append(.journal(.swap(swap)))
        tellCompute(.commit(swap.generation, step: step))
        log(.info, "swap \(swap.generation) of \(swap.stage) holds from step \(step) on: \(swap.change)")
        actions.append(
            .runEvent(tag: "swaps", "swap \(swap.generation) of \(swap.stage): \(swap.change)", step: step))
        if let client = pending.client { send(.reply(answer()), to: client) }
        releasePassed()
    }

    mutating func cancelSwap(_ why: String) {
        guard let pending = pendingSwap else { return }
        let generation = pending.proposal.generation
        pendingSwap = nil
        history.cancelled.insert(generation)
        actions.append(.journal(.swapCancelled(generation)))
        tellCompute(.cancel(generation))
        log(.warning, "swap \(generation) of \(pending.proposal.stage) comes to nothing: \(why)")
        if let client = pending.client { send(.refused(why), to: client) }
        releasePassed()
    }

    /// A program that could not be brought to work costs its swap, not the run.
    ///
    /// - Returns: whether the worker was one of a swap that is not committed.
    mutating func hasCancelledSwap(of member: Member, _ why: String) -> Bool {
        guard pendingSwap?.proposal.generation == member.generation, member.generation > .first else { return false }
        cancelSwap(why)
        return true
    }

    // MARK: Generations of workers

    /// The last step that compute has done, as its first rank says: the others speak of none, and have its gradients by then.
    var trainedStep: UInt64 {
        trainers.compactMap { $0.heartbeat.step?.step }.min() ?? plan.trained ?? plan.resume?.step ?? 0
    }

    /// How many replicas of a generation run here. Hosts that join bring those of the first alone, so of another there is
    /// one at least.
    func count(of stage: StageSettings, _ generation: Generation) -> Int {
        max(counts[stage.name] ?? 1, generation > .first ? 1 : 0)
    }

    /// Those of a stage whose tickets may still come.
    func generations(of stage: StageSettings) -> [Generation] {
        guard stage.kind == .miner else { return [.first] }
        let pending = pendingSwap.flatMap { $0.proposal.exec == nil ? nil : $0.proposal.generation }
        return schedule.workers(from: trainedStep + 1) + (pending.map { [$0] } ?? [])
    }

    /// Miners whose generation's last step is done leave.
    mutating func releasePassed() {
        for stage in plan.trainingStages where stage.kind == .miner {
            let needed = generations(of: stage)
            for index in members.indices
            where members[index].replica.stage == stage.name && members[index].isWanted
                && members[index].isOwn && !needed.contains(members[index].generation)
            {
                log(.info, "\(members[index].replica) leaves: its generation is over")
                leave(index)
            }
        }
    }

    /// A compute process was configured: it knows the journalled swaps from its configuration, not the planned one, and
    /// the steps that it does again may need workers that have left.
    mutating func computeJoined(_ index: Int) {
        for stage in plan.trainingStages where stage.kind == .miner {
            for generation in generations(of: stage) where ownIndices(of: stage.name, generation).isEmpty {
                resize(stage, generation, to: count(of: stage, generation))
            }
        }
        guard let proposal = pendingSwap?.proposal else {
            // Compute may wait for the step of one that was taken back.
            if history.cancelled.contains(history.last) { tell(index, Command(.cancel(history.last))) }
            return
        }
        pendingSwap!.steps[members[index].replica] = nil
        tell(index, Command(.prepare(proposal)))
    }

    /// What a replica's process is: the topology's stage, with the program of its generation.
    func settings(of replica: Replica) -> StageSettings? {
        guard var settings = plan.settings(of: replica) else { return nil }
        if let index = index(of: replica), let program = program(of: members[index].generation) {
            settings.exec = program.isEmpty ? nil : program
        }
        return settings
    }

    private func program(of generation: Generation) -> [String]? {
        guard generation > .first else { return nil }
        if let proposal = pendingSwap?.proposal, proposal.generation == generation { return proposal.exec }
        return schedule.program(of: generation)
    }

    /// What a replica is told after its HELLO.
    func configuration(of index: Int) throws -> StageConfiguration? {
        let member = members[index]
        guard var configuration = try plan.configuration(for: member.replica) else { return nil }
        configuration.replicas.merge(counts) { $1 }
        if member.generation > .first { configuration.generation = member.generation }
        if member.kind == .compute {
            configuration.swaps = history.listed
            // What lies behind its checkpoint it will not ask for again.
            let first = (plan.resume?.step ?? 0) * UInt64(plan.recipe.schedule.batch)
            let ahead = plan.skipped.filter { $0 >= first }
            configuration.skipped = ahead.isEmpty ? nil : ahead
        }
        return configuration
    }

    // MARK: Fingerprints

    /// What all workers of a member's program must say; nil before the first said it.
    func fingerprint(of member: Member) -> Fingerprint? {
        let first = firstGeneration(withProgramOf: member)
        return first == .first ? fingerprints[member.replica.stage] : history.fingerprints[first]
    }

    /// Where a fingerprint differs from the known one in what this run computes, in words.
    func difference(of fingerprint: Fingerprint, from known: Fingerprint) -> String? {
        fingerprint.difference(from: known, ignoring: plan.recipe.model.precision == .bf16 ? [] : [Fingerprint.bf16])
    }

    mutating func keep(_ fingerprint: Fingerprint, of member: Member) -> JournalEntry {
        let first = firstGeneration(withProgramOf: member)
        guard first > .first else {
            fingerprints[member.replica.stage] = fingerprint
            return .fingerprint(stage: member.replica.stage, fingerprint)
        }
        history.fingerprints[first] = fingerprint
        return .programFingerprint(first, fingerprint)
    }

    /// Swapping forth and back runs the same program again, which must compute the same.
    private func firstGeneration(withProgramOf member: Member) -> Generation {
        guard let program = program(of: member.generation) else { return .first }
        if program == plan.settings(of: member.replica)?.exec ?? [] { return .first }
        return history.swaps.first { $0.exec == program }?.generation ?? member.generation
    }

    // MARK: Saying

    private mutating func tellCompute(_ order: SwapOrder) {
        for index in members.indices where members[index].kind == .compute && members[index].isWorking {
            tell(index, Command(order))
        }
    }
}

extension SwapProposal {
    /// The proposal that a planned swap came from.
    init(_ swap: Swap) {
        self.init(
            generation: swap.generation, stage: swap.stage, mining: swap.mining, exec: swap.exec, change: swap.change)
    }
}
