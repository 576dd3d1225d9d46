import Configuration
import Foundation
import StageKit
import Wire

/// What stages and clients say.
extension SupervisorCore {
    mutating func receive(_ message: ControlInbound, _ peer: ControlPeer, _ incarnation: Incarnation) {
        // A key admits work, not orders.
        if let key = peer.key {
            switch message {
            case .stopRequest, .keysChanged, .scaleRequest, .swapRequest:
                return send(.refused("this is for the run's own host to ask"), to: peer)
            case .hello(let hello): return externalHello(hello, peer, key, incarnation)
            case .heartbeat, .event, .bye:
                if externalHeard(message, peer, incarnation) { return }
            case .statusRequest, .join, .leave: break
            }
        }
        switch message {
        case .join(let request): return join(request, peer, incarnation)
        case .leave: return leave(peer, incarnation)
        case .keysChanged: return actions.append(.reloadKeys(for: peer))
        case .statusRequest: return send(.reply(answer()), to: peer)
        case .stopRequest:
            log(.info, "asked to stop by 'picoflow stop'")
            if ending == nil { beginEnding(.asked) }
            return send(.reply(answer()), to: peer)
        case .scaleRequest(let request): return scale(request, peer)
        case .swapRequest(let request): return swap(request, peer)
        case .hello(let hello): return self.hello(hello, peer, incarnation)
        case .heartbeat, .event, .bye: break
        }
        guard let index = index(of: peer, incarnation) else {
            // Its next message will be HELLO, as it hears from another supervisor than before.
            if isTakingOver { return send(.heartbeat, to: peer) }
            // A process of an earlier start that outlived it.
            return send(.refused("this run goes on without you"), to: peer)
        }
        members[index].lastHeard = now
        switch message {
        case .heartbeat(let heartbeat):
            members[index].heartbeat = heartbeat
            members[index].rates.note(heartbeat.metrics, now: now)
            if members[index].kind == .compute {
                if let step = heartbeat.step {
                    metrics = step
                    noteProgress(step.step)
                }
                releasePassed()
                autoscale()
            }
            send(.heartbeat, to: peer)
        case .event(let event): self.event(event, index)
        case .bye(let bye): members[index].bye = bye.reason
        case .hello, .statusRequest, .stopRequest, .scaleRequest, .swapRequest, .keysChanged, .join, .leave: break
        }
    }

    mutating func hello(_ hello: Hello, _ peer: ControlPeer, _ incarnation: Incarnation) {
        guard let index = index(of: hello.replica), members[index].isOwn, members[index].isAlive,
            members[index].kind == hello.kind,
            // A third-party command may start its stage through a shell.
            members[index].pid == hello.pid || settings(of: hello.replica)?.exec != nil
        else {
            noteRefusal(of: hello)
            return send(.refused("this run has not started you"), to: peer)
        }
        members[index].lastHeard = now
        if !hello.kind.isWorker, let epoch = hello.epoch, epoch != plan.epoch {
            // What it holds is not this epoch's, and it takes no other configuration.
            send(.refused("epoch \(epoch) is over"), to: peer)
            return kill(index, "it was still in epoch \(epoch)")
        }
        guard members[index].incarnation == nil || members[index].incarnation == incarnation,
            let configuration = try? configuration(of: index)
        else { return send(.refused("another process has this name"), to: peer) }
        if let known = fingerprint(of: members[index]) {
            if let difference = difference(of: hello.fingerprint, from: known) {
                let message = "\(hello.replica) would compute other bits than this run: \(difference)"
                guard plan.recipe.determinism == .relaxed else {
                    send(.refused(message), to: peer)
                    // Of a swap that another of its workers has ended already.
                    guard !members[index].isLeaving else { return }
                    let why = "\(message); 'determinism: relaxed' in the recipe lets it in"
                    if hasCancelledSwap(of: members[index], why) || hasGivenUpEvaluation(of: members[index], why) {
                        return
                    }
                    // A host that joined a run of joined workers alone came first.
                    let others = others(with: members[index]) { $0.isWorking }
                    guard hello.kind.isWorker, others > 0 else { return fail(why) }
                    members[index].isOver = true
                    stop(index, within: .zero)
                    return goOnWithout(why, others)
                }
                if members[index].incarnation == nil { log(.warning, message) }
            }
        } else {
            actions.append(.journal(keep(hello.fingerprint, of: members[index])))
        }
        let isNew = members[index].incarnation == nil
        members[index].peer = peer
        members[index].incarnation = incarnation
        members[index].host = hello.host
        if isNew {
            members[index].life = .working
            members[index].configuredAt = now
            members[index].progressBefore = progress(of: hello.kind)
            members[index].heartbeat = Heartbeat(state: .preparing)
            if hello.kind == .compute, phase == .starting { phase = .training }
        }
        send(.configuration(configuration), to: peer)
        // Nobody could tell whom the supervisor before this one started that the list of keys had changed since.
        if isNew, members[index].isAdopted, plan.keys != nil, !hello.kind.isWorker { tell(index, Command(.reloadKeys)) }
        if isNew, hello.kind == .compute { computeJoined(index) }
        if members[index].isStopping { tell(index, Command(members[index].isLeaving ? .drain : .stop)) }
    }

    mutating func event(_ event: StageEvent, _ index: Int) {
        let replica = members[index].replica
        switch event.kind {
        case .failed:
            members[index].failure = event.message
            members[index].report = event
        case .finished:
            guard members[index].kind == .compute else { return }
            members[index].hasFinished = true
            // Ranks beyond the first tell no checkpoint.
            if let path = event.path { finished = (event.step, path) }
            note(event)
        case .checkpoint:
            note(event)
            log(.info, "\(replica): \(event.message)")
            warnOfBacklog()
        case .checkpointFailed: log(.warning, "\(replica): \(event.message)")
        case .sampleSkipped:
            if let position = event.position, members[index].kind == .compute {
                guard !plan.skipped.contains(position) else { return }
                plan.skipped.append(position)
            }
            // What loaders died of is out of the way.
            for other in members.indices where members[other].kind == .loader { members[other].failures = 0 }
            actions.append(.journal(.sampleSkipped(event.message, step: event.step, position: event.position)))
            log(.warning, "\(replica): \(event.message)")
            actions.append(.runEvent(tag: "skipped samples", event.message, step: event.step ?? newestStep))
        case .swapPlanned:
            if members[index].kind == .compute, let swap = event.swap { swapPlanned(swap, index) }
        case .swapRefused:
            if event.swap?.generation == pendingSwap?.proposal.generation { cancelSwap(event.message) }
        case .note: log(.warning, "\(replica): \(event.message)")
        }
    }

    mutating func note(_ event: StageEvent) {
        guard let step = event.step, let path = event.path else { return }
        checkpoint = Checkpoint(step: step, path: path)
        noteDue(Checkpoint(step: step, path: path))
        noteProgress(step)
    }
}
