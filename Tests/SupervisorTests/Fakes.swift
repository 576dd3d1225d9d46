import Configuration
import Foundation
import StageKit
import TestSupport
import Wire

@testable import Supervisor

/// A core with a manual clock and stages that say what the test tells them to.
final class FakeRun {
    var core: SupervisorCore
    var clock = ManualClock()
    /// All actions so far.
    var actions: [SupervisorAction] = []
    private var nextPid: Int32 = 100
    private(set) var pids: [Replica: Int32] = [:]
    /// What the run's folder holds when a new epoch begins.
    var newest: Checkpoint?

    init(
        hasEvaluation: Bool = false, goal: LaunchPlan.Goal = .train, loaders: Int = 2,
        determinism: Determinism = .strict, fingerprints: [String: Fingerprint] = [:]
    ) throws {
        core = SupervisorCore(
            plan: try FakeRun.plan(goal: goal, loaders: loaders, determinism: determinism, fingerprints: fingerprints),
            hasEvaluation: hasEvaluation)
    }

    init(plan: LaunchPlan) { core = SupervisorCore(plan: plan, hasEvaluation: false) }

    static func plan(
        goal: LaunchPlan.Goal = .train, loaders: Int = 2, determinism: Determinism = .strict,
        fingerprints: [String: Fingerprint] = [:], directory: String = "/runs/fake"
    ) throws -> LaunchPlan {
        var recipe = Recipe()
        recipe.determinism = determinism
        recipe.dataset.root = "/data"
        recipe.schedule.iterations = 10
        recipe.schedule.batch = 4
        return LaunchPlan(
            recipe: recipe, dataset: dataset, topology: topology(loaders: loaders), goal: goal, runDirectory: directory,
            epoch: Epoch(1),
            addresses: LinkAddresses(folder: "/tmp/none"), fingerprints: fingerprints)
    }

    /// Puts a third-party stage between loaders and compute.
    func insertCutout() {
        var plan = core.plan
        var cutout = StageSettings()
        (cutout.name, cutout.samples, cutout.exec, cutout.threads) = ("cutout", "loader", ["cutout"], 1)
        plan.topology.stages.append(cutout)
        let compute = plan.topology.stages.firstIndex { $0.kind == .compute }!
        plan.topology.stages[compute].samples = "cutout"
        core = SupervisorCore(plan: plan, hasEvaluation: false)
    }

    static let dataset = DatasetSummary(classes: ["a", "b"], palette: [[0, 0, 0], [1, 1, 1]], images: 3)

    static func topology(loaders: Int) -> Topology {
        var topology = Topology()
        for (kind, count) in [(StageKind.loader, loaders), (.compute, 1), (.bank, 1), (.miner, 1), (.evaluator, 1)] {
            var stage = StageSettings()
            stage.name = kind.rawValue
            stage.kind = kind
            stage.replicas = count
            stage.threads = 1
            if kind == .compute { (stage.samples, stage.mining) = ("loader", "miner") }
            if kind == .compute || kind == .miner { stage.memory = "bank" }
            topology.stages.append(stage)
        }
        return topology
    }

    /// A run over another plan.
    init(_ plan: LaunchPlan, hasEvaluation: Bool = false) {
        core = SupervisorCore(plan: plan, hasEvaluation: hasEvaluation)
    }

    /// Handles an event; processes start at once, and hello at once where `answering`.
    @discardableResult
    func handle(_ event: SupervisorEvent, answering: Bool = true) -> [SupervisorAction] {
        let new = core.handle(event, now: clock.now)
        actions += new
        var all = new
        for case .spawn(let replica) in new {
            nextPid += 1
            pids[replica] = nextPid
            all += handle(.spawned(replica, pid: nextPid), answering: answering)
            if answering { all += hello(replica) }
        }
        for case .beginEpoch in new {
            let next = Epoch(core.plan.epoch.rawValue + 1)
            all += handle(.epochBegun(next, from: newest), answering: answering)
        }
        return all
    }

    /// Makes these the processes of a supervisor that died, and this run the one that takes them over.
    @discardableResult
    func takeOver(_ replicas: [Replica]) -> [SupervisorAction] {
        for replica in replicas {
            nextPid += 1
            pids[replica] = nextPid
        }
        return handle(.takeOver(replicas.map { Survivor($0, pid: pids[$0]!) }))
    }

    @discardableResult
    func hello(
        _ replica: Replica, kind: StageKind? = nil,
        fingerprint: Fingerprint = Fingerprint(versions: [:], hash: "same"), epoch: Epoch? = nil
    ) -> [SupervisorAction] {
        let kind = kind ?? StageKind(rawValue: replica.stage)!
        let hello = Hello(
            stage: replica.stage, id: replica.id, kind: kind, pid: pids[replica] ?? 0, host: "here",
            fingerprint: fingerprint, epoch: epoch)
        return handle(.message(.hello(hello), from: peer(replica), incarnation: incarnation(replica)))
    }

    @discardableResult
    func say(_ message: ControlInbound, as replica: Replica) -> [SupervisorAction] {
        handle(.message(message, from: peer(replica), incarnation: incarnation(replica)))
    }

    @discardableResult
    func exit(_ replica: Replica, _ end: ProcessEnd, line: String? = nil) -> [SupervisorAction] {
        handle(.exited(replica, pid: pids[replica]!, end, lastLine: line))
    }

    /// Time passes in steps of a second, during which everybody but `silent` lives on.
    @discardableResult
    func pass(_ seconds: Int, silent: Set<Replica> = []) -> [SupervisorAction] {
        var all: [SupervisorAction] = []
        for _ in 0..<seconds {
            clock.advance(.seconds(1))
            for member in core.members where member.isWorking && !silent.contains(member.replica) {
                all += say(.heartbeat(Heartbeat(state: .running)), as: member.replica)
            }
            all += handle(.tick)
        }
        return all
    }

    /// Each process has its own routing id and incarnation.
    func peer(_ replica: Replica) -> ControlPeer { ControlPeer(Data("\(replica)/\(pids[replica] ?? 0)".utf8)) }
    func incarnation(_ replica: Replica) -> Incarnation { Incarnation(rawValue: "\(pids[replica] ?? 0)") }
}

extension Replica {
    static let compute = Replica("compute", 1)
    static let bank = Replica("bank", 1)
    static let miner = Replica("miner", 1)
    static let cutout = Replica("cutout", 1)
    static let evaluator = Replica("evaluator", 1)
    static func loader(_ id: Int) -> Replica { Replica("loader", id) }
}

extension [SupervisorAction] {
    var spawned: [Replica] { compactMap { if case .spawn(let replica) = $0 { replica } else { nil } } }
    var outcome: RunOutcome? { compactMap { if case .end(let outcome) = $0 { outcome } else { nil } }.last }
    var signals: [String] {
        compactMap { if case .signal(let replica, let number) = $0 { "\(replica) \(number)" } else { nil } }
    }
    var journalled: [JournalEntry] { compactMap { if case .journal(let entry) = $0 { entry } else { nil } } }
    func refusal(to peer: ControlPeer) -> String? {
        compactMap { if case .send(.refused(let why), to: peer) = $0 { why } else { nil } }.last
    }
    func reply(to peer: ControlPeer) -> StatusReport? {
        compactMap { if case .send(.reply(let report), to: peer) = $0 { report } else { nil } }.last
    }
    func commands(to peer: ControlPeer) -> [Command] {
        compactMap { if case .send(.command(let command), to: peer) = $0 { command } else { nil } }
    }
    /// Epoch and checkpoint that a replica was configured with, the newest.
    func configuration(of peer: ControlPeer) -> StageConfiguration? {
        compactMap { if case .send(.configuration(let configuration), to: peer) = $0 { configuration } else { nil } }
            .last
    }
    var failure: String? { if case .failed(let message) = outcome { message } else { nil } }
    var logged: String { compactMap { if case .log(_, let text) = $0 { text } else { nil } }.joined(separator: "\n") }
}
