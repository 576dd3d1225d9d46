import Basics
import Configuration
import Foundation
import StageKit
import Wire

/// More or fewer replicas of a worker stage while the run goes on.
///
/// Tickets carry all that their results depend on, so the number changes no bits. Who leaves is drained: it finishes
/// what it executes, hands back the rest, and no ticket is blamed for its end.
extension SupervisorCore {
    mutating func scale(_ request: ScaleRequest, _ peer: ControlPeer) {
        let wanted = request.stages.sorted { $0.key < $1.key }
        // All or nothing.
        do {
            guard !wanted.isEmpty else { throw UserError("name a stage and a count: loader=3") }
            for (name, count) in wanted { try checkScaling(name, to: count) }
        } catch {
            return send(.refused("\(error)"), to: peer)
        }
        for (name, count) in wanted { scale(name, to: count, reason: "asked") }
        send(.reply(answer()), to: peer)
    }

    /// - Parameter reason: one line, for log and journal.
    mutating func scale(_ name: String, to count: Int, reason: String) {
        guard let stage = workingStage(named: name) else { return }
        let before = counts[name] ?? 1
        counts[name] = count
        var hasChanged = before != count
        for generation in generations(of: stage) {
            hasChanged = resize(stage, generation, to: count) || hasChanged
        }
        guard hasChanged else { return }
        actions.append(.journal(.scaled(stage: name, from: before, to: count, reason: reason)))
        log(.info, "\(name): \(before) → \(count) (\(reason))")
        actions.append(.runEvent(tag: "scalings", "\(name): \(before) → \(count) (\(reason))", step: newestStep))
    }

    /// - Throws: `UserError` where a stage cannot have so many replicas now.
    func checkScaling(_ name: String, to count: Int) throws {
        guard let stage = workingStage(named: name) else { throw unknownStage(name) }
        guard stage.kind.isWorker else {
            throw UserError(
                "stage '\(name)' is of kind \(stage.kind.rawValue), which holds the run's state; loaders, miners and evaluators can be scaled"
            )
        }
        guard stage.kind != .loader || stage.samples == nil else {
            throw UserError(
                "stage '\(name)' stands between '\(stage.samples ?? "")' and its consumer; its replicas are those of the start, as its suppliers know no others"
            )
        }
        guard (1...65535).contains(count) else {
            throw UserError("\(name)=\(count): a stage has 1 to 65535 replicas")
        }
        guard ending == nil, phase != .stopping else { throw UserError("the run is stopping") }
        guard stage.kind == .evaluator || phase != .evaluating else {
            throw UserError("the run trains no more, and '\(name)' with it")
        }
        if let bounds = plan.topology.autoscale.first(where: { $0.stage == name }),
            !(bounds.min...bounds.max).contains(count)
        {
            throw UserError("\(name)=\(count): autoscale keeps '\(name)' between \(bounds.min) and \(bounds.max)")
        }
    }

    /// A stage that has work in this run.
    func workingStage(named name: String) -> StageSettings? { workingStages.first { $0.name == name } }

    var workingStages: [StageSettings] {
        (plan.goal == .train ? plan.trainingStages : []) + (hasEvaluation ? plan.topology.evaluators : [])
    }

    func unknownStage(_ name: String) -> UserError {
        if plan.topology.stage(named: name) != nil {
            return UserError("stage '\(name)' has nothing to do in this run")
        }
        let hint = suggestion(for: name, among: plan.topology.stages.map(\.name))
        return UserError("this run has no stage '\(name)'\(hint)")
    }

    /// Brings the replicas of one generation to a number: new ones take the lowest free ids, the highest leave.
    ///
    /// - Returns: whether there was anything to do.
    @discardableResult mutating func resize(_ stage: StageSettings, _ generation: Generation, to count: Int) -> Bool {
        // Other hosts' are theirs to number.
        let present = ownIndices(of: stage.name, generation)
            .sorted { members[$0].replica.id < members[$1].replica.id }
        for _ in 0..<max(0, count - present.count) { add(stage, generation) }
        for index in present.dropFirst(count) { leave(index) }
        return present.count != count
    }

    private mutating func add(_ stage: StageSettings, _ generation: Generation) {
        // Who was given up needs its number no longer.
        let taken = Set(
            members.filter {
                $0.replica.stage == stage.name && !$0.hasLeft && !($0.isOver && $0.isQuiet && $0.isOwn)
            }.map(\.replica.id))
        let id = (1...).first { !taken.contains($0) }!
        let member = Member(replica: Replica(stage.name, id), kind: stage.kind, generation: generation)
        if let index = index(of: member.replica) { members[index] = member } else { members.append(member) }
        // Evaluators wait for their phase.
        if stage.kind != .evaluator || isEvaluating { spawn(index(of: member.replica)!) }
    }

    /// Lets a worker go: what it executes is finished first, where it executes anything.
    mutating func leave(_ index: Int) {
        members[index].isLeaving = true
        switch members[index].life {
        case .idle, .waiting, .held: over(index)
        case .gone: members[index].isStopping = true
        case .spawning, .starting: stop(index, within: .zero)
        case .working:
            guard !members[index].isStopping, members[index].peer != nil else { return }
            members[index].isStopping = true
            members[index].terminateAt = now + timing.stop
            tell(index, Command(.drain))
        }
    }
}
