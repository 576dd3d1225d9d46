import Configuration
import StageKit
import TestSupport
import Testing
import Wire

@testable import Supervisor

/// Deaths of the stages with state, and of the supervisor itself.
@Suite struct RecoveryCoreTests {
    private let all: [Replica] = [.bank, .compute, .loader(1), .loader(2), .miner]
    private let workers: [Replica] = [.loader(1), .loader(2), .miner]

    private func started() throws -> FakeRun {
        let run = try FakeRun()
        run.handle(.start)
        return run
    }

    private func step(_ step: UInt64, of run: FakeRun) {
        run.say(.heartbeat(Heartbeat(state: .running, step: StepMetrics(step: step, lr: 1, ce: 1))), as: .compute)
    }

    private func epochs(_ actions: [SupervisorAction]) -> Int { actions.filter { $0 == .beginEpoch }.count }

    // MARK: The bank

    @Test func killedBankStartsAgainInItsEpochAndNobodyElseDoes() throws {
        let run = try started()
        func bank() -> StatusReport.Stage? { run.core.report().stages.first { $0.stage == "bank" } }
        run.say(.heartbeat(Heartbeat(state: .running, metrics: [ProcessMetric.resident: 5e6])), as: .bank)
        #expect(bank()?.metrics == [ProcessMetric.resident: 5e6])
        let death = run.exit(.bank, .signal(9))
        #expect(death.signals.isEmpty && death.commands(to: run.peer(.compute)).isEmpty)
        #expect(bank()?.state == .restarting && bank()?.metrics == [:])
        let told = death.contains {
            if case .runEvent(tag: "restarts", let text, _) = $0 { text.hasPrefix("bank-1: ") } else { false }
        }
        #expect(told)
        run.clock.advance(.milliseconds(499))
        #expect(run.handle(.tick).spawned.isEmpty)
        run.clock.advance(.milliseconds(1))
        #expect(run.handle(.tick).spawned == [.bank])
        #expect(run.actions.configuration(of: run.peer(.bank))?.epoch == Epoch(1))
        #expect(epochs(run.actions) == 0 && run.core.phase == .training)
    }

    @Test func bankOnAFullDiskIsTriedAgainAndGivenUpWithItsReason() throws {
        let run = try started()
        for attempt in 1...5 {
            run.say(.event(StageEvent(.failed, "no space left \(attempt)", remedy: .restart)), as: .bank)
            run.say(.bye(Bye(.failed)), as: .bank)
            run.exit(.bank, .code(1))
            run.pass(10)
        }
        #expect(run.actions.spawned.filter { $0 == .bank }.count == 5)
        #expect(
            run.actions.logged.contains(
                "bank-1 failed 5 times without training coming any further, last: no space left 5"))
        #expect(run.actions.commands(to: run.peer(.compute)).map(\.name) == [.stop, .abandon])
        for replica in [Replica.compute] + workers {
            run.say(.bye(Bye(.stopped)), as: replica)
            run.exit(replica, .code(0))
        }
        #expect(run.actions.failure?.hasPrefix("bank-1 failed 5 times") == true)
    }

    @Test func bankWithDamagedStorageTakesTheRunBack() throws {
        let run = try started()
        run.say(.event(StageEvent(.failed, "record 7 is damaged", remedy: .rollback)), as: .bank)
        run.say(.bye(Bye(.failed)), as: .bank)
        #expect(run.exit(.bank, .code(1)).signals == ["compute-1 9"])
        run.exit(.compute, .signal(9))
        #expect(run.pass(1).spawned == [.bank, .compute])
        #expect(run.actions.configuration(of: run.peer(.bank))?.epoch == Epoch(2))
    }

    @Test func bankThatReportsAFailureOfTheRunEndsIt() throws {
        let run = try started()
        run.say(.event(StageEvent(.failed, "bank.snapshot is no usable snapshot")), as: .bank)
        run.say(.bye(Bye(.failed)), as: .bank)
        run.exit(.bank, .code(1))
        #expect(run.actions.logged.contains("bank-1 failed first: bank.snapshot is no usable snapshot"))
        #expect(run.core.phase == .stopping)
    }

    /// A suspended supervisor goes on and finds them ended; what they said last was lost.
    @Test func stagesThatLostTheirSupervisorDidNotFail() throws {
        let run = try started()
        run.newest = Checkpoint(step: 5, path: "/c5")
        for replica in [Replica.bank, .compute] { run.exit(replica, .code(StageMain.supervisorLost)) }
        #expect(run.pass(5).spawned == [.bank, .compute])
        #expect(run.core.phase == .training && epochs(run.actions) == 1)
    }

    // MARK: Compute

    @Test func deadComputeTakesTheRunBackToTheNewestCheckpointInANewEpoch() throws {
        let run = try started()
        step(7, of: run)
        run.newest = Checkpoint(step: 5, path: "/c5")
        let old = [Replica.bank, .compute].map { run.peer($0) }
        #expect(run.exit(.compute, .signal(11)).signals == ["bank-1 9"])
        #expect(run.pass(2).spawned.isEmpty, "not before the bank of the old epoch is gone")
        let then = run.exit(.bank, .signal(9))
        #expect(epochs(then) == 1 && then.spawned == [.bank, .compute])
        for replica in [Replica.bank, .compute] {
            #expect(!old.contains(run.peer(replica)))
            let configuration = try #require(then.configuration(of: run.peer(replica)))
            #expect(configuration.epoch == Epoch(2) && configuration.resume == "/c5")
        }
        #expect(run.actions.signals == ["bank-1 9"], "workers stay")
        #expect(run.core.report().epoch == 2 && run.core.report().step == 5)
        #expect(run.actions.logged.contains("compute-1: it was killed by signal 11"))
        // Whoever joins later belongs to the new epoch.
        run.exit(.miner, .signal(9))
        run.pass(1)
        #expect(run.actions.configuration(of: run.peer(.miner))?.epoch == Epoch(2))
    }

    /// It hears of no stop while it waits for the others, and there is nothing to save.
    @Test func stopWhileRanksMeetDoesNotWaitForThem() throws {
        var plan = try FakeRun.plan()
        for index in plan.topology.stages.indices where plan.topology.stages[index].kind == .compute {
            plan.topology.stages[index].replicas = 2
        }
        let run = FakeRun(plan)
        run.handle(.start, answering: false)
        run.hello(.bank)
        run.hello(.compute)
        #expect(run.handle(.interrupt).signals.sorted() == ["compute-1 9", "compute-2 15"])
        run.exit(.compute, .signal(9))
        run.exit(Replica("compute", 2), .signal(15))
        for replica in [Replica.bank, .loader(1), .loader(2), .miner] { run.exit(replica, .signal(15)) }
        #expect(run.actions.outcome == .stopped(step: nil, checkpoint: nil))
    }

    /// The others only lose it, and going back would come to the same image.
    @Test func rankThatSaysWhatIsWrongEndsTheRunThoughAnotherIsGoneFirst() throws {
        var plan = try FakeRun.plan()
        for index in plan.topology.stages.indices where plan.topology.stages[index].kind == .compute {
            plan.topology.stages[index].replicas = 2
        }
        let run = FakeRun(plan)
        run.handle(.start)
        let other = Replica("compute", 2)
        run.say(.event(StageEvent(.failed, "image 7 cannot be read")), as: .compute)
        run.say(.event(StageEvent(.failed, "a rank is lost", remedy: .rollback)), as: other)
        run.say(.bye(Bye(.failed)), as: other)
        #expect(run.exit(other, .code(1)).signals.contains("compute-1 9"))
        run.exit(.compute, .signal(9))
        #expect(run.actions.logged.contains("compute-1 failed first: image 7 cannot be read"))
        #expect(run.core.phase == .stopping && epochs(run.actions) == 0)
    }

    @Test func epochIsJournalledBeforeAnythingRunsUnderIt() throws {
        let run = try started()
        run.exit(.compute, .signal(9))
        let last = run.exit(.bank, .signal(9)) + run.pass(1)
        let begun = try #require(last.firstIndex(of: .beginEpoch))
        let spawned = try #require(last.firstIndex(of: .spawn(.bank)))
        #expect(begun < spawned)
    }

    @Test func computeAndBankThatDieTogetherTakeOneNewEpoch() throws {
        for order in [[Replica.bank, .compute], [.compute, .bank]] {
            let run = try started()
            for replica in order { run.exit(replica, .signal(9)) }
            run.pass(3)
            #expect(epochs(run.actions) == 1)
            #expect(run.actions.spawned.suffix(2) == [.bank, .compute])
            #expect(run.core.phase == .training)
        }
    }

    @Test func computeThatDiesWhileTheBankIsStartingTakesItBackToo() throws {
        let run = try started()
        run.exit(.bank, .signal(9))
        run.clock.advance(.milliseconds(500))
        run.handle(.tick, answering: false)
        #expect(run.exit(.compute, .signal(9)).signals == ["bank-1 9"])
        #expect(run.exit(.bank, .signal(9)).spawned.isEmpty)
        #expect(run.pass(1).spawned == [.bank, .compute])
    }

    @Test func computeThatNeverComesFurtherIsGivenUpWithItsLastReason() throws {
        let run = try started()
        step(3, of: run)
        for attempt in 1...5 {
            step(UInt64(attempt % 3), of: run)
            run.exit(.compute, .signal(6), line: "assertion \(attempt)")
            if attempt < 5 { run.exit(.bank, .signal(9)) }
            run.pass(10)
        }
        #expect(epochs(run.actions) == 4)
        #expect(run.actions.logged.contains("compute-1 failed 5 times without training coming any further, last: "))
        #expect(run.actions.logged.contains("assertion 5"))
        #expect(run.core.phase == .stopping)
    }

    @Test func progressBetweenDeathsCountsThemAnew() throws {
        let run = try started()
        for attempt in 1...8 {
            if attempt % 2 == 0 {
                step(UInt64(attempt), of: run)
            } else {
                run.say(.event(StageEvent(.checkpoint, "c", step: UInt64(attempt), path: "/c")), as: .compute)
            }
            run.exit(.compute, .signal(9))
            run.exit(.bank, .signal(9))
            run.pass(1)
        }
        #expect(epochs(run.actions) == 8 && run.core.phase == .training)
    }

    @Test func workerThatIsKilledNowAndThenWhileTrainingGoesOnIsNotGivenUp() throws {
        let run = try FakeRun(loaders: 1)
        run.handle(.start)
        for kill in 1...9 {
            step(UInt64(kill), of: run)
            run.exit(.loader(1), .signal(9))
            run.pass(1)
        }
        #expect(run.actions.spawned.filter { $0 == .loader(1) }.count == 10)
        // The same without a step in between.
        for _ in 1...5 {
            run.exit(.loader(1), .signal(9))
            run.pass(9)
        }
        #expect(run.actions.logged.contains("loader-1 failed 5 times in a row"))
    }

    @Test func hungComputeIsKilledAndTheRunGoesBack() throws {
        let run = try started()
        #expect(run.pass(30, silent: [.compute]).signals == ["compute-1 9"])
        run.exit(.compute, .signal(9))
        run.exit(.bank, .signal(9))
        #expect(run.pass(1).spawned == [.bank, .compute])
    }

    @Test func computeThatLostItsPeersTakesTheRunBack() throws {
        let run = try started()
        run.say(.event(StageEvent(.failed, "rank 2 is gone", remedy: .rollback)), as: .compute)
        run.say(.bye(Bye(.failed)), as: .compute)
        run.exit(.compute, .code(1))
        run.exit(.bank, .signal(9))
        #expect(run.pass(1).spawned == [.bank, .compute])
    }

    @Test func computeThatDiedAfterItsLastCheckpointHasFinished() throws {
        let run = try started()
        run.newest = Checkpoint(step: 10, path: "/c10")
        run.exit(.compute, .signal(9))
        run.exit(.bank, .signal(9))
        run.pass(1)
        for replica in workers { run.exit(replica, .code(0)) }
        run.pass(3)
        #expect(run.actions.outcome == .finished(step: 10, checkpoint: "/c10", evaluation: nil))
    }

    // MARK: Stopping meanwhile

    @Test func stopWhileTheRunGoesBackEndsIt() throws {
        let run = try started()
        run.say(.event(StageEvent(.checkpoint, "c", step: 4, path: "/c4")), as: .compute)
        run.exit(.compute, .signal(9))
        run.handle(.interrupt)
        run.exit(.bank, .signal(9))
        for replica in workers { run.exit(replica, .code(0)) }
        run.pass(3)
        #expect(epochs(run.actions) == 0)
        #expect(run.actions.outcome == .stopped(step: 4, checkpoint: "/c4"))
    }

    /// In warm-up compute needs none; a step that waits for them comes to no end.
    @Test(arguments: [true, false])
    func stopWithoutMinersAbandonsTheStepThatWaitsForThem(waits: Bool) throws {
        var plan = try FakeRun.plan()
        let miner = try #require(plan.topology.stages.firstIndex { $0.kind == .miner })
        plan.topology.stages[miner].replicas = 0
        let run = FakeRun(plan)
        run.handle(.start)
        run.handle(.interrupt)
        if waits { run.say(.heartbeat(Heartbeat(state: .waiting, waitingOn: Heartbeat.gradients)), as: .compute) }
        #expect(run.actions.commands(to: run.peer(.compute)).map(\.name) == (waits ? [.stop, .abandon] : [.stop]))
    }

    @Test(arguments: [true, false])
    func stopWithoutABankAbandonsTheStepInHand(isDeadBefore: Bool) throws {
        let run = try started()
        if isDeadBefore { run.exit(.bank, .signal(9)) }
        run.handle(.interrupt)
        if !isDeadBefore { run.exit(.bank, .signal(9)) }
        #expect(run.actions.commands(to: run.peer(.compute)).map(\.name) == [.stop, .abandon])
        for replica in [Replica.compute] + workers {
            run.say(.bye(Bye(.stopped)), as: replica)
            run.exit(replica, .code(0))
        }
        #expect(run.actions.outcome == .stopped(step: nil, checkpoint: nil))
    }

    @Test func checkpointThatCannotBeWrittenIsSaid() throws {
        let run = try started()
        run.say(.event(StageEvent(.checkpointFailed, "no checkpoint of step 4: disk full", step: 4)), as: .compute)
        #expect(run.actions.logged.contains("compute-1: no checkpoint of step 4: disk full"))
        #expect(run.core.phase == .training && run.core.checkpoint == nil)
    }

    // MARK: A supervisor's death

    @Test func livingStagesAreTakenOverAsTheyAre() throws {
        let run = try FakeRun()
        #expect(run.takeOver(all).spawned.isEmpty)
        // Whatever a stage says first, it hears of the new supervisor and says HELLO.
        for replica in all {
            let answer = run.say(.heartbeat(Heartbeat(state: .running)), as: replica)
            #expect(answer == [.send(.heartbeat, to: run.peer(replica))])
            run.hello(replica, epoch: Epoch(1))
        }
        #expect(run.core.phase == .training)
        let orphan = ControlPeer(.init([7]))
        let late = run.handle(
            .message(.heartbeat(Heartbeat(state: .running)), from: orphan, incarnation: Incarnation(rawValue: "old")))
        #expect(late == [.send(.refused("this run goes on without you"), to: orphan)])
        run.pass(40)
        #expect(run.actions.signals.isEmpty && run.actions.spawned.isEmpty)

        run.say(.event(StageEvent(.finished, "done", step: 10, path: "/c10")), as: .compute)
        run.exit(.compute, .unknown)
        run.pass(3)
        for replica in [Replica.bank] + workers { run.exit(replica, .unknown) }
        run.pass(3)
        #expect(run.actions.outcome == .finished(step: 10, checkpoint: "/c10", evaluation: nil))
    }

    /// The list may have changed while there was nobody to tell them.
    @Test func whoListensReadsTheKeysAgainAfterATakeover() throws {
        var plan = try FakeRun.plan()
        plan.keys = "/keys"
        let run = FakeRun(plan: plan)
        run.takeOver(all)
        let told = all.map { run.hello($0, epoch: Epoch(1)).commands(to: run.peer($0)).map(\.name) }
        #expect(told == [[.reloadKeys], [.reloadKeys], [], [], []])
    }

    /// Between the takeover and its HELLO compute has a step and a checkpoint to lose already.
    @Test func aStopRightAfterATakeoverWaitsForComputesCheckpoint() throws {
        let run = try FakeRun()
        run.takeOver(all)
        for replica in all where replica != .compute { run.hello(replica, epoch: Epoch(1)) }
        #expect(run.handle(.interrupt).signals.isEmpty)
        let told = run.hello(.compute, epoch: Epoch(1))
        #expect(told.commands(to: run.peer(.compute)) == [Command(.stop)])
        #expect(run.pass(60).signals.isEmpty)
        run.say(.event(StageEvent(.checkpoint, "", step: 7, path: "/c7")), as: .compute)
        run.say(.bye(Bye(.stopped)), as: .compute)
        run.exit(.compute, .unknown)
        for replica in [Replica.bank] + workers { run.exit(replica, .unknown) }
        run.pass(3)
        #expect(run.actions.outcome == .stopped(step: 7, checkpoint: "/c7"))
    }

    @Test func whoDiedMeanwhileIsReplaced() throws {
        let run = try FakeRun()
        #expect(run.takeOver([.compute, .loader(1), .miner]).spawned == [.bank, .loader(2)])
        #expect(epochs(run.actions) == 0)
        #expect(run.actions.configuration(of: run.peer(.bank))?.epoch == Epoch(1))
    }

    @Test func deadComputeTakesTheSurvivorsBack() throws {
        let run = try FakeRun()
        run.newest = Checkpoint(step: 5, path: "/c5")
        let actions = run.takeOver([.bank] + workers)
        #expect(actions.signals == ["bank-1 9"] && actions.spawned.isEmpty)
        #expect(run.exit(.bank, .unknown).spawned == [.bank, .compute])
        #expect(run.actions.configuration(of: run.peer(.compute))?.resume == "/c5")
        for replica in workers { run.hello(replica, epoch: Epoch(1)) }
        #expect(run.core.phase == .training)
    }

    @Test func survivorThatDoesNotAnswerIsKilledAndReplaced() throws {
        let run = try FakeRun()
        run.takeOver(all)
        for replica in all where replica != .miner { run.hello(replica, epoch: Epoch(1)) }
        #expect(run.pass(10, silent: [.miner]).signals == ["miner-1 9"])
        run.exit(.miner, .unknown)
        #expect(run.pass(1).spawned == [.miner])
        #expect(run.actions.logged.contains("it did not answer the supervisor that took the run over"))
    }

    @Test func computeOfAnotherEpochIsNotTakenOver() throws {
        let run = try FakeRun()
        run.takeOver(all)
        for replica in all where replica != .compute { run.hello(replica, epoch: Epoch(1)) }
        let answer = run.hello(.compute, epoch: Epoch(7))
        #expect(answer.contains(.send(.refused("epoch 7 is over"), to: run.peer(.compute))))
        #expect(answer.signals == ["compute-1 9"])
        run.exit(.compute, .unknown)
        run.exit(.bank, .unknown)
        #expect(run.pass(1).spawned == [.bank, .compute])
    }

    @Test func processThatTheTopologyHasNoLongerIsKilled() throws {
        let run = try FakeRun()
        #expect(run.takeOver(all + [Replica("cutter", 1)]).signals == ["cutter-1 9"])
    }

    @Test func workersBeyondTheCountAreLetGoAndScaledOnesStay() throws {
        let run = try FakeRun()
        #expect(run.takeOver(all + [.loader(3)]).signals == ["loader-3 15"])
        var plan = try FakeRun.plan()
        plan.counts = ["loader": 3]
        let scaled = FakeRun(plan: plan)
        let actions = scaled.takeOver(all + [.loader(3)])
        #expect(actions.signals.isEmpty && actions.spawned.isEmpty)
    }

    @Test func workersOfAnOlderEpochAreWelcome() throws {
        let run = try FakeRun()
        run.takeOver(all)
        #expect(run.hello(.loader(1), epoch: Epoch(9)).configuration(of: run.peer(.loader(1))) != nil)
    }
}
