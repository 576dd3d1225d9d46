import Basics
import Configuration
import Foundation
import StageKit
import Wire

/// What becomes due.
extension SupervisorCore {
    func silence(of member: Member) -> Duration { member.kind.isWorker ? timing.workerSilence : timing.stateSilence }

    mutating func tick() {
        // After the supervisor itself stood still (a suspended terminal job), the stages' answers may not be read yet.
        if let lastTick, now - lastTick > timing.workerSilence / 2 {
            for index in members.indices { members[index].lastHeard = now }
        }
        lastTick = now
        for index in members.indices {
            guard members[index].isOwn else {
                tickExternal(index)
                continue
            }
            let member = members[index]
            switch member.life {
            case .starting(let until) where now >= until && member.killAt == nil:
                let what =
                    member.isAdopted
                    ? "it did not answer the supervisor that took the run over"
                    : "it said nothing for \(timing.hello.text) after its start"
                kill(index, what)
            case .working where now - member.lastHeard >= silence(of: member) && member.killAt == nil:
                kill(index, "it was silent for \(silence(of: member).text)")
            case .gone(_, _, let until) where now >= until: conclude(index)
            case .waiting(let until) where now >= until:
                members[index].restarts += 1
                spawn(index)
            default: break
            }
            if member.isAlive, let at = member.terminateAt, now >= at {
                members[index].failure = member.failure ?? "it did not stop in time and was terminated"
                log(.warning, "\(member.replica) did not stop in time; terminating it")
                stop(index, within: .zero)
            } else if member.isAlive, let at = member.killAt, now >= at {
                members[index].killAt = now + timing.kill
                actions.append(.signal(member.replica, SIGKILL))
            }
        }
    }

    /// Kills a process that hangs, before anything replaces it.
    mutating func kill(_ index: Int, _ why: String) {
        let replica = members[index].replica
        members[index].failure = "\(why) and was killed (\(plan.logs)/\(replica).log)"
        members[index].isKilled = true
        members[index].killAt = now + timing.kill
        actions.append(.signal(replica, SIGKILL))
    }

    /// What follows from the state, whatever event led to it.
    mutating func advance() {
        for index in members.indices where members[index].bye != nil {
            if case .gone = members[index].life { conclude(index) }
        }
        if pendingSwap != nil, ending != nil || phase == .evaluating || phase == .stopping {
            cancelSwap("the run ended before it")
        }
        recover()
        if ending == nil, plan.goal == .train, let finished, !trainers.isEmpty, trainers.allSatisfy(\.isQuiet),
            phase == .training
        {
            phase = hasEvaluation ? .evaluating : .stopping
            if hasEvaluation { evaluations.final = finished.checkpoint }
        }
        evaluateNext()
        if ending == nil, phase == .evaluating, evaluations.isDone { phase = .stopping }
        announceEnd()
        // Once compute is gone nobody needs the other training stages; once the evaluation is over, nobody any.
        let everybody = phase == .stopping && trainers.allSatisfy(\.isQuiet)
        for index in members.indices where everybody || (phase == .evaluating && members[index].kind != .evaluator) {
            if case .waiting = members[index].life { over(index) }
            if members[index].isAlive, !members[index].isStopping { stop(index, within: timing.stop) }
        }
        guard phase == .stopping, !isEvaluating, members.allSatisfy(\.isQuiet) else { return }
        isEnded = true
        phase = .ended
        actions.append(.end(outcome))
    }

    private var outcome: RunOutcome {
        switch ending {
        case .failed(let message): return .failed(message)
        case .asked:
            if finished == nil || hasEvaluation && evaluation == nil {
                return .stopped(step: checkpoint?.step ?? metrics?.step, checkpoint: checkpoint?.path)
            }
        case nil: break
        }
        // A run whose training was over before this start goes on from its last checkpoint.
        return .finished(
            step: finished?.step ?? plan.resume?.step, checkpoint: finished?.checkpoint ?? plan.resume?.path,
            evaluation: evaluation)
    }
}
