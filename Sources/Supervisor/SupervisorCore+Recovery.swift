import Configuration
import Foundation
import StageKit
import Wire

/// Deaths of the stages with state, bank and compute: another start within the epoch, or a new epoch from the newest
/// checkpoint. Workers stay through both; they drop what they hold of an older epoch by themselves.
extension SupervisorCore {
    private var stateful: [Int] { members.indices.filter { !members[$0].kind.isWorker } }

    /// What may make an end good; nil where it ends the run.
    ///
    /// A process that was killed, by whomever, or fell silent may live longer the next time. One that says what is wrong,
    /// or exits of itself, would say and do it again.
    private func remedy(for member: Member, _ end: ProcessEnd) -> Remedy? {
        if let report = member.report { return report.remedy }
        if member.isKilled || member.bye == .supervisorLost { return .restart }
        switch end {
        case .signal, .unknown, .code(StageMain.supervisorLost): return .restart
        case .code: return nil
        }
    }

    /// The process of a bank or compute has ended when it should not have.
    ///
    /// - Parameters:
    ///   - member: as it was; the member at `index` has forgotten its process.
    ///   - why: in a reader's words.
    mutating func loseState(of member: Member, _ index: Int, _ end: ProcessEnd, _ why: String) {
        let replica = member.replica
        let remedy = remedy(for: member, end)
        guard let remedy else {
            members[index].isOver = true
            let isEarly = end == .code(0) && member.failure == nil
            return fail("\(replica) failed first: \(isEarly ? "it ended before its work was done" : why)")
        }
        guard ending == nil else {
            members[index].isOver = true
            return log(.warning, "\(replica): \(why)")
        }
        members[index].failures += 1
        let failures = members[index].failures
        guard failures < timing.failures else {
            members[index].isOver = true
            return fail("\(replica) failed \(failures) times without training coming any further, last: \(why)")
        }
        let until = now + backoff(after: failures)
        let keepsEpoch = member.kind == .bank && remedy == .restart && rollback == nil
        let what = keepsEpoch ? "starting it again, its log stays" : "going back to the newest checkpoint"
        log(.warning, "\(replica): \(why); \(what)")
        actions.append(.runEvent(tag: "restarts", "\(replica): \(why); \(what)", step: newestStep))
        if keepsEpoch {
            members[index].life = .waiting(until: until)
        } else {
            members[index].life = .held
            rollBack(at: until)
        }
    }

    /// Ends the epoch: kills all whose state belongs to it. The next one begins when they are dead, at `time` at the
    /// earliest.
    mutating func rollBack(at time: Duration) {
        rollback = max(rollback ?? time, time)
        for index in stateful {
            switch members[index].life {
            case .waiting: members[index].life = .held
            case .idle where members[index].hasFinished:
                // A rank that was done before another died does the steps since the checkpoint with it again.
                members[index].hasFinished = false
                members[index].isOver = false
                members[index].life = .held
            case .spawning, .starting, .working: discard(index)
            case .idle, .gone, .held: break
            }
        }
    }

    /// Kills a process whose epoch is over.
    mutating func discard(_ index: Int) {
        members[index].isDiscarded = true
        members[index].killAt = now + timing.kill
        actions.append(.signal(members[index].replica, SIGKILL))
    }

    /// When the next epoch begins, where only time is still awaited.
    var epochDeadline: Duration? {
        stateful.allSatisfy { members[$0].life == .held } ? rollback : nil
    }

    /// What follows from deaths, whatever event led to them.
    mutating func recover() {
        if let time = epochDeadline, now >= time {
            rollback = nil
            actions.append(.beginEpoch)
        }
        guard ending != nil, isHopeless else { return }
        for index in members.indices where members[index].kind == .compute && members[index].isWorking {
            guard !members[index].isAbandoned, members[index].peer != nil else { continue }
            members[index].isAbandoned = true
            log(.warning, "stopping without another checkpoint: the stages that it needs are gone")
            tell(index, Command(.abandon))
        }
    }

    /// While a run ends nobody is started again: without the bank compute finishes no step, and without miners, whether they
    /// died or left, none that waits for their gradients.
    private var isHopeless: Bool {
        func isThere(_ kind: StageKind) -> Bool { members.contains { $0.kind == kind && $0.isAlive } }
        let waits = trainers.contains { $0.isWorking && $0.heartbeat.waitingOn == Heartbeat.gradients }
        return members.contains { $0.kind == .bank } && !isThere(.bank) || waits && !isThere(.miner)
    }

    /// The new epoch is in the journal: those whose state belongs to it start, from its checkpoint.
    mutating func begin(_ epoch: Epoch, from resume: Checkpoint?) {
        plan.epoch = epoch
        plan.resume = resume
        plan.trained = nil
        checkpoint = resume
        if let resume { noteDue(resume) }
        metrics = nil
        guard ending == nil else { return }
        if let resume, resume.step >= UInt64(plan.recipe.schedule.iterations) {
            // Compute died after its last checkpoint and before it could say so.
            finished = (resume.step, resume.path)
            phase = .training
            for index in stateful { over(index) }
            return
        }
        log(.info, "epoch \(epoch) begins " + (resume.map { "after step \($0.step)" } ?? "at the beginning"))
        for index in stateful where members[index].life == .held {
            members[index].restarts += 1
            spawn(index)
        }
    }

    /// Failures count anew when training comes further than it ever was.
    mutating func noteProgress(_ step: UInt64) {
        guard step > furthestStep else { return }
        furthestStep = step
        progress += 1
        for index in stateful { members[index].failures = 0 }
    }

    // MARK: After a supervisor's death

    /// Goes on with the processes of a supervisor that died, in the same epoch; what died meanwhile is made good.
    mutating func takeOver(_ survivors: [Survivor]) {
        // Which workers there are, the living say; what the steps to come lack is started below.
        members.removeAll { $0.kind.isWorker && $0.kind != .evaluator }
        pendingSwap = history.pending.map { PendingSwap(proposal: $0, client: nil) }
        for survivor in survivors { adopt(survivor) }
        if let lost = trainers.first(where: { !$0.isAdopted }) {
            for index in stateful where !members[index].isAdopted { members[index].life = .held }
            log(.warning, "\(lost.replica) died without a supervisor; going back to the newest checkpoint")
            rollBack(at: now)
        }
        for index in stateful where members[index].life == .idle { spawn(index) }
        for stage in workingStages where stage.kind.isWorker {
            for generation in generations(of: stage) {
                resize(stage, generation, to: count(of: stage, generation))
            }
        }
    }

    private mutating func adopt(_ survivor: Survivor) {
        guard let stage = workingStage(named: survivor.replica.stage),
            generations(of: stage).contains(survivor.generation),
            stage.kind.isWorker || index(of: survivor.replica) != nil
        else {
            // The run has it no longer.
            return actions.append(.signal(survivor.replica, SIGKILL))
        }
        var member = Member(replica: survivor.replica, kind: stage.kind, generation: survivor.generation)
        member.pid = survivor.pid
        member.isAdopted = true
        member.life = .starting(until: now + silence(of: member))
        if stage.kind == .evaluator {
            // Of an evaluation that nobody waits for; the next one begins when it is gone.
            member.isStopping = true
            member.isKilled = true
            member.killAt = now + timing.kill
            actions.append(.signal(survivor.replica, SIGKILL))
        }
        if let index = index(of: survivor.replica) { members[index] = member } else { members.append(member) }
    }

    /// Whether a process of the supervisor before this one has still to say HELLO.
    var isTakingOver: Bool {
        members.contains { member in
            if case .starting = member.life { member.isAdopted } else { false }
        }
    }
}
