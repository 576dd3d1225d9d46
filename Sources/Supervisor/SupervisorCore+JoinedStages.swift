import Basics
import Configuration
import Foundation
import StageKit
import Wire

/// What stages on other hosts say, and what becomes of those that fall silent or are told to end.
extension SupervisorCore {
    /// A stage on another host says hello. One that no host asked for, started by an engine like Slurm, may come too,
    /// under a number that no other key has.
    mutating func externalHello(_ hello: Hello, _ peer: ControlPeer, _ key: CurveKey, _ incarnation: Incarnation) {
        func refuse(_ why: String) {
            log(.warning, "refused \(hello.replica) on \(hello.host): \(why)")
            send(.refused(why), to: peer)
        }
        guard !isWindingUp else { return refuse("the run is ending") }
        if index(of: hello.replica) == nil, canAdopt(hello.replica), room(for: key) > 0 {
            adopt(hello.replica, key: key, host: hello.host)
        }
        guard let index = index(of: hello.replica), members[index].key == key else {
            return refuse("\(hello.replica) is not this key's to run")
        }
        guard members[index].kind == hello.kind else {
            return refuse("\(hello.replica) is of kind \(members[index].kind.rawValue), not \(hello.kind.rawValue)")
        }
        let configuration: StageConfiguration
        do {
            guard let planned = try plan.configuration(for: hello.replica, at: .otherHost) else {
                return refuse("the topology has no stage of this name")
            }
            configuration = planned
        } catch {
            return refuse("\(error)")
        }
        if let known = fingerprints[hello.stage] {
            // Whatever comes from afar must not end the run: it is merely not let in.
            if let difference = difference(of: hello.fingerprint, from: known),
                members[index].incarnation != incarnation
            {
                guard plan.recipe.determinism == .relaxed else {
                    return refuse("it would compute other bits than this run: \(difference)")
                }
                log(.warning, "\(hello.replica) computes other bits than this run: \(difference)")
            }
        } else if !ownIndices(of: hello.stage, .first).isEmpty {
            // The run's own say first what all must compute: else one from afar could shut them out. It says hello again.
            return send(.heartbeat, to: peer)
        } else {
            fingerprints[hello.stage] = hello.fingerprint
            actions.append(.journal(.fingerprint(stage: hello.stage, hello.fingerprint)))
        }
        if members[index].incarnation != incarnation {
            if members[index].incarnation != nil { members[index].restarts += 1 }
            members[index].forgetProcess()
            members[index].heartbeat = Heartbeat(state: .preparing)
            members[index].configuredAt = now
        }
        members[index].peer = peer
        members[index].incarnation = incarnation
        members[index].pid = hello.pid
        members[index].host = hello.host
        members[index].lastHeard = now
        members[index].isOver = false
        members[index].isLost = false
        members[index].hasLeft = false
        members[index].life = .working
        send(.configuration(configuration), to: peer)
    }

    /// What a stage of another host says that is no hello.
    ///
    /// - Returns: false where it is a stage that we know and that is heard as any other.
    mutating func externalHeard(_ message: ControlInbound, _ peer: ControlPeer, _ incarnation: Incarnation) -> Bool {
        guard let index = index(of: peer, incarnation) else {
            // A supervisor that was restarted: our own incarnation, which is new to the stage, makes it say hello.
            if case .heartbeat = message { send(.heartbeat, to: peer) }
            return true
        }
        if members[index].isLost, !isWindingUp {
            members[index].isLost = false
            members[index].hasLeft = false
            members[index].life = .working
            log(.info, "\(members[index].replica) on \(members[index].host ?? "?") is back")
        }
        // Lost when the others were told to stop.
        if members[index].isLost { tell(index, Command(.stop)) }
        // Checkpoints, skipped samples and the end of training are compute's to tell.
        if case .event(let event) = message, event.kind != .failed, event.kind != .note { return true }
        guard case .bye(let bye) = message else { return false }
        reportLoss(of: members[index], expected: bye.reason != .failed)
        let replica = members[index].replica
        if bye.reason == .failed {
            let why = members[index].failure.map { ": \($0)" } ?? ""
            log(.warning, "\(replica) on \(members[index].host ?? "?") failed\(why)")
        }
        members[index].forgetProcess()
        members[index].isOver = bye.reason != .failed
        // Who has left in good order is no part of the run any more.
        if bye.reason != .failed, !isWindingUp { members.remove(at: index) }
        return true
    }

    /// It is cut off, or its host is gone: others get its tickets, and none is to blame. Its number stays its own.
    mutating func lose(_ index: Int, _ why: String) {
        let member = members[index]
        log(.warning, "\(member.replica) on \(member.host ?? "?") \(why); others get its work, and it may come back")
        reportLoss(of: member, expected: true)
        members[index].life = .idle
        members[index].isLost = true
        members[index].terminateAt = nil
        // Its last speeds are nobody's now.
        members[index].rates = MetricRates()
    }

    mutating func tickExternal(_ index: Int) {
        guard members[index].isWorking else { return }
        if let at = members[index].terminateAt, now >= at {
            log(.warning, "\(members[index].replica) did not stop in time; going on without it")
            return over(index)
        }
        guard now - members[index].lastHeard >= silence(of: members[index]) else { return }
        if members[index].isStopping { return over(index) }
        lose(index, "was silent for \(silence(of: members[index]).text): taken for cut off")
    }

    /// Asks it to end; nobody here can make it.
    mutating func stopExternal(_ index: Int, within patience: Duration) {
        tell(index, Command(.stop))
        guard patience > .zero else { return over(index) }
        members[index].isStopping = true
        members[index].terminateAt = now + patience
    }
}
