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

    mutating func join(_ request: JoinRequest, _ peer: ControlPeer, _ incarnation: Incarnation) {
        guard let key = peer.key else {
            return send(.refused("joining takes a key; dial the address of 'supervisor.listen'"), to: peer)
        }
        if let index = hosts.firstIndex(where: { $0.incarnation == incarnation }) {
            guard hosts[index].key == key else {
                return send(.refused("another key's host has this name"), to: peer)
            }
            hosts[index].peer = peer
            return send(.joined(reply(to: hosts[index])), to: peer)
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
            log(.info, "\(request.host) joined with \(names)")
            actions.append(.runEvent(tag: "hosts", "\(request.host) joined with \(names)", step: newestStep))
            send(.joined(reply(to: hosts[hosts.count - 1])), to: peer)
        } catch {
            log(.warning, "refused \(request.host), which wants to join: \(error)")
            send(.refused("\(error)"), to: peer)
        }
    }

    /// The host wants to go: its workers hand back what they have not begun.
    mutating func leave(_ peer: ControlPeer, _ incarnation: Incarnation) {
        guard let index = hosts.firstIndex(where: { $0.incarnation == incarnation && $0.key == peer.key }) else {
            return
        }
        let isNews = !hosts[index].isLeaving
        hosts[index].isLeaving = true
        if isNews {
            log(.info, "\(hosts[index].host) leaves; its workers finish what they have begun")
            actions.append(.runEvent(tag: "hosts", "\(hosts[index].host) leaves", step: newestStep))
        }
        // Compute may need them for its last step; they are told to stop after it.
        guard ending == nil else { return }
        for replica in hosts[index].replicas {
            guard let member = self.index(of: replica), members[member].isWorking, members[member].peer != nil
            else { continue }
            members[member].isStopping = true
            tell(member, Command(.drain))
        }
        let replicas = hosts[index].replicas
        members.removeAll { !$0.isOwn && !$0.isWorking && replicas.contains($0.replica) }
    }

    /// Numbers for a host that is new.
    private func allot(_ request: JoinRequest, to key: CurveKey) throws -> [Replica] {
        let joinable = plan.trainingStages.filter(plan.topology.isJoinable).map(\.name)
        guard !request.stages.isEmpty else { throw UserError("no stage was offered") }
        return try request.stages.sorted { $0.key < $1.key }.flatMap { name, count in
            guard joinable.contains(name) else {
                throw UserError(
                    plan.settings(of: Replica(name, 1)) == nil
                        ? "this run has no stage '\(name)'\(suggestion(for: name, among: joinable))"
                        : "stage '\(name)' cannot be joined; miners can, and loaders that serve compute directly")
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
    func room(for key: CurveKey) -> Int {
        Self.mostReplicasPerKey - members.count { $0.key == key && !$0.hasLeft }
    }

    func canAdopt(_ replica: Replica) -> Bool {
        replica.isExternal && plan.trainingStages.contains { $0.name == replica.stage && plan.topology.isJoinable($0) }
    }

    mutating func adopt(_ replica: Replica, key: CurveKey, host: String) {
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
    mutating func announceEnd() {
        guard isWindingUp, !hasAnnouncedEnd else { return }
        hasAnnouncedEnd = true
        for host in hosts { send(.joined(reply(to: host)), to: host.peer) }
    }

    /// The list of allowed keys was read again: what a key that is gone had in hand goes to others at once.
    mutating func keysAllowed(_ keys: Set<CurveKey>) {
        log(.info, "the keys that may join have changed; there are \(keys.count)")
        for index in members.indices
        where members[index].isOwn && members[index].isWorking && !members[index].kind.isWorker {
            tell(index, Command(.reloadKeys))
        }
        for index in members.indices where members[index].isWorking {
            if let key = members[index].key, !keys.contains(key) { lose(index, "has a revoked key") }
        }
        hosts.removeAll { !keys.contains($0.key) }
    }
}
