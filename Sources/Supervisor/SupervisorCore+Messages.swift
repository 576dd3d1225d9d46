import Configuration
import Foundation
import StageKit
import Wire

/// What stages and clients say.
extension SupervisorCore {
    mutating func receive(
        _ message: ControlInbound, _ peer: ControlPeer, _ incarnation: Incarnation, _ now: Duration,
        _ actions: inout [SupervisorAction]
    ) {
        switch message {
        case .statusRequest: return actions.append(.send(.reply(report()), to: peer))
        case .stopRequest:
            actions.append(.log(.info, "asked to stop by 'picoflow stop'"))
            if ending == nil { beginEnding(.asked, now, &actions) }
            return actions.append(.send(.reply(report()), to: peer))
        case .hello(let hello): return self.hello(hello, peer, incarnation, now, &actions)
        case .heartbeat, .event, .bye: break
        }
        guard let index = members.firstIndex(where: { $0.peer == peer && $0.incarnation == incarnation }) else {
            // A process of an earlier start that outlived it.
            return actions.append(.send(.refused("this run goes on without you"), to: peer))
        }
        members[index].lastHeard = now
        switch message {
        case .heartbeat(let heartbeat):
            members[index].heartbeat = heartbeat
            if members[index].kind == .compute, let step = heartbeat.step { metrics = step }
            actions.append(.send(.heartbeat, to: peer))
        case .event(let event): self.event(event, index, &actions)
        case .bye(let bye): members[index].bye = bye.reason
        case .hello, .statusRequest, .stopRequest: break
        }
    }

    mutating func hello(
        _ hello: Hello, _ peer: ControlPeer, _ incarnation: Incarnation, _ now: Duration,
        _ actions: inout [SupervisorAction]
    ) {
        guard let index = index(of: hello.replica), members[index].isAlive, members[index].kind == hello.kind,
            // A third-party command may start its stage through a shell.
            members[index].pid == hello.pid || plan.settings(of: hello.replica)?.exec != nil
        else {
            actions.append(
                .log(
                    .warning,
                    "refused \(hello.replica), process \(hello.pid) on \(hello.host): it was not started by this run"))
            return actions.append(.send(.refused("this run has not started you"), to: peer))
        }
        members[index].lastHeard = now
        guard members[index].incarnation == nil || members[index].incarnation == incarnation,
            let configuration = try? plan.configuration(for: hello.replica)
        else { return actions.append(.send(.refused("another process has this name"), to: peer)) }
        if let known = fingerprints[hello.kind] {
            if let difference = hello.fingerprint.difference(from: known) {
                let message = "\(hello.replica) would compute other bits than this run: \(difference)"
                guard plan.recipe.determinism == .relaxed else {
                    actions.append(.send(.refused(message), to: peer))
                    return fail("\(message); 'determinism: relaxed' in the recipe lets it in", now, &actions)
                }
                if members[index].incarnation == nil { actions.append(.log(.warning, message)) }
            }
        } else {
            fingerprints[hello.kind] = hello.fingerprint
            actions.append(.journal(.fingerprint(kind: hello.kind, hello.fingerprint)))
        }
        let isNew = members[index].incarnation == nil
        members[index].peer = peer
        members[index].incarnation = incarnation
        members[index].host = hello.host
        if isNew {
            members[index].life = .working
            members[index].configuredAt = now
            members[index].heartbeat = Heartbeat(state: .preparing)
            if hello.kind == .compute, phase == .starting { phase = .training }
        }
        actions.append(.send(.configuration(configuration), to: peer))
        if members[index].isStopping { actions.append(.send(.command(Command(.stop)), to: peer)) }
    }

    mutating func event(_ event: StageEvent, _ index: Int, _ actions: inout [SupervisorAction]) {
        let replica = members[index].replica
        switch event.kind {
        case .failed: members[index].failure = event.message
        case .finished:
            guard members[index].kind == .compute else { return }
            members[index].hasFinished = true
            // Ranks beyond the first tell no checkpoint.
            if let path = event.path { finished = (event.step, path) }
            note(event)
        case .checkpoint:
            note(event)
            actions.append(.log(.info, "\(replica): \(event.message)"))
        case .sampleSkipped:
            actions.append(.journal(.sampleSkipped(event.message, step: event.step)))
            actions.append(.log(.warning, "\(replica): \(event.message)"))
        case .note: actions.append(.log(.info, "\(replica): \(event.message)"))
        }
    }

    mutating func note(_ event: StageEvent) {
        guard let step = event.step, let path = event.path else { return }
        checkpoint = Checkpoint(step: step, path: path)
    }
}
