import Configuration
import Foundation
import StageKit
import Wire

/// Ends of processes: who is replaced, and whose loss ends the run.
extension SupervisorCore {
    mutating func exited(_ replica: Replica, _ pid: Int32, _ end: ProcessEnd, _ line: String?) {
        guard let index = index(of: replica), members[index].pid == pid, members[index].isAlive else { return }
        members[index].life = .gone(end, lastLine: line, until: now + timing.lastWords)
        // Who was killed has no last words; but compute that was ending anyway may have said them before.
        let wasEnding = members[index].kind == .compute && members[index].isStopping && members[index].killAt == nil
        let hadNoLastWords: Bool
        switch end {
        case .signal: hadNoLastWords = !wasEnding
        case .code, .unknown: hadNoLastWords = members[index].isKilled || members[index].isDiscarded
        }
        if hadNoLastWords { conclude(index) }
    }

    /// The process is gone and what it had to say is here.
    mutating func conclude(_ index: Int) {
        let member = members[index]
        guard case .gone(let end, let line, _) = member.life else { return }
        let replica = member.replica
        let why = member.failure ?? describe(end, line, of: replica)
        let wasHealthy =
            member.configuredAt.map { now - $0 >= timing.healthy || progress(of: member.kind) > member.progressBefore }
            ?? false
        members[index].forgetProcess()
        reportLoss(of: member, expected: member.isStopping || member.isKilled)
        if member.isDiscarded, ending == nil {
            // Another rank that only lost this one may have been heard first; to go back would come to the same failure.
            if let report = member.report, report.remedy == nil, member.kind == .compute {
                members[index].isOver = true
                return fail("\(replica) failed first: \(why)")
            }
            return members[index].life = .held
        }
        if member.isStopping || member.hasFinished || member.isDiscarded {
            members[index].isOver = true
            members[index].hasLeft = member.isLeaving
            // Whoever asks twice wants no checkpoint, and who had no configuration yet had nothing to save.
            let hasFailed = member.configuredAt != nil && (member.bye.map { $0 == .failed } ?? (end != .code(0)))
            if !member.hasFinished, !member.isDiscarded, member.kind == .compute, hasFailed, interrupts < 2 {
                fail("\(replica) failed while it was stopped: \(why)")
            }
            return
        }
        guard member.kind.isWorker else { return loseState(of: member, index, end, why) }
        guard ending == nil else { return members[index].isOver = true }
        // The evaluation that it was started for is over.
        if member.kind == .evaluator, !isEvaluating { return members[index].isOver = true }
        members[index].failures = wasHealthy ? 1 : member.failures + 1
        guard members[index].failures < timing.failures else {
            members[index].isOver = true
            let others = others(with: member)
            let message = "\(replica) failed \(timing.failures) times in a row, last: \(why)"
            guard others == 0 else { return goOnWithout(message, others) }
            if hasCancelledSwap(of: member, message) || hasGivenUpEvaluation(of: member, message) { return }
            return fail(message)
        }
        members[index].life = .waiting(until: now + backoff(after: members[index].failures))
        log(.warning, "\(replica): \(why); starting it again")
        actions.append(.runEvent(tag: "restarts", "\(replica): \(why)", step: newestStep))
    }

    /// How many others do the same work as a member, or will; of other hosts' those that are here.
    func others(with member: Member, where holds: (Member) -> Bool = { $0.isOwn || $0.isWorking }) -> Int {
        members.count {
            $0.replica.stage == member.replica.stage && $0.generation == member.generation
                && $0.replica != member.replica && $0.isWanted && holds($0)
        }
    }

    mutating func goOnWithout(_ message: String, _ others: Int) {
        log(.error, "\(message); going on with \(others) other\(others == 1 ? "" : "s")")
    }

    /// How long after so many failures in a row another start waits.
    func backoff(after failures: Int) -> Duration {
        min(timing.longestBackoff, timing.backoff * (1 << (failures - 1)))
    }

    func describe(_ end: ProcessEnd, _ line: String?, of replica: Replica) -> String {
        "it \(end)" + (line.map { "; its last line: \($0)" } ?? "") + " (\(plan.logs)/\(replica).log)"
    }

    /// Consumers reissue at once what a dead worker held. A death by the supervisor's own hand blames no ticket.
    mutating func reportLoss(of member: Member, expected: Bool) {
        guard member.kind.isWorker, member.configuredAt != nil else { return }
        let name = member.replica.description
        if member.kind == .evaluator {
            if isEvaluating { actions.append(.evaluationWorkerLost(name, expected: expected)) }
            return
        }
        let consumers = Set(plan.consumers(of: member.replica.stage))
        for index in members.indices
        where members[index].isWorking && consumers.contains(members[index].replica.stage) {
            if expected { tell(index, Command(.expectLoss, worker: name)) }
            tell(index, Command(.workerLost, worker: name))
        }
    }
}
