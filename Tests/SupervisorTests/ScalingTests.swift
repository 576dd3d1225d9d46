import Configuration
import Foundation
import StageKit
import TestSupport
import Testing
import Wire

@testable import Supervisor

/// `picoflow scale` and `autoscale`, as the supervisor decides them.
@Suite struct ScalingTests {
    private let client = ControlPeer(Data("client".utf8))

    private func scale(_ run: FakeRun, _ stages: [String: Int]) -> [SupervisorAction] {
        let message = ControlInbound.scaleRequest(ScaleRequest(stages: stages))
        return run.handle(.message(message, from: client, incarnation: Incarnation(rawValue: "client")))
    }

    private func alive(_ run: FakeRun, _ stage: String) -> [Int] {
        run.core.report().stages.filter { $0.stage == stage && $0.state != .stopping }.map(\.id).sorted()
    }

    @Test func newReplicasTakeTheNextIdsAndAreJournalled() throws {
        let run = try FakeRun()
        run.handle(.start)
        let actions = scale(run, ["loader": 4])
        #expect(actions.spawned == [.loader(3), .loader(4)])
        #expect(alive(run, "loader") == [1, 2, 3, 4])
        #expect(actions.journalled == [.scaled(stage: "loader", from: 2, to: 4, reason: "asked")])
        #expect(actions.reply(to: client)?.stages.filter { $0.stage == "loader" }.count == 4)
        #expect(actions.logged.contains("loader: 2 → 4 (asked)"))
    }

    @Test func theHighestIdsDrainAndVanish() throws {
        let run = try FakeRun(loaders: 3)
        run.handle(.start)
        let actions = scale(run, ["loader": 1])
        for id in [2, 3] {
            #expect(actions.commands(to: run.peer(.loader(id))).map(\.name) == [.drain])
            run.say(.bye(Bye(.drained)), as: .loader(id))
            let told = run.exit(.loader(id), .code(0))
            #expect(told.commands(to: run.peer(.compute)).map(\.name) == [.expectLoss, .workerLost])
        }
        #expect(run.core.report().stages.filter { $0.stage == "loader" }.map(\.id) == [1])
        #expect(run.pass(60).spawned.isEmpty, "who left is not started again")
        #expect(run.core.phase == .training)
    }

    @Test func sameCountAgainChangesNothing() throws {
        let run = try FakeRun()
        run.handle(.start)
        _ = scale(run, ["loader": 3])
        let again = scale(run, ["loader": 3])
        #expect(again.count == 1 && again.reply(to: client) != nil)
    }

    @Test func idsThatAreFreeAgainAreTakenAgain() throws {
        let run = try FakeRun()
        run.handle(.start)
        _ = scale(run, ["loader": 1])
        // It still drains: its name is not free.
        #expect(scale(run, ["loader": 2]).spawned == [.loader(3)])
        run.say(.bye(Bye(.drained)), as: .loader(2))
        run.exit(.loader(2), .code(0))
        #expect(scale(run, ["loader": 3]).spawned == [.loader(2)])
        #expect(alive(run, "loader") == [1, 2, 3])
    }

    @Test func workerThatDoesNotDrainIsTerminatedThenKilled() throws {
        let run = try FakeRun()
        run.handle(.start)
        _ = scale(run, ["loader": 1])
        #expect(run.pass(14).signals.isEmpty)
        #expect(run.pass(1).signals == ["loader-2 15"])
        #expect(run.pass(5).signals == ["loader-2 9"])
        run.exit(.loader(2), .signal(9))
        #expect(run.pass(30).spawned.isEmpty)
        #expect(run.core.phase == .training)
    }

    @Test func replicaThatIsOnlyStartingOrWaitsForItsRestartJustGoes() throws {
        let run = try FakeRun()
        run.handle(.start)
        run.exit(.loader(2), .signal(9))
        #expect(scale(run, ["loader": 1]).spawned.isEmpty)
        #expect(run.pass(30).spawned.isEmpty)
        run.handle(
            .message(
                .scaleRequest(ScaleRequest(stages: ["loader": 2])), from: client,
                incarnation: Incarnation(rawValue: "client")), answering: false)
        #expect(scale(run, ["loader": 1]).signals == ["loader-2 15"])
    }

    @Test func givenUpReplicaIsReplacedWhenAskedFor() throws {
        let run = try FakeRun()
        run.handle(.start)
        for _ in 0..<5 {
            run.exit(.loader(2), .signal(11))
            run.pass(10)
        }
        #expect(scale(run, ["loader": 2]).spawned == [.loader(2)])
    }

    @Test func minersAndSeveralStagesAtOnce() throws {
        let run = try FakeRun()
        run.handle(.start)
        #expect(scale(run, ["miner": 2, "loader": 3]).spawned == [.loader(3), Replica("miner", 2)])
    }

    @Test func evaluatorsBeforeTheirPhaseOnlyCount() throws {
        let run = try FakeRun(hasEvaluation: true)
        run.handle(.start)
        #expect(scale(run, ["evaluator": 3]).spawned.isEmpty)
        #expect(scale(run, ["evaluator": 2]).spawned.isEmpty)
        run.say(.event(StageEvent(.finished, "done", step: 10, path: "/c")), as: .compute)
        run.exit(.compute, .code(0))
        let actions = run.pass(2)
        #expect(actions.spawned == [.evaluator, Replica("evaluator", 2)])
        #expect(run.core.phase == .evaluating)
        #expect(scale(run, ["evaluator": 3]).spawned == [Replica("evaluator", 3)])
        #expect(scale(run, ["loader": 3]).refusal(to: client) == "the run trains no more, and 'loader' with it")
    }

    @Test(arguments: [
        (["laoder": 2], "this run has no stage 'laoder'; did you mean 'loader'?"),
        (["loader": 0], "loader=0: a stage has 1 to 65535 replicas"),
        (["loader": -3], "loader=-3: a stage has 1 to 65535 replicas"),
        (
            ["bank": 2],
            "stage 'bank' is of kind bank, which holds the run's state; loaders, miners and evaluators can be scaled"
        ),
        (["evaluator": 2], "stage 'evaluator' has nothing to do in this run"),
        ([:], "name a stage and a count: loader=3"),
    ])
    func whatCannotBeIsRefusedWithoutAnyChange(stages: [String: Int], why: String) throws {
        let run = try FakeRun()
        run.handle(.start)
        let actions = scale(run, stages.merging(["miner": 2]) { $1 }.filter { !stages.isEmpty || $0.key.isEmpty })
        #expect(actions.refusal(to: client) == why)
        #expect(actions.count == 1)
    }

    @Test func runThatEndsIsNotScaled() throws {
        let run = try FakeRun()
        run.handle(.start)
        run.handle(.interrupt)
        #expect(scale(run, ["loader": 3]).refusal(to: client) == "the run is stopping")
    }

    @Test func leavingWorkersDoNotKeepARunFromEnding() throws {
        let run = try FakeRun()
        run.handle(.start)
        _ = scale(run, ["loader": 1])
        run.handle(.interrupt)
        run.exit(.compute, .code(0))
        run.pass(3)
        for replica in [Replica.bank, .loader(1), .miner] { run.exit(replica, .code(0)) }
        run.pass(3)
        #expect(run.actions.outcome == nil)
        run.exit(.loader(2), .code(0))
        run.pass(3)
        #expect(run.actions.outcome != nil)
    }

    // MARK: Autoscale

    private func autoscaled(loaders: Int = 1) throws -> FakeRun {
        var plan = try FakeRun.plan(loaders: loaders)
        for index in plan.topology.stages.indices where plan.topology.stages[index].kind == .compute {
            plan.topology.stages[index].samples = "loader"
        }
        var settings = AutoscaleSettings()
        (settings.stage, settings.min, settings.max) = ("loader", 1, 2)
        plan.topology.autoscale = [settings]
        let run = FakeRun(plan)
        run.handle(.start)
        return run
    }

    /// Seconds in which compute waits half its time for samples.
    private func wait(_ run: FakeRun, _ seconds: ClosedRange<Int>) -> [SupervisorAction] {
        seconds.flatMap { second -> [SupervisorAction] in
            run.clock.advance(.seconds(1))
            var all: [SupervisorAction] = []
            for member in run.core.members where member.isWorking && member.kind != .compute {
                all += run.say(
                    .heartbeat(Heartbeat(state: .running, metrics: [WorkerMetric.busy: Double(second)])),
                    as: member.replica)
            }
            let metrics = [
                ComputeMetric.steps: Double(second), ComputeMetric.waitedForSamples: Double(second) / 2,
                ComputeMetric.waitedForGradients: 0,
            ]
            return all + run.say(.heartbeat(Heartbeat(state: .running, metrics: metrics)), as: .compute)
                + run.handle(.tick)
        }
    }

    @Test func stageThatComputeWaitsForGrowsToItsBoundAndSaysWhy() throws {
        let run = try autoscaled()
        let actions = wait(run, 1...60)
        #expect(actions.spawned == [.loader(2)])
        let reason = "autoscale: compute waited for samples 50 % of the last 10 s, more than 10 %"
        #expect(actions.journalled == [.scaled(stage: "loader", from: 1, to: 2, reason: reason)])
        #expect(actions.logged.contains("loader: 1 → 2 (\(reason))"))
    }

    @Test func replicaThatIsGivenUpIsMadeUpFor() throws {
        let run = try autoscaled(loaders: 2)
        for _ in 1...5 {
            run.exit(.loader(2), .code(1))
            run.pass(20)
        }
        #expect(run.actions.logged.contains("loader-2 failed 5 times in a row"))
        #expect(wait(run, 1...60).spawned.map(\.stage) == ["loader"])
    }

    @Test func countsBeyondTheBoundsAreRefused() throws {
        let run = try autoscaled()
        #expect(scale(run, ["loader": 3]).refusal(to: client) == "loader=3: autoscale keeps 'loader' between 1 and 2")
        #expect(scale(run, ["loader": 2]).spawned == [.loader(2)])
    }
}
