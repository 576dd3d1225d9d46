import Basics
import Configuration
import Foundation
import StageKit
import Wire

/// A host that joined: one `picoflow join` and what it was allotted.
struct JoinedHost: Sendable {
    let incarnation: Incarnation
    let key: CurveKey
    var peer: ControlPeer
    var host: String
    var replicas: [Replica]
    var isLeaving = false
}

/// Stages on other hosts. The supervisor allots their numbers and configures them, but starts and ends no process
/// there: the host's `picoflow join` does. Whoever falls silent is taken for cut off, not for hung: its work goes to
/// others, no ticket is blamed, and it may come back.
extension SupervisorCore {
    /// Several hosts may share a key; more is a typing error, or somebody who fills the supervisor's memory.
    static let mostReplicasPerKey = 4096

    /// No more work: whoever joins now comes too late.
    var isWindingUp: Bool { ending != nil || ![.starting, .training].contains(phase) || plan.goal != .train }

    // MARK: Hosts

    mutating func join(
        _ request: JoinRequest, _ peer: ControlPeer, _ incarnation: Incarnation, _ actions: inout [SupervisorAction]
    ) {
        guard let key = peer.key else {
            return actions.append(
                .send(.refused("joining takes a key; dial the address of 'supervisor.listen'"), to: peer))
        }
        if let index = hosts.firstIndex(where: { $0.incarnation == incarnation }) {
            guard hosts[index].key == key else {
                return actions.append(.send(.refused("another key's host has this name"), to: peer))
            }
            hosts[index].peer = peer
            return actions.append(.send(.joined(reply(to: hosts[index])), to: peer))
        }
        do {
            guard !isWindingUp else { throw UserError("the run is ending") }
            let replicas = try request.replicas.isEmpty ? allot(request, to: key) : readopt(request.replicas, by: key)
            // A supervisor after this one must give them to nobody else.
            for stage in Set(replicas.map(\.stage)).sorted() {
                let last = replicas.reduce(0) { $1.stage == stage ? max($0, $1.id) : $0 }
                guard last > plan.allotted[stage] ?? 0 else { continue }
                plan.allotted[stage] = last
                actions.append(.journal(.allotted(stage: stage, last: last)))
            }
            // What it ran before it was started anew; should that come back after all, it is in again.
            for index in members.indices
            where members[index].isLost && members[index].key == key && members[index].host == request.host {
                members[index].hasLeft = !replicas.contains(members[index].replica)
            }
            for replica in replicas where index(of: replica) == nil { adopt(replica, key: key, host: request.host) }
            hosts.append(
                JoinedHost(
                    incarnation: incarnation, key: key, peer: peer, host: request.host, replicas: replicas))
            let names = replicas.map(\.description).joined(separator: ", ")
            actions.append(.log(.info, "\(request.host) joined with \(names)"))
            actions.append(.runEvent(tag: "hosts", "\(request.host) joined with \(names)", step: newestStep))
            actions.append(.send(.joined(reply(to: hosts[hosts.count - 1])), to: peer))
        } catch {
            actions.append(.log(.warning, "refused \(request.host), which wants to join: \(error)"))
            actions.append(.send(.refused("\(error)"), to: peer))
        }
    }

    /// The host wants to go: its workers hand back what they have not begun.
    mutating func leave(_ peer: ControlPeer, _ incarnation: Incarnation, _ actions: inout [SupervisorAction]) {
        guard let index = hosts.firstIndex(where: { $0.incarnation == incarnation && $0.key == peer.key }) else {
            return
        }
        let isNews = !hosts[index].isLeaving
        hosts[index].isLeaving = true
        if isNews {
            actions.append(.log(.info, "\(hosts[index].host) leaves; its workers finish what they have begun"))
            actions.append(.runEvent(tag: "hosts", "\(hosts[index].host) leaves", step: newestStep))
        }
        for replica in hosts[index].replicas {
            guard let member = self.index(of: replica), members[member].isWorking, let stage = members[member].peer
            else { continue }
            members[member].isStopping = true
            actions.append(.send(.command(Command(.drain)), to: stage))
        }
        let replicas = hosts[index].replicas
        members.removeAll { $0.key != nil && !$0.isWorking && replicas.contains($0.replica) }
    }

    /// Numbers for a host that is new.
    private func allot(_ request: JoinRequest, to key: CurveKey) throws -> [Replica] {
        let joinable = plan.trainingStages.filter(\.isJoinable).map(\.name)
        guard !request.stages.isEmpty else { throw UserError("no stage was offered") }
        return try request.stages.sorted { $0.key < $1.key }.flatMap { name, count in
            guard joinable.contains(name) else {
                throw UserError(
                    plan.settings(of: Replica(name, 1)) == nil
                        ? "this run has no stage '\(name)'\(suggestion(for: name, among: joinable))"
                        : "stage '\(name)' cannot be joined; loaders and miners can")
            }
            guard count >= 1, count <= room(for: key) else {
                throw UserError("\(count) replicas of '\(name)'; 1 to \(room(for: key)) are possible with this key")
            }
            let taken = members.filter { $0.replica.stage == name }.map(\.replica.id).max() ?? 0
            let first = max(taken, plan.allotted[name] ?? 0, Replica.firstExternalID - 1) + 1
            return (first..<first + count).map { Replica(name, $0) }
        }
    }

    /// What a host was allotted by an earlier supervisor of the run.
    private func readopt(_ replicas: [Replica], by key: CurveKey) throws -> [Replica] {
        for replica in replicas {
            guard canAdopt(replica), index(of: replica).map({ members[$0].key == key }) ?? true else {
                throw UserError("\(replica) is not this host's to run")
            }
        }
        return replicas
    }

    /// How many more replicas a key may have.
    private func room(for key: CurveKey) -> Int {
        Self.mostReplicasPerKey - members.count { $0.key == key && !$0.hasLeft }
    }

    private func canAdopt(_ replica: Replica) -> Bool {
        replica.isExternal && plan.trainingStages.contains { $0.name == replica.stage && $0.isJoinable }
    }

    private mutating func adopt(_ replica: Replica, key: CurveKey, host: String) {
        guard let settings = plan.settings(of: replica) else { return }
        var member = Member(replica: replica, kind: settings.kind)
        member.key = key
        member.host = host
        members.append(member)
    }

    private func reply(to host: JoinedHost) -> JoinReply {
        let names = Set(host.replicas.map(\.stage))
        return JoinReply(
            replicas: host.replicas, stages: plan.trainingStages.filter { names.contains($0.name) },
            supervisor: plan.topology.supervisor, dataset: plan.recipe.dataset.absolutePaths(), summary: plan.dataset,
            isEnding: isWindingUp || host.isLeaving)
    }

    /// Tells the hosts, once, that nothing is to be started again.
    mutating func announceEnd(_ actions: inout [SupervisorAction]) {
        guard isWindingUp, !hasAnnouncedEnd else { return }
        hasAnnouncedEnd = true
        for host in hosts { actions.append(.send(.joined(reply(to: host)), to: host.peer)) }
    }

    // MARK: Their stages

    /// A stage on another host says hello. One that no host asked for, started by an engine like Slurm, may come too,
    /// under a number that no other key has.
    mutating func externalHello(
        _ hello: Hello, _ peer: ControlPeer, _ key: CurveKey, _ incarnation: Incarnation, _ now: Duration,
        _ actions: inout [SupervisorAction]
    ) {
        func refuse(_ why: String) {
            actions.append(.log(.warning, "refused \(hello.replica) on \(hello.host): \(why)"))
            actions.append(.send(.refused(why), to: peer))
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
                actions.append(.log(.warning, "\(hello.replica) computes other bits than this run: \(difference)"))
            }
        } else if members.contains(where: {
            $0.replica.stage == hello.stage && $0.generation == .first && $0.key == nil && $0.isWanted
        }) {
            // The run's own say first what all must compute: else one from afar could shut them out. It says hello again.
            return actions.append(.send(.heartbeat, to: peer))
        } else {
            fingerprints[hello.stage] = hello.fingerprint
            actions.append(.journal(.fingerprint(stage: hello.stage, hello.fingerprint)))
        }
        if members[index].incarnation != incarnation {
            if members[index].incarnation != nil { members[index].restarts += 1 }
            let host = members[index].host
            members[index].forgetProcess()
            members[index].host = host
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
        actions.append(.send(.configuration(configuration), to: peer))
    }

    /// What a stage of another host says that is no hello.
    ///
    /// - Returns: false where it is a stage that we know and that is heard as any other.
    mutating func externalHeard(
        _ message: ControlInbound, _ peer: ControlPeer, _ incarnation: Incarnation, _ now: Duration,
        _ actions: inout [SupervisorAction]
    ) -> Bool {
        guard let index = members.firstIndex(where: { $0.peer == peer && $0.incarnation == incarnation }) else {
            // A supervisor that was restarted: our own incarnation, which is new to the stage, makes it say hello.
            if case .heartbeat = message { actions.append(.send(.heartbeat, to: peer)) }
            return true
        }
        if members[index].isLost, !isWindingUp {
            members[index].isLost = false
            members[index].hasLeft = false
            members[index].life = .working
            actions.append(.log(.info, "\(members[index].replica) on \(members[index].host ?? "?") is back"))
        }
        // Lost when the others were told to stop.
        if members[index].isLost { actions.append(.send(.command(Command(.stop)), to: peer)) }
        // Checkpoints, skipped samples and the end of training are compute's to tell.
        if case .event(let event) = message, event.kind != .failed, event.kind != .note { return true }
        guard case .bye(let bye) = message else { return false }
        reportLoss(of: members[index], expected: bye.reason != .failed, &actions)
        let replica = members[index].replica
        if bye.reason == .failed {
            let why = members[index].failure.map { ": \($0)" } ?? ""
            actions.append(.log(.warning, "\(replica) on \(members[index].host ?? "?") failed\(why)"))
        }
        members[index].forgetProcess()
        members[index].isOver = bye.reason != .failed
        // Who has left in good order is no part of the run any more.
        if bye.reason != .failed, !isWindingUp { members.remove(at: index) }
        return true
    }

    /// It is cut off, or its host is gone: others get its tickets, and none is to blame. Its number stays its own.
    mutating func lose(_ index: Int, _ why: String, _ actions: inout [SupervisorAction]) {
        let member = members[index]
        actions.append(
            .log(
                .warning, "\(member.replica) on \(member.host ?? "?") \(why); others get its work, and it may come back"
            ))
        reportLoss(of: member, expected: true, &actions)
        members[index].life = .idle
        members[index].isLost = true
        members[index].terminateAt = nil
        // Its last speeds are nobody's now.
        members[index].rates = MetricRates()
        members[index].heartbeat.metrics = [:]
    }

    mutating func tickExternal(_ index: Int, _ now: Duration, _ actions: inout [SupervisorAction]) {
        guard members[index].isWorking else { return }
        if let at = members[index].terminateAt, now >= at {
            actions.append(.log(.warning, "\(members[index].replica) did not stop in time; going on without it"))
            return over(index)
        }
        guard now - members[index].lastHeard >= silence(of: members[index]) else { return }
        if members[index].isStopping { return over(index) }
        lose(index, "was silent for \(silence(of: members[index]).text): taken for cut off", &actions)
    }

    /// Asks it to end; nobody here can make it.
    mutating func stopExternal(
        _ index: Int, within patience: Duration, _ now: Duration, _ actions: inout [SupervisorAction]
    ) {
        if let peer = members[index].peer { actions.append(.send(.command(Command(.stop)), to: peer)) }
        guard patience > .zero else { return over(index) }
        members[index].isStopping = true
        members[index].terminateAt = now + patience
    }

    // MARK: Keys

    /// The list of allowed keys was read again: what a key that is gone had in hand goes to others at once.
    mutating func keysAllowed(_ keys: Set<CurveKey>, _ actions: inout [SupervisorAction]) {
        actions.append(.log(.info, "the keys that may join have changed; there are \(keys.count)"))
        for member in members where member.key == nil && member.isWorking && !member.kind.isWorker {
            if let peer = member.peer { actions.append(.send(.command(Command(.reloadKeys)), to: peer)) }
        }
        for index in members.indices where members[index].isWorking {
            if let key = members[index].key, !keys.contains(key) { lose(index, "has a revoked key", &actions) }
        }
        hosts.removeAll { !keys.contains($0.key) }
    }
}
