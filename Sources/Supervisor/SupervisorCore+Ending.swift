import Configuration
import Foundation
import StageKit
import Wire

/// How a run ends: by itself, as asked, or because something failed.
extension SupervisorCore {
    mutating func interrupt() {
        interrupts += 1
        switch interrupts {
        case 1 where ending == nil:
            let what = isTraining ? "compute finishes its step and writes a checkpoint" : "the evaluation is given up"
            log(.info, "stopping: \(what); again to stop at once")
            beginEnding(.asked)
        case 1: break
        case 2:
            log(.warning, "stopping at once" + (isTraining ? ", without a checkpoint" : ""))
            for index in members.indices where members[index].isAlive { stop(index, within: .zero) }
        default:
            for index in members.indices where members[index].isAlive {
                guard members[index].isOwn else {
                    over(index)
                    continue
                }
                members[index].isStopping = true
                actions.append(.signal(members[index].replica, SIGKILL))
            }
        }
    }

    private var isTraining: Bool { trainers.contains { !$0.isQuiet } }

    /// Ends the run as failed, unless it is ending already: the first failure is the cause.
    mutating func fail(_ message: String) {
        if case .failed = ending { return log(.warning, "then \(message)") }
        log(.error, message)
        let wasEnding = ending != nil
        ending = .failed(message)
        guard wasEnding else { return beginEnding(.failed(message)) }
        // What compute's last checkpoint needs may be gone: no point in long patience.
        for index in members.indices {
            members[index].terminateAt = members[index].terminateAt.map { min($0, now + timing.stop) }
        }
    }

    mutating func beginEnding(_ ending: Ending) {
        self.ending = ending
        phase = .stopping
        if isEvaluating { actions.append(.cancelEvaluation) }
        rollback = nil
        for index in members.indices {
            switch members[index].life {
            case .waiting, .held: over(index)
            case .idle, .spawning, .starting, .working, .gone: break
            }
        }
        var patience = timing.stop
        if case .asked = ending { patience = timing.computeStop }
        let ranks = members.indices.filter { members[$0].kind == .compute && members[$0].isAlive }
        for index in members.indices where members[index].isWorking && members[index].kind != .compute {
            tell(index, Command(.ending))
        }
        // Who works waits for one that now never comes: it hears of no stop, and has nothing to save.
        // Ranks that are taken over met before this supervisor was there.
        let isMeeting = ranks.contains { !members[$0].isWorking && !members[$0].isAdopted }
        for index in ranks {
            if isMeeting, members[index].isWorking {
                discard(index)
            } else {
                stop(index, within: patience)
            }
        }
    }

    mutating func over(_ index: Int) {
        members[index].forgetProcess()
        members[index].isOver = true
        members[index].hasLeft = members[index].isLeaving
    }

    /// Tells a process to end and when it will be made to. Who has no configuration yet has nothing to lose.
    mutating func stop(_ index: Int, within patience: Duration) {
        if !members[index].isOwn { return stopExternal(index, within: patience) }
        members[index].isStopping = true
        // One that is taken over has a configuration too, and is told when it says HELLO.
        if patience > .zero, members[index].isAdopted || members[index].isWorking && members[index].peer != nil {
            tell(index, Command(.stop))
            members[index].terminateAt = now + patience
        } else {
            actions.append(.signal(members[index].replica, SIGTERM))
            members[index].terminateAt = nil
            members[index].killAt = now + timing.kill
        }
    }
}
