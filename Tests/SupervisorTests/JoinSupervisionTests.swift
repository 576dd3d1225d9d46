import Configuration
import Foundation
import StageKit
import TestSupport
import Testing
import Wire

@testable import Supervisor

/// The supervisor's side of joining, without sockets.
@Suite struct JoinSupervisionTests {
    private let key = try! CurveKeyPair.generate().publicKey
    private let other = try! CurveKeyPair.generate().publicKey
    private let first = Replica("loader", 1001)
    private let run: FakeRun

    init() throws {
        var plan = try FakeRun.plan()
        plan.topology = try Topology.resolve(
            yaml: """
                stages:
                  loader: {replicas: 2, threads: 1}
                  compute: {samples: loader, mining: miner, memory: bank, threads: 1}
                  bank: {threads: 1}
                  miner: {memory: bank, threads: 1}
                supervisor: {listen: "tcp://*:5810"}
                """, path: "t.yaml")
        plan.addresses = LinkAddresses(folder: "/tmp/none", listen: try Endpoint("tcp://*:5810"))
        run = try FakeRun()
        run.core = SupervisorCore(plan: plan, hasEvaluation: false)
        run.handle(.start)
    }

    private func host(_ name: String = "h", key: CurveKey? = nil) -> ControlPeer {
        ControlPeer(Data(name.utf8), key: key ?? self.key)
    }

    @discardableResult
    private func join(
        _ stages: [String: Int], as name: String = "h", key: CurveKey? = nil, replicas: [Replica] = []
    ) -> [SupervisorAction] {
        run.handle(
            .message(
                .join(JoinRequest(host: name, stages: stages, replicas: replicas)), from: host(name, key: key),
                incarnation: Incarnation(rawValue: name)))
    }

    private func stage(_ replica: Replica, _ start: Int = 1, key: CurveKey? = nil) -> ControlPeer {
        ControlPeer(Data("\(replica)/\(start)".utf8), key: key ?? self.key)
    }

    @discardableResult
    private func say(
        _ message: ControlInbound, as replica: Replica, _ start: Int = 1, key: CurveKey? = nil
    ) -> [SupervisorAction] {
        run.handle(
            .message(message, from: stage(replica, start, key: key), incarnation: Incarnation(rawValue: "\(start)")))
    }

    @discardableResult
    private func hello(
        _ replica: Replica, _ start: Int = 1, key: CurveKey? = nil, hash: String = "same", kind: StageKind = .loader
    ) -> [SupervisorAction] {
        let hello = Hello(
            stage: replica.stage, id: replica.id, kind: kind, pid: 7, host: "gpu2",
            fingerprint: Fingerprint(versions: [:], hash: hash))
        return say(.hello(hello), as: replica, start, key: key)
    }

    private func state(_ replica: Replica) -> StageState? {
        run.core.report().stages.first { $0.stage == replica.stage && $0.id == replica.id }?.state
    }

    @Test func aHostIsAllottedNumbersOfItsOwn() throws {
        let answer = join(["miner": 1, "loader": 2])
        guard case .send(.joined(let reply), to: host())? = answer.last else {
            return #expect(Bool(false), "\(answer)")
        }
        #expect(reply.replicas == [first, Replica("loader", 1002), Replica("miner", 1001)])
        #expect(reply.stages.map(\.name) == ["loader", "miner"] && !reply.isEnding)
        #expect(answer.spawned.isEmpty)
        // Asking again, its sign of life, allots nothing more.
        guard case .send(.joined(reply), to: host())? = join(["miner": 1, "loader": 2]).last else {
            return #expect(Bool(false))
        }
        guard case .send(.joined(let second), _)? = join(["loader": 1], as: "g").last else {
            return #expect(Bool(false))
        }
        #expect(second.replicas == [Replica("loader", 1003)])
    }

    @Test(arguments: [
        (["laoder": 1], "did you mean 'loader'?"), (["compute": 1], "cannot be joined"), (["loader": 0], "1 to 4096"),
        ([:], "no stage was offered"),
    ])
    func badOffersAreRefused(stages: [String: Int], message: String) {
        #expect(
            join(stages).contains { if case .send(.refused(let why), _) = $0 { why.contains(message) } else { false } })
    }

    @Test func itsStagesAreConfiguredForTCP() throws {
        join(["loader": 1])
        guard case .send(.configuration(let configuration), to: stage(first))? = hello(first).last else {
            return #expect(Bool(false))
        }
        #expect(configuration.endpoints == ["samples": [try Endpoint("tcp://*:5812")]])
        #expect(configuration.keys == nil)
        #expect(state(first) == .preparing)
    }

    @Test func anotherKeyCannotComeUnderAHostsNumber() {
        join(["loader": 1])
        #expect(!hello(first, key: other).contains { if case .send(.configuration, _) = $0 { true } else { false } })
        hello(first)
        #expect(!hello(first, 2, key: other).contains { if case .send(.configuration, _) = $0 { true } else { false } })
        let local = hello(.loader(1), key: key)
        #expect(local.contains { if case .send(.refused, _) = $0 { true } else { false } }, "a local stage's name")
    }

    @Test func aKeyAdmitsWorkNotOrders() {
        for order in [ControlInbound.stopRequest, .keysChanged] {
            let answer = say(order, as: first)
            #expect(answer.allSatisfy { if case .send(.refused, _) = $0 { true } else { false } } && answer.count == 1)
        }
        join(["loader": 1])
        hello(first)
        say(.event(StageEvent(.checkpoint, "mine", step: 9, path: "/elsewhere")), as: first)
        say(.event(StageEvent(.sampleSkipped, "mine", step: 9)), as: first)
        #expect(run.core.report().checkpoint == nil)
        #expect(!run.actions.contains { if case .journal(.sampleSkipped) = $0 { true } else { false } })
        #expect(run.core.phase == .training)
        let keyless = run.handle(
            .message(
                .join(JoinRequest(host: "x", stages: ["loader": 1])), from: ControlPeer(Data([1])),
                incarnation: Incarnation(rawValue: "x")))
        #expect(keyless.contains { if case .send(.refused(let why), _) = $0 { why.contains("key") } else { false } })
    }

    @Test func aDifferentFingerprintFromAfarIsRefusedWithoutEndingTheRun() {
        join(["loader": 1])
        let answer = hello(first, hash: "other")
        #expect(
            answer.contains { if case .send(.refused(let why), _) = $0 { why.contains("other bits") } else { false } })
        #expect(run.core.phase == .training && run.actions.outcome == nil)
    }

    /// A host may be there before the run: it must not decide what the run's own loaders have to compute.
    @Test func theRunsOwnStagesSayFirstWhatAllMustCompute() throws {
        run.core = SupervisorCore(plan: run.core.plan, hasEvaluation: false)
        run.handle(.start, answering: false)
        join(["loader": 1])
        func isIn(_ answer: [SupervisorAction]) -> Bool {
            answer.contains { if case .send(.configuration, _) = $0 { true } else { false } }
        }
        let early = hello(first, hash: "other")
        #expect(!isIn(early) && early.journalled.isEmpty)
        #expect(isIn(run.hello(.loader(1))))
        #expect(hello(first, hash: "other").contains { if case .send(.refused, _) = $0 { true } else { false } })
        #expect(run.core.phase != .stopping)
    }

    /// All loaders are another machine's, of another kind; ours, added later, would end their work.
    @Test func ownStagesThatDifferFromThoseAtWorkAreLeftOut() throws {
        var plan = run.core.plan
        plan.counts["loader"] = 0
        run.core = SupervisorCore(plan: plan, hasEvaluation: false)
        run.handle(.start)
        join(["loader": 1])
        hello(first, hash: "other")
        #expect(state(first) == .preparing)
        let scaled = run.handle(
            .message(
                .scaleRequest(ScaleRequest(stages: ["loader": 1])), from: ControlPeer(Data("client".utf8)),
                incarnation: Incarnation(rawValue: "client")))
        #expect(scaled.spawned == [.loader(1)])
        #expect(run.actions.logged.contains("going on with 1 other"))
        #expect(run.actions.signals == ["loader-1 15"])
        run.exit(.loader(1), .code(1))
        #expect(run.pass(40).spawned.isEmpty && run.core.phase == .training)
    }

    @Test func lostHostsAreNoReasonToGoOnWithoutALoader() throws {
        join(["loader": 3])
        for number in 1001...1003 { hello(Replica("loader", number)) }
        for _ in 0..<70 { run.pass(1) }
        #expect(state(first) == .lost)
        for replica in [Replica.loader(1), .loader(2)] {
            for _ in 0..<5 {
                #expect(run.actions.outcome == nil)
                run.exit(replica, .signal(9))
                run.pass(30)
            }
        }
        #expect(run.core.phase == .stopping && run.actions.logged.contains("loader-2 failed 5 times in a row"))
    }

    @Test func aSilentHostIsLostWithoutBlameAndMayComeBack() {
        join(["loader": 1])
        hello(first)
        say(.heartbeat(Heartbeat(state: .running)), as: first)
        let told = run.pass(11, silent: [first])
        #expect(told.commands(to: run.peer(.compute)).map(\.name) == [.expectLoss, .workerLost])
        #expect(told.commands(to: run.peer(.compute)).map(\.worker) == ["loader-1001", "loader-1001"])
        #expect(told.signals.isEmpty, "there is no process here to kill")
        #expect(state(first) == .lost)
        #expect(say(.heartbeat(Heartbeat(state: .running)), as: first).contains(.send(.heartbeat, to: stage(first))))
        #expect(state(first) == .running)
    }

    @Test func aHostThatJoinsAnewHasNoLostStages() throws {
        join(["loader": 1], as: "gpu2")
        join(["loader": 1], as: "gpu3")
        hello(first)
        run.pass(11, silent: [first])
        #expect(state(first) == .lost)
        // The same machine after its restart: another incarnation of its `picoflow join`.
        let request = JoinRequest(host: "gpu2", stages: ["loader": 1], replicas: [])
        let again = run.handle(
            .message(.join(request), from: host("again"), incarnation: Incarnation(rawValue: "again")))
        guard case .send(.joined(let reply), _)? = again.last else { return #expect(Bool(false), "\(again)") }
        #expect(reply.replicas == [Replica("loader", 1003)])
        #expect(state(first) == nil && state(Replica("loader", 1002)) != nil)
        // It was only cut off.
        say(.heartbeat(Heartbeat(state: .running)), as: first)
        #expect(state(first) == .running)
    }

    /// Whichever host asks a new supervisor first.
    @Test func numbersOfHostsStayTheirsUnderAnotherSupervisor() {
        let answer = join(["loader": 2, "miner": 1])
        let entries: [JournalEntry] = [.allotted(stage: "loader", last: 1002), .allotted(stage: "miner", last: 1001)]
        #expect(answer.journalled == entries)
        var plan = run.core.plan
        plan.allotted = ["loader": 1002]
        run.core = SupervisorCore(plan: plan, hasEvaluation: false)
        run.handle(.start)
        guard case .send(.joined(let reply), _)? = join(["loader": 1], as: "g").last else {
            return #expect(Bool(false))
        }
        #expect(reply.replicas == [Replica("loader", 1003)])
        // And the one that has them is let in with them.
        guard case .send(.joined(let old), _)? = join(["loader": 2], replicas: [first]).last else {
            return #expect(Bool(false))
        }
        #expect(old.replicas == [first])
    }

    @Test func aRestartedProcessTakesItsNumberAgain() {
        join(["loader": 1])
        hello(first)
        #expect(
            hello(first, 2).contains { if case .send(.configuration, to: stage(first, 2)) = $0 { true } else { false } }
        )
        let report = run.core.report().stages.first { $0.id == 1001 }
        #expect(report?.restarts == 1 && report?.host == "gpu2")
        // What the old one still says is not the new one's.
        _ = say(.heartbeat(Heartbeat(state: .waiting)), as: first, 1)
        #expect(state(first) == .preparing)
    }

    @Test func aRestartedSupervisorLearnsOfHostsAndStages() {
        let late = Replica("loader", 1007)
        #expect(say(.heartbeat(Heartbeat(state: .running)), as: late) == [.send(.heartbeat, to: stage(late))])
        #expect(hello(late).contains { if case .send(.configuration, _) = $0 { true } else { false } })
        guard case .send(.joined(let reply), _)? = join(["loader": 1], replicas: [late]).last else {
            return #expect(Bool(false))
        }
        #expect(reply.replicas == [late])
        #expect(
            join(["loader": 1], as: "g", key: other, replicas: [late]).contains {
                if case .send(.refused, _) = $0 { true } else { false }
            })
        guard case .send(.joined(let next), _)? = join(["loader": 1], as: "f").last else { return #expect(Bool(false)) }
        #expect(next.replicas == [Replica("loader", 1008)])
    }

    @Test func leavingDrainsItsStagesAndForgetsThem() {
        join(["loader": 1])
        hello(first)
        let told = run.handle(.message(.leave, from: host(), incarnation: Incarnation(rawValue: "h")))
        #expect(told.commands(to: stage(first)).map(\.name) == [.drain])
        say(.bye(Bye(.drained)), as: first)
        #expect(state(first) == nil)
        #expect(run.core.phase == .training)
    }

    /// Compute may need them for its last step.
    @Test func leavingARunThatEndsDrainsNobody() {
        join(["loader": 1])
        hello(first)
        run.handle(.interrupt)
        let told = run.handle(.message(.leave, from: host(), incarnation: Incarnation(rawValue: "h")))
        #expect(told.commands(to: stage(first)).isEmpty)
    }

    @Test func aRevokedKeysWorkGoesToOthersAtOnce() {
        join(["loader": 1])
        hello(first)
        let told = run.handle(.keysAllowed([other]))
        #expect(
            told.commands(to: run.peer(.compute)).map(\.name).contains(.expectLoss)
                && told.commands(to: run.peer(.compute)).map(\.name).contains(.reloadKeys))
        #expect(told.commands(to: run.peer(.bank)).map(\.name) == [.reloadKeys])
        #expect(state(first) == .lost)
    }

    @Test func theEndIsAnnouncedAndNeverHeldUpByAHostThatIsGone() {
        join(["loader": 2])
        hello(first)
        hello(Replica("loader", 1002))
        let told = run.handle(.interrupt)
        #expect(told.contains { if case .send(.joined(let reply), to: host()) = $0 { reply.isEnding } else { false } })
        run.exit(.compute, .code(0))
        run.say(.bye(Bye(.stopped)), as: .compute)
        run.pass(3, silent: [first])
        for replica in [Replica.bank, .loader(1), .loader(2), .miner] { run.exit(replica, .code(0)) }
        say(.bye(Bye(.stopped)), as: Replica("loader", 1002))
        #expect(run.actions.outcome == nil)
        run.pass(16, silent: [first])
        guard case .stopped? = run.actions.outcome else { return #expect(Bool(false), "\(run.actions.suffix(3))") }
    }
}
