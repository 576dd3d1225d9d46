import Configuration
import Foundation
import StageKit
import TestSupport
import Testing
import Wire

@testable import Supervisor

/// `picoflow swap`, as the supervisor conducts it.
@Suite struct SwappingTests {
    private let client = ControlPeer(Data("client".utf8))

    private func ask(_ run: FakeRun, _ request: SwapRequest, answering: Bool = true) -> [SupervisorAction] {
        run.handle(
            .message(.swapRequest(request), from: client, incarnation: Incarnation(rawValue: "client")),
            answering: answering)
    }

    private func ask(
        _ run: FakeRun, stage: String = "miner", _ set: [String] = [], exec: [String]? = nil, at step: UInt64? = nil
    ) -> [SupervisorAction] {
        ask(run, SwapRequest(stage: stage, set: set, exec: exec, atStep: step))
    }

    private func proposal(_ actions: [SupervisorAction], _ run: FakeRun) -> SwapProposal? {
        actions.commands(to: run.peer(.compute)).last { $0.name == .prepareSwap }?.proposal
    }

    @discardableResult
    private func plan(_ run: FakeRun, _ proposal: SwapProposal, step: UInt64) -> [SupervisorAction] {
        run.say(.event(StageEvent(.swapPlanned, "", step: step, swap: Swap(proposal, step: step))), as: .compute)
    }

    /// Compute's heartbeat after a step.
    @discardableResult
    private func done(_ run: FakeRun, _ step: UInt64) -> [SupervisorAction] {
        run.say(
            .heartbeat(Heartbeat(state: .running, step: StepMetrics(step: step, lr: 1, ce: 1))), as: .compute)
    }

    private func started() throws -> FakeRun {
        let run = try FakeRun()
        run.handle(.start)
        return run
    }

    private let hardest = ["sampler.strategy=hardest"]

    @Test func settingsAreJournalledBetweenPlanAndCommit() throws {
        let run = try started()
        let asked = ask(run, hardest)
        let proposal = try #require(self.proposal(asked, run))
        #expect(proposal.generation == Generation(1))
        #expect(proposal.mining.sampler.strategy == .hardest)
        #expect(proposal.exec == nil && proposal.change == "sampler.strategy=hardest")
        #expect(asked.journalled == [.swapAsked(proposal)])
        #expect(asked.reply(to: client) == nil, "the answer has the step")
        #expect(asked.spawned.isEmpty)

        let planned = plan(run, proposal, step: 7)
        let swap = Swap(proposal, step: 7)
        let order = planned.compactMap { action -> String? in
            switch action {
            case .journal(.swap(swap)): "journal"
            case .send(.command(let command), to: run.peer(.compute)):
                command == Command(.commit(Generation(1), step: 7)) ? "commit" : "other"
            case .send(.reply, to: client): "reply"
            default: nil
            }
        }
        #expect(order == ["journal", "commit", "reply"])
        #expect(planned.reply(to: client)?.swaps == [swap])
        #expect(run.core.report().swaps == [swap])
    }

    @Test func planThatIsRepeatedIsCommittedAgainAndJournalledOnce() throws {
        let run = try started()
        let proposal = try #require(self.proposal(ask(run, hardest), run))
        plan(run, proposal, step: 7)
        let again = plan(run, proposal, step: 7)
        #expect(again.journalled.isEmpty)
        #expect(again.commands(to: run.peer(.compute)) == [Command(.commit(Generation(1), step: 7))])
    }

    @Test func furtherSwapChangesWhatTheLastOneLeft() throws {
        let run = try started()
        plan(run, try #require(proposal(ask(run, hardest), run)), step: 7)
        let second = try #require(proposal(ask(run, ["contrast.temperature=0.5"]), run))
        #expect(second.generation == Generation(2))
        #expect(second.mining.sampler.strategy == .hardest)
        #expect(second.mining.temperature == 0.5)
    }

    @Test func refusalOfComputeReachesTheClientAndUsesUpTheNumber() throws {
        let run = try started()
        let proposal = try #require(self.proposal(ask(run, hardest, at: 3), run))
        #expect(proposal.atStep == 3)
        let refused = run.say(
            .event(StageEvent(.swapRefused, "step 3 is past: the next is 9", swap: Swap(proposal, step: 0))),
            as: .compute)
        #expect(refused.refusal(to: client) == "step 3 is past: the next is 9")
        #expect(refused.journalled == [.swapCancelled(Generation(1))])
        #expect(self.proposal(ask(run, hardest), run)?.generation == Generation(2))
    }

    @Test func planOfACancelledSwapIsCancelledAgain() throws {
        let run = try started()
        let proposal = try #require(self.proposal(ask(run, hardest), run))
        run.say(.event(StageEvent(.swapRefused, "no", swap: Swap(proposal, step: 0))), as: .compute)
        let late = plan(run, proposal, step: 4)
        #expect(late.journalled.isEmpty)
        #expect(late.commands(to: run.peer(.compute)) == [Command(.cancel(Generation(1)))])
    }

    /// The supervisor that took it back may have died before it said so.
    @Test func nextSupervisorCancelsWhatWasTakenBack() throws {
        let asked = SwapProposal(
            generation: Generation(1), stage: "miner", mining: MiningSettings(Recipe()), exec: nil, change: "x")
        var plan = try FakeRun.plan()
        plan.history = SwapHistory([.swapAsked(asked), .swapCancelled(Generation(1))])
        let run = FakeRun(plan)
        let begun = run.handle(.start)
        let cancel = Command(.cancel(Generation(1)))
        #expect(begun.commands(to: run.peer(.compute)).contains(cancel))
        let late = self.plan(run, asked, step: 4)
        #expect(late.journalled.isEmpty)
        #expect(late.commands(to: run.peer(.compute)) == [cancel])
    }

    // MARK: Programs

    /// Ranks beyond the first speak of no steps.
    @Test func minersOfAReplacedProgramLeaveBesideSeveralRanks() throws {
        var plan = try FakeRun.plan()
        let compute = try #require(plan.topology.stages.firstIndex { $0.kind == .compute })
        plan.topology.stages[compute].replicas = 2
        let run = FakeRun(plan)
        run.handle(.start)
        let asked = ask(run, exec: ["my-miner"])
        let proposal = try #require(self.proposal(asked, run))
        self.plan(run, proposal, step: 4)
        run.say(
            .event(StageEvent(.swapPlanned, "", step: 6, swap: Swap(proposal, step: 6))), as: Replica("compute", 2))
        run.say(.heartbeat(Heartbeat(state: .running)), as: Replica("compute", 2))
        #expect(done(run, 4).commands(to: run.peer(.miner)).isEmpty)
        #expect(done(run, 5).commands(to: run.peer(.miner)).map(\.name) == [.drain])
    }

    /// Both programs' miners are there until the step; each is counted by itself.
    @Test func autoscalingKeepsItsBoundsWhileASwapLiesAhead() throws {
        var topology = try FakeRun.plan()
        let miner = try #require(topology.topology.stages.firstIndex { $0.kind == .miner })
        topology.topology.stages[miner].replicas = 2
        var settings = AutoscaleSettings()
        (settings.stage, settings.min, settings.max) = ("miner", 1, 4)
        topology.topology.autoscale = [settings]
        let run = FakeRun(topology)
        run.handle(.start)
        let proposal = try #require(self.proposal(ask(run, exec: ["my-miner"]), run))
        plan(run, proposal, step: 3000)
        #expect(run.core.members.filter { $0.kind == .miner && $0.isWanted }.count == 4)
        var counts: [Int] = []
        for second in 1...120 {
            run.clock.advance(.seconds(1))
            for member in run.core.members where member.isWorking && member.kind != .compute {
                run.say(
                    .heartbeat(Heartbeat(state: .running, metrics: [WorkerMetric.busy: 0])), as: member.replica)
            }
            let metrics = [
                ComputeMetric.steps: Double(second), ComputeMetric.waitedForSamples: 0,
                ComputeMetric.waitedForGradients: 0,
            ]
            let actions = run.say(.heartbeat(Heartbeat(state: .running, metrics: metrics)), as: .compute)
            for case .journal(.scaled(_, _, let count, _)) in actions { counts.append(count) }
        }
        #expect(counts == [1])
        #expect(run.core.members.filter { $0.kind == .miner && $0.isWanted }.count == 2)
    }

    /// Hosts that join bring the first program alone.
    @Test func programIsStartedHereWhereAllMinersAreElsewhere() throws {
        var plan = try FakeRun.plan()
        let miner = try #require(plan.topology.stages.firstIndex { $0.kind == .miner })
        plan.topology.stages[miner].replicas = 0
        let run = FakeRun(plan)
        #expect(run.handle(.start).spawned.allSatisfy { $0.stage != "miner" })
        let asked = ask(run, exec: ["my-miner"])
        #expect(asked.spawned == [.miner])
        let proposal = try #require(self.proposal(asked, run))
        self.plan(run, proposal, step: 6)
        // So it is after a resume behind the swap.
        plan.history = run.core.history
        plan.resume = Checkpoint(step: 8, path: "/c8")
        let again = FakeRun(plan)
        #expect(again.handle(.start).spawned.filter { $0.stage == "miner" } == [.miner])
    }

    @Test func whatAKilledSupervisorWasAskedForEndsWithTheNextStart() {
        let asked = SwapProposal(
            generation: Generation(1), stage: "miner", mining: MiningSettings(Recipe()), exec: nil, change: "x")
        #expect(SwapHistory([.swapAsked(asked)]).pending == asked)
        let ended = SwapHistory([.swapAsked(asked), .ended("failed: its supervisor died")])
        #expect(ended.pending == nil && ended.last == Generation(1))
    }

    @Test func newProgramStartsBesideTheOldOneWhichLeavesOnceItsLastStepIsDone() throws {
        let run = try started()
        let asked = ask(run, exec: ["my-miner", "--fast"])
        let new = Replica("miner", 2)
        #expect(asked.spawned == [new])
        #expect(run.core.settings(of: new)?.exec == ["my-miner", "--fast"])
        #expect(run.core.settings(of: .miner)?.exec == nil)
        let told = asked.compactMap { action -> StageConfiguration? in
            if case .send(.configuration(let configuration), to: run.peer(new)) = action { configuration } else { nil }
        }
        #expect(told.map(\.generation) == [Generation(1)])

        let proposal = try #require(self.proposal(asked, run))
        done(run, 3)
        plan(run, proposal, step: 6)
        #expect(done(run, 4).commands(to: run.peer(.miner)).isEmpty)
        #expect(
            done(run, 5).commands(to: run.peer(.miner)).map(\.name) == [.drain], "all tickets before 6 are answered")
        run.say(.bye(Bye(.drained)), as: .miner)
        run.exit(.miner, .code(0))
        #expect(run.pass(30).spawned.isEmpty)
        #expect(run.core.report().stages.filter { $0.stage == "miner" }.map(\.id) == [2])
        #expect(run.core.report().stages.first { $0.stage == "miner" }?.generation == Generation(1))
        #expect(run.core.phase == .training)
    }

    @Test func backToTheBuiltInProgramAndItsFingerprint() throws {
        let run = try started()
        plan(run, try #require(proposal(ask(run, exec: ["x"]), run)), step: 2)
        let back = ask(run, exec: [])
        let third = Replica("miner", 3)
        #expect(back.spawned == [third])
        #expect(run.core.settings(of: third)?.exec == nil)
        #expect(proposal(back, run)?.change == "exec=builtin")
        #expect(
            run.actions.journalled.filter { if case .programFingerprint = $0 { true } else { false } } == [
                .programFingerprint(Generation(1), Fingerprint(versions: [:], hash: "same"))
            ], "the built-in program's is the kind's")
    }

    @Test func programsFingerprintIsItsOwnAndBindsItsLaterWorkers() throws {
        let run = try started()
        let asked = ask(run, SwapRequest(stage: "miner", exec: ["x"]), answering: false)
        let new = Replica("miner", 2)
        #expect(asked.spawned == [new])
        let other = Fingerprint(versions: ["numpy": "2"], hash: "own")
        #expect(run.hello(new, fingerprint: other).refusal(to: run.peer(new)) == nil)
        #expect(run.actions.journalled.contains(.programFingerprint(Generation(1), other)))
        plan(run, try #require(proposal(asked, run)), step: 2)
        run.exit(new, .signal(9))
        run.clock.advance(.seconds(1))
        run.handle(.tick, answering: false)
        let changed = run.hello(new, fingerprint: Fingerprint(versions: ["numpy": "3"], hash: "own"))
        #expect(changed.refusal(to: run.peer(new))?.contains("numpy 3 instead of 2") == true)
    }

    /// Its file, or a library of it, has changed since it ran first.
    @Test func programThatComputesOtherBitsThanBeforeCostsTheSwapOnly() throws {
        let run = try started()
        _ = ask(run, SwapRequest(stage: "miner", exec: ["x"]), answering: false)
        let first = Replica("miner", 2)
        let asked = run.hello(first, fingerprint: Fingerprint(versions: ["numpy": "2"], hash: "own"))
        plan(run, try #require(proposal(asked + run.actions, run)), step: 2)
        done(run, 2)
        let back = ask(run, exec: [])
        plan(run, try #require(proposal(back, run)), step: 4)
        done(run, 4)
        let again = ask(run, SwapRequest(stage: "miner", exec: ["x"]), answering: false)
        let new = try #require(again.spawned.last)
        let changed = run.hello(new, fingerprint: Fingerprint(versions: ["numpy": "3"], hash: "own"))
        #expect(changed.refusal(to: run.peer(new))?.contains("numpy 3 instead of 2") == true)
        #expect(changed.refusal(to: client)?.contains("numpy 3 instead of 2") == true)
        #expect(run.core.phase == .training)
    }

    @Test func programThatCannotBeStartedCostsTheSwapOnly() throws {
        let run = try started()
        _ = ask(run, SwapRequest(stage: "miner", exec: ["x"]), answering: false)
        let failed = run.handle(.spawnFailed(Replica("miner", 2), "no such file"))
        #expect(failed.refusal(to: client) == "miner-2 could not be started: no such file")
        #expect(failed.commands(to: run.peer(.compute)) == [Command(.cancel(Generation(1)))])
        #expect(run.core.phase == .training)
        #expect(run.core.report().swaps == nil)
    }

    /// The first failure ends the swap; the others are of workers that nobody waits for.
    @Test func programThatCannotBeStartedCostsTheSwapOnlyHoweverManyShouldRunIt() throws {
        var plan = try FakeRun.plan()
        plan.topology = try Topology.resolve(
            yaml: """
                stages:
                  loader: {threads: 1}
                  compute: {samples: loader, mining: miner, memory: bank, threads: 1}
                  bank: {threads: 1}
                  miner: {replicas: 2, memory: bank, threads: 1}
                """, path: "t.yaml")
        let run = try FakeRun()
        run.core = SupervisorCore(plan: plan, hasEvaluation: false)
        run.handle(.start)
        let asked = ask(run, SwapRequest(stage: "miner", exec: ["x"]), answering: false)
        #expect(asked.spawned == [Replica("miner", 3), Replica("miner", 4)])
        for replica in asked.spawned { run.handle(.spawnFailed(replica, "no such file")) }
        #expect(run.actions.refusal(to: client) == "miner-3 could not be started: no such file")
        #expect(run.core.phase == .training && run.actions.outcome == nil)
        #expect(run.core.report().stages.filter { $0.stage == "miner" && $0.state != .exited }.map(\.id) == [1, 2])
    }

    @Test func programThatKeepsFailingCostsTheSwapOnly() throws {
        let run = try started()
        _ = ask(run, exec: ["x"])
        let new = Replica("miner", 2)
        for _ in 0..<5 {
            run.exit(new, .code(1), line: "Traceback: no module numpy")
            run.pass(12)
        }
        #expect(run.actions.refusal(to: client)?.contains("miner-2 failed 5 times in a row") == true)
        #expect(run.actions.refusal(to: client)?.contains("no module numpy") == true)
        #expect(run.core.phase == .training)
        #expect(run.core.pendingSwap == nil)
        #expect(run.core.report().stages.filter { $0.stage == "miner" && $0.state == .running }.map(\.id) == [1])
    }

    @Test func scalingReachesBothGenerations() throws {
        let run = try started()
        plan(run, try #require(proposal(ask(run, exec: ["x"], at: 8), run)), step: 8)
        let message = ControlInbound.scaleRequest(ScaleRequest(stages: ["miner": 2]))
        let actions = run.handle(.message(message, from: client, incarnation: Incarnation(rawValue: "client")))
        #expect(actions.spawned == [Replica("miner", 3), Replica("miner", 4)])
        #expect(run.core.members.filter { $0.kind == .miner }.map(\.generation.rawValue) == [0, 1, 0, 1])
    }

    // MARK: Replay

    private func resumed(from step: UInt64?, _ swaps: [Swap]) throws -> FakeRun {
        var plan = try FakeRun.plan()
        plan.history.swaps = swaps
        plan.history.last = swaps.last?.generation ?? .first
        plan.resume = step.map { Checkpoint(step: $0, path: "/c") }
        let run = FakeRun(plan)
        run.handle(.start)
        return run
    }

    private func swap(_ generation: Int, from step: UInt64, exec: [String]?) -> Swap {
        Swap(
            SwapProposal(
                generation: Generation(generation), stage: "miner", mining: MiningSettings(Recipe()), exec: exec,
                change: "x"), step: step)
    }

    @Test func resumeStartsAllProgramsThatTheStepsToComeNeed() throws {
        let swaps = [swap(1, from: 4, exec: ["a"]), swap(2, from: 8, exec: [])]
        for (step, expected) in [(nil, [0, 1, 2]), (2, [0, 1, 2]), (3, [1, 2]), (6, [1, 2]), (7, [2]), (9, [2])]
            as [(UInt64?, [Int])]
        {
            let run = try resumed(from: step, swaps)
            let miners = run.core.members.filter { $0.kind == .miner }
            #expect(miners.map(\.generation.rawValue) == expected, "from \(step ?? 0)")
            #expect(miners.map(\.replica.id) == Array(1...expected.count))
        }
        let run = try resumed(from: 6, swaps)
        #expect(run.core.settings(of: .miner)?.exec == ["a"])
        #expect(run.core.settings(of: Replica("miner", 2))?.exec == nil)
        #expect(done(run, 7).commands(to: run.peer(.miner)).map(\.name) == [.drain])
    }

    /// Programs whose last step is done may be gone by the time of a takeover; compute has said nothing yet then.
    @Test func takeoverStartsNoProgramWhoseStepsAreDone() throws {
        for (trained, expected) in [(nil, [0, 1, 2]), (3, [1, 2]), (7, [2])] as [(UInt64?, [Int])] {
            var plan = try FakeRun.plan()
            plan.history.swaps = [swap(1, from: 4, exec: ["a"]), swap(2, from: 8, exec: ["b"])]
            plan.history.last = Generation(2)
            plan.trained = trained
            let run = FakeRun(plan: plan)
            run.takeOver([.bank, .compute, .loader(1), .loader(2)])
            let miners = run.core.members.filter { $0.kind == .miner }
            #expect(miners.map(\.generation.rawValue) == expected, "\(trained ?? 0)")
        }
    }

    @Test func computeIsConfiguredWithTheJournalsSwaps() throws {
        let swaps = [swap(1, from: 4, exec: nil)]
        let run = try resumed(from: 6, swaps)
        let told = run.actions.compactMap { action -> StageConfiguration? in
            if case .send(.configuration(let configuration), to: run.peer(.compute)) = action {
                configuration
            } else {
                nil
            }
        }
        #expect(told.map(\.swaps) == [swaps])
        #expect(proposal(ask(run, hardest), run)?.generation == Generation(2))
    }

    @Test func planUnderADeadSupervisorIsTakenOver() throws {
        // Compute repeats what it planned to the next supervisor, whose journal lacks it.
        let run = try started()
        let proposal = SwapProposal(
            generation: Generation(3), stage: "miner", mining: MiningSettings(Recipe()), exec: ["x"], change: "exec=x")
        let actions = plan(run, proposal, step: 5)
        #expect(actions.journalled.contains(.swap(Swap(proposal, step: 5))))
        #expect(actions.spawned == [Replica("miner", 2)])
        #expect(actions.commands(to: run.peer(.compute)).contains(Command(.commit(Generation(3), step: 5))))
        #expect(self.proposal(ask(run, hardest), run)?.generation == Generation(4))
    }

    // MARK: Refused

    @Test(arguments: [
        (
            SwapRequest(stage: "loader", set: ["sampler.strategy=hardest"]),
            "stage 'loader' is of kind loader; only miners can be swapped while a run trains"
        ),
        (
            SwapRequest(stage: "minor", set: ["sampler.strategy=hardest"]),
            "this run has no stage 'minor'; did you mean 'miner'?"
        ),
        (SwapRequest(stage: "miner"), "nothing to swap: give --set, --exec or both"),
        (SwapRequest(stage: "miner", exec: ["a", ""]), "--exec has an empty word"),
        (
            SwapRequest(stage: "miner", set: ["sampler.strategy=hardest"], atStep: 11),
            "--at-step 11: the run has the steps 1 to 10"
        ),
        (
            SwapRequest(stage: "miner", set: ["sampler.strategy=hardest"], atStep: 0),
            "--at-step 0: the run has the steps 1 to 10"
        ),
        (
            SwapRequest(stage: "miner", set: ["sampler.strategy=hardst"]),
            "--set sampler.strategy=hardst: 'sampler.strategy' must be one of random, hardest, semi-hard, not 'hardst'; did you mean 'hardest'?"
        ),
        (
            SwapRequest(stage: "miner", set: ["schedule.lr=1"]),
            "--set schedule.lr=1: 'schedule.lr' cannot change while a run trains; a swap sets sampler.*, synthesis.* and contrast.temperature"
        ),
    ])
    func whatCannotBeIsRefused(request: SwapRequest, why: String) throws {
        let run = try started()
        let actions = ask(run, request)
        #expect(actions.refusal(to: client) == why)
        #expect(actions.count == 1)
    }

    @Test func oneSwapAtATime() throws {
        let run = try started()
        _ = ask(run, hardest)
        let other = ControlPeer(Data("other".utf8))
        let second = run.handle(
            .message(
                .swapRequest(SwapRequest(stage: "miner", set: hardest)), from: other,
                incarnation: Incarnation(rawValue: "other")))
        #expect(second.refusal(to: other) == "swap 1 is still being prepared; try again once it is done")
    }

    @Test func runThatEndsRefusesAndTellsWhoWaits() throws {
        let run = try started()
        _ = ask(run, exec: ["x"])
        let stopped = run.handle(.interrupt)
        #expect(stopped.refusal(to: client) == "the run ended before it")
        #expect(ask(run, hardest).refusal(to: client) == "the run is not training")
    }
}
