import Configuration
import StageKit
import TestSupport
import Testing
import Wire

@testable import Supervisor

@Suite struct SupervisorCoreTests {
    private let report = EvaluationReport(split: "val", images: 1, classes: [])

    @Test func bankStartsFirstThenComputeThenWorkers() throws {
        let run = try FakeRun(hasEvaluation: true)
        run.handle(.start)
        #expect(run.actions.spawned == [.bank, .compute, .loader(1), .loader(2), .miner])
        #expect(run.core.phase == .training)
    }

    @Test func configurationAnswersHello() throws {
        let run = try FakeRun()
        run.handle(.start, answering: false)
        let answer = run.hello(.loader(2))
        guard case .send(.configuration(let configuration), to: run.peer(.loader(2)))? = answer.last else {
            return #expect(Bool(false), "no configuration in \(answer)")
        }
        #expect(configuration.replicas["loader"] == 2)
        #expect(configuration.recipe.schedule.iterations == 10)
        #expect(configuration.epoch == Epoch(1))
    }

    @Test func repeatedHelloIsConfiguredAgainAndChangesNothing() throws {
        let run = try FakeRun()
        run.handle(.start)
        let before = run.core.report()
        let again = run.hello(.compute)
        #expect(again.count == 1)
        #expect(run.core.report() == before)
    }

    @Test func processThatTheRunDidNotStartIsRefused() throws {
        let run = try FakeRun()
        run.handle(.start)
        let stranger = ControlPeer(.init([9]))
        let hello = Hello(
            stage: "loader", id: 1, kind: .loader, pid: 1, host: "there",
            fingerprint: Fingerprint(versions: [:], hash: "same"))
        let answer = run.handle(.message(.hello(hello), from: stranger, incarnation: Incarnation(rawValue: "x")))
        #expect(answer.contains(.send(.refused("this run has not started you"), to: stranger)))
        #expect(!run.actions.contains { if case .send(.configuration, to: stranger) = $0 { true } else { false } })
    }

    @Test func heartbeatOfAnUnknownPeerIsRefused() throws {
        let run = try FakeRun()
        run.handle(.start)
        let orphan = ControlPeer(.init([7]))
        let answer = run.handle(
            .message(.heartbeat(Heartbeat(state: .running)), from: orphan, incarnation: Incarnation(rawValue: "old")))
        #expect(answer == [.send(.refused("this run goes on without you"), to: orphan)])
    }

    // MARK: Fingerprints

    @Test func firstFingerprintOfAStageIsJournalled() throws {
        let run = try FakeRun()
        run.handle(.start)
        let journalled = run.actions.compactMap {
            if case .journal(.fingerprint(let stage, _)) = $0 { stage } else { nil }
        }
        #expect(journalled == ["bank", "compute", "loader", "miner"])
    }

    @Test func stagesOfOneKindMayComputeByDifferentPrograms() throws {
        let run = try FakeRun()
        run.insertCutout()
        run.handle(.start, answering: false)
        run.hello(.loader(1))
        let other = Fingerprint(versions: ["numpy": "1.24"], hash: "other")
        let answer = run.hello(.cutout, kind: .loader, fingerprint: other)
        #expect(answer.contains { if case .send(.configuration, to: run.peer(.cutout)) = $0 { true } else { false } })
        #expect(answer.contains(.journal(.fingerprint(stage: "cutout", other))))
    }

    @Test func lossIsToldToWhoeverTakesTheStagesWork() throws {
        let run = try FakeRun()
        run.insertCutout()
        run.handle(.start, answering: false)
        for replica in [Replica.bank, .compute, .loader(1), .loader(2), .miner] { run.hello(replica) }
        run.hello(.cutout, kind: .loader)
        let loader = run.exit(.loader(1), .signal(9))
        #expect(loader.commands(to: run.peer(.cutout)) == [Command(.workerLost, worker: "loader-1")])
        #expect(loader.commands(to: run.peer(.compute)) == [])
        let computes = run.peer(.compute)
        let cutout = run.exit(.cutout, .signal(9))
        #expect(cutout.commands(to: computes) == [Command(.workerLost, worker: "cutout-1")])
    }

    @Test func differentFingerprintIsRefusedAndEndsTheRun() throws {
        let run = try FakeRun(fingerprints: ["loader": Fingerprint(versions: ["libjpeg": "2.0"], hash: "same")])
        run.handle(.start, answering: false)
        let answer = run.hello(.loader(1), fingerprint: Fingerprint(versions: ["libjpeg": "2.1"], hash: "same"))
        #expect(answer.contains { if case .send(.refused, to: run.peer(.loader(1))) = $0 { true } else { false } })
        for replica in [Replica.bank, .compute, .loader(1), .loader(2), .miner] { run.exit(replica, .signal(15)) }
        #expect(run.actions.failure?.contains("libjpeg 2.1 instead of 2.0") == true)
    }

    @Test func differentFingerprintOfAnotherKindDoesNotMatter() throws {
        let run = try FakeRun(fingerprints: ["compute": Fingerprint(versions: [:], hash: "other")])
        run.handle(.start, answering: false)
        let answer = run.hello(.loader(1))
        #expect(answer.contains { if case .send(.configuration, _) = $0 { true } else { false } })
    }

    @Test func relaxedRunTakesADifferentFingerprint() throws {
        let run = try FakeRun(
            determinism: .relaxed, fingerprints: ["loader": Fingerprint(versions: [:], hash: "other")])
        run.handle(.start, answering: false)
        let answer = run.hello(.loader(1))
        #expect(answer.contains { if case .send(.configuration, _) = $0 { true } else { false } })
        #expect(answer.logged.contains("other bits"))
    }

    // MARK: Deaths

    @Test func deadWorkerIsReplacedAfterItsBackoffAndComputeIsTold() throws {
        let run = try FakeRun()
        run.handle(.start)
        let told = run.exit(.loader(1), .signal(9))
        #expect(told.commands(to: run.peer(.compute)).map(\.name) == [.workerLost])
        #expect(told.commands(to: run.peer(.compute)).map(\.worker) == ["loader-1"])
        run.clock.advance(.milliseconds(499))
        #expect(run.handle(.tick).spawned.isEmpty)
        run.clock.advance(.milliseconds(1))
        #expect(run.handle(.tick).spawned == [.loader(1)])
        #expect(run.core.report().stages.first { $0.stage == "loader" && $0.id == 1 }?.restarts == 1)
    }

    @Test func backoffDoublesUpToItsBound() throws {
        let run = try FakeRun()
        run.handle(.start)
        var waits: [Duration] = []
        for _ in 0..<4 {
            run.exit(.loader(1), .signal(9))
            let died = run.clock.now
            while run.handle(.tick).spawned.isEmpty { run.clock.advance(.milliseconds(100)) }
            waits.append(run.clock.now - died)
        }
        #expect(waits == [.milliseconds(500), .seconds(1), .seconds(2), .seconds(4)])
    }

    @Test func replicaIsGivenUpAfterFiveFailuresButTheRunGoesOnWithTheOther() throws {
        let run = try FakeRun()
        run.handle(.start)
        for _ in 0..<5 {
            run.exit(.loader(1), .signal(11))
            run.pass(10)
        }
        #expect(run.actions.spawned.filter { $0 == .loader(1) }.count == 5)
        #expect(run.actions.logged.contains("loader-1 failed 5 times in a row"))
        #expect(run.core.phase == .training)
    }

    @Test func lastReplicaGivenUpEndsTheRunWithItsLastLogLine() throws {
        let run = try FakeRun(loaders: 1)
        run.handle(.start)
        for _ in 0..<5 {
            run.exit(.loader(1), .code(1), line: "cannot open /data: no such folder")
            run.pass(15)
        }
        for replica in [Replica.compute, .bank, .miner] {
            run.say(.bye(Bye(.stopped)), as: replica)
            run.exit(replica, .code(0))
        }
        let message = try #require(run.actions.failure)
        #expect(message.hasPrefix("loader-1 failed 5 times in a row"))
        #expect(message.contains("cannot open /data: no such folder"))
    }

    @Test func workerThatWorkedForAMinuteStartsCountingAnew() throws {
        let run = try FakeRun(loaders: 1)
        run.handle(.start)
        for _ in 0..<12 {
            run.pass(75)
            run.exit(.loader(1), .signal(9))
        }
        #expect(run.core.phase == .training)
    }

    @Test func failureOfComputeEndsTheRunAndNamesItFirst() throws {
        let run = try FakeRun()
        run.handle(.start)
        run.say(.event(StageEvent(.failed, "out of memory in conv2d")), as: .compute)
        run.say(.bye(Bye(.failed)), as: .compute)
        let stopping = run.exit(.compute, .code(1))
        #expect(stopping.commands(to: run.peer(.bank)).map(\.name) == [.ending, .stop])
        // What follows from it is not the cause.
        run.exit(.bank, .signal(11))
        for replica in [Replica.loader(1), .loader(2), .miner] { run.exit(replica, .signal(15)) }
        #expect(run.actions.failure == "compute-1 failed first: out of memory in conv2d")
    }

    @Test func computeThatEndsEarlyWithoutAWordIsAFailure() throws {
        let run = try FakeRun()
        run.handle(.start)
        run.exit(.compute, .code(0))
        #expect(run.core.phase == .training, "its last words may still come")
        run.pass(3)
        #expect(run.core.phase == .stopping)
        #expect(run.actions.logged.contains("compute-1 failed first: it ended before its work was done"))
    }

    @Test func lastWordsAfterTheExitStillCount() throws {
        let run = try FakeRun()
        run.handle(.start)
        run.exit(.compute, .code(0))
        run.say(.event(StageEvent(.finished, "done", step: 10, path: "/c")), as: .compute)
        run.say(.bye(Bye(.finished)), as: .compute)
        #expect(run.core.phase == .stopping)
        for replica in [Replica.bank, .loader(1), .loader(2), .miner] { run.exit(replica, .signal(15)) }
        #expect(run.actions.outcome == .finished(step: 10, checkpoint: "/c", evaluation: nil))
    }

    @Test func processThatCannotBeStartedEndsTheRun() throws {
        let run = try FakeRun()
        var actions = run.core.handle(.start, now: .zero)
        actions += run.core.handle(.spawnFailed(.bank, "cannot start /x: no such file"), now: .zero)
        for (index, replica) in [Replica.compute, .loader(1), .loader(2), .miner].enumerated() {
            actions += run.core.handle(.spawned(replica, pid: Int32(index + 1)), now: .zero)
            actions += run.core.handle(.exited(replica, pid: Int32(index + 1), .signal(15), lastLine: nil), now: .zero)
        }
        #expect(actions.failure == "bank-1 could not be started: cannot start /x: no such file")
    }

    /// As by a limit on processes, which the others are within.
    @Test func workerThatCannotBeStartedIsDoneWithout() throws {
        let run = try FakeRun()
        var actions = run.core.handle(.start, now: .zero)
        let why = "loader-2 could not be started: cannot start /x: no room"
        for _ in 1...5 {
            #expect(!actions.logged.contains("going on with"))
            actions += run.core.handle(.spawnFailed(.loader(2), "cannot start /x: no room"), now: .zero)
            #expect(actions.logged.contains("\(why); trying again"))
        }
        #expect(actions.logged.contains("\(why); going on with 1 other") && run.core.phase == .starting)
        actions += run.core.handle(.spawnFailed(.loader(1), "cannot start /x: no room"), now: .zero)
        #expect(run.core.phase == .stopping)
    }

    // MARK: Silence

    @Test func silentWorkerIsKilledThenReplacedAndItsTicketIsNotBlamed() throws {
        let run = try FakeRun()
        run.handle(.start)
        let actions = run.pass(10, silent: [.miner])
        #expect(actions.signals == ["miner-1 9"])
        #expect(actions.spawned.isEmpty, "not before the old one is gone")
        let told = run.exit(.miner, .signal(9))
        #expect(told.commands(to: run.peer(.compute)).map(\.name) == [.expectLoss, .workerLost])
        #expect(run.pass(1).spawned == [.miner])
    }

    @Test func computeIsGivenThriceTheSilence() throws {
        let run = try FakeRun()
        run.handle(.start)
        #expect(run.pass(29, silent: [.compute]).signals.isEmpty)
        #expect(run.pass(1, silent: [.compute]).signals == ["compute-1 9"])
        run.exit(.compute, .signal(9))
        #expect(run.actions.logged.contains("compute-1: it was silent for 30 s and was killed"))
    }

    @Test func nothingIsDueAtOnceWhileAKilledProcessEnds() throws {
        let run = try FakeRun()
        run.handle(.start)
        run.pass(10, silent: [.miner])
        let next = try #require(run.core.nextDeadline)
        #expect(next > run.clock.now, "the loop would spin")
    }

    @Test func supervisorThatStoodStillBlamesNobody() throws {
        let run = try FakeRun()
        run.handle(.start)
        run.pass(2)
        run.clock.advance(.seconds(3600))
        #expect(run.handle(.tick).signals.isEmpty)
    }

    @Test func missingHelloKillsAndNamesTheLog() throws {
        let run = try FakeRun()
        run.handle(.start, answering: false)
        for replica in [Replica.bank, .loader(1), .loader(2), .miner] { run.hello(replica) }
        let actions = run.pass(120)
        #expect(actions.signals == ["compute-1 9"])
        run.exit(.compute, .signal(9))
        #expect(run.actions.logged.contains("compute-1: it said nothing for 2 min after its start"))
        #expect(run.actions.logged.contains("/runs/fake/logs/compute-1.log"))
    }

    // MARK: Stopping

    @Test func interruptStopsComputeFirstThenTheRest() throws {
        let run = try FakeRun()
        run.handle(.start)
        let first = run.handle(.interrupt)
        #expect(first.commands(to: run.peer(.compute)).map(\.name) == [.stop])
        // Compute may need samples to finish its step, and the bank for its checkpoint.
        for replica in [Replica.bank, .loader(1), .miner] {
            #expect(first.commands(to: run.peer(replica)).map(\.name) == [.ending])
        }
        run.say(.event(StageEvent(.checkpoint, "checkpoint", step: 7, path: "/c7")), as: .compute)
        run.say(.bye(Bye(.stopped)), as: .compute)
        let second = run.exit(.compute, .code(0))
        for replica in [Replica.bank, .loader(1), .loader(2), .miner] {
            #expect(second.commands(to: run.peer(replica)).map(\.name) == [.stop])
            run.say(.bye(Bye(.stopped)), as: replica)
            run.exit(replica, .code(0))
        }
        #expect(run.actions.outcome == .stopped(step: 7, checkpoint: "/c7"))
    }

    @Test func secondInterruptTerminatesAndThenKills() throws {
        let run = try FakeRun()
        run.handle(.start)
        run.handle(.interrupt)
        let all: [Replica] = [.bank, .compute, .loader(1), .loader(2), .miner]
        #expect(run.handle(.interrupt).signals == all.map { "\($0) 15" })
        #expect(run.pass(5).signals == all.map { "\($0) 9" })
        for replica in all { run.exit(replica, .signal(9)) }
        #expect(run.actions.outcome == .stopped(step: nil, checkpoint: nil))
    }

    @Test func computeThatDoesNotStopInTimeIsTerminatedAndReported() throws {
        let run = try FakeRun()
        run.handle(.start)
        run.handle(.interrupt)
        #expect(run.pass(119).signals.isEmpty)
        #expect(run.pass(1).signals == ["compute-1 15"])
        #expect(run.pass(5).signals == ["compute-1 9"])
        run.exit(.compute, .signal(9))
        for replica in [Replica.bank, .loader(1), .loader(2), .miner] { run.exit(replica, .code(0)) }
        run.pass(3)
        #expect(run.actions.failure?.contains("compute-1 failed while it was stopped: it did not stop in time") == true)
    }

    @Test func computeThatSaidGoodbyeHasStoppedHoweverItsProcessEnds() throws {
        let run = try FakeRun()
        run.handle(.start)
        run.handle(.interrupt)
        run.exit(.compute, .signal(15))
        run.say(.event(StageEvent(.checkpoint, "checkpoint", step: 7, path: "/c7")), as: .compute)
        run.say(.bye(Bye(.stopped)), as: .compute)
        for replica in [Replica.bank, .loader(1), .loader(2), .miner] {
            run.say(.bye(Bye(.stopped)), as: replica)
            run.exit(replica, .code(0))
        }
        #expect(run.actions.outcome == .stopped(step: 7, checkpoint: "/c7"))
    }

    @Test func stopRequestIsAnsweredAndStops() throws {
        let run = try FakeRun()
        run.handle(.start)
        let client = ControlPeer(.init([1]))
        let actions = run.handle(.message(.stopRequest, from: client, incarnation: Incarnation(rawValue: "c")))
        #expect(
            actions.contains {
                if case .send(.reply(let report), to: client) = $0 { report.phase == .stopping } else { false }
            })
        #expect(actions.commands(to: run.peer(.compute)).map(\.name) == [.stop])
    }

    @Test func stopBeforeAnyHelloEndsEverything() throws {
        let run = try FakeRun()
        run.handle(.start, answering: false)
        #expect(run.handle(.interrupt).signals == ["compute-1 15"])
        run.exit(.compute, .signal(15))
        for replica in [Replica.bank, .loader(1), .loader(2), .miner] { run.exit(replica, .signal(15)) }
        #expect(run.actions.signals.count == 5)
        #expect(run.actions.outcome == .stopped(step: nil, checkpoint: nil))
    }

    // MARK: Finishing

    private func finish(_ run: FakeRun) {
        run.say(.event(StageEvent(.finished, "done", step: 10, path: "/c10")), as: .compute)
        run.say(.bye(Bye(.finished)), as: .compute)
        run.exit(.compute, .code(0))
    }

    @Test func finishedTrainingIsEvaluatedByEvaluatorsStartedThen() throws {
        let run = try FakeRun(hasEvaluation: true)
        run.handle(.start)
        finish(run)
        #expect(run.actions.contains(.startEvaluation(checkpoint: "/c10")))
        #expect(run.actions.spawned.last == .evaluator)
        for replica in [Replica.bank, .loader(1), .loader(2), .miner] {
            #expect(run.actions.commands(to: run.peer(replica)).map(\.name) == [.stop])
            run.exit(replica, .signal(15))
        }
        #expect(run.actions.outcome == nil)
        run.handle(.evaluationEnded(.succeeded(EvaluationResult(report: report))))
        #expect(run.actions.commands(to: run.peer(.evaluator)).map(\.name) == [.stop])
        run.exit(.evaluator, .signal(15))
        #expect(run.actions.outcome == .finished(step: 10, checkpoint: "/c10", evaluation: report))
    }

    @Test func dyingEvaluatorIsReplacedAndItsConsumerTold() throws {
        let run = try FakeRun(hasEvaluation: true, goal: .evaluate(checkpoint: "/c"))
        run.handle(.start)
        #expect(run.actions.spawned == [.evaluator])
        #expect(run.exit(.evaluator, .signal(9)).contains(.evaluationWorkerLost("evaluator-1", expected: false)))
        #expect(run.pass(1).spawned == [.evaluator])
        run.handle(.evaluationEnded(.succeeded(EvaluationResult(report: report))))
        run.exit(.evaluator, .signal(15))
        #expect(run.actions.outcome == .finished(step: nil, checkpoint: nil, evaluation: report))
    }

    @Test func interruptedEvaluationIsCancelled() throws {
        let run = try FakeRun(hasEvaluation: true)
        run.handle(.start)
        finish(run)
        #expect(run.handle(.interrupt).contains(.cancelEvaluation))
        run.handle(.evaluationEnded(.failed("cancelled")))
        for replica in [Replica.bank, .loader(1), .loader(2), .miner, .evaluator] { run.exit(replica, .signal(15)) }
        #expect(run.actions.outcome == .stopped(step: 10, checkpoint: "/c10"))
    }

    @Test func failedEvaluationFailsTheRun() throws {
        let run = try FakeRun(hasEvaluation: true, goal: .evaluate(checkpoint: "/c"))
        run.handle(.start)
        run.handle(.evaluationEnded(.failed("label 200 in val/3.png")))
        run.exit(.evaluator, .signal(15))
        #expect(run.actions.failure == "the final evaluation failed: label 200 in val/3.png")
    }

    // MARK: Reports

    @Test func reportShowsStepRateAndWhatStagesWaitFor() throws {
        let run = try FakeRun()
        run.handle(.start)
        run.say(
            .heartbeat(
                Heartbeat(
                    state: .waiting, waitingOn: "samples",
                    step: StepMetrics(step: 5, lr: 0.1, ce: 1, imagesPerSecond: 2))), as: .compute)
        let report = run.core.report()
        #expect(report.step == 5 && report.iterations == 10)
        #expect(report.etaSeconds == 10)
        #expect(report.stages.first { $0.stage == "compute" }?.waitingOn == "samples")
        #expect(report.stages.map(\.pid).allSatisfy { $0 != nil })
    }

    @Test func skippedSampleIsJournalled() throws {
        let run = try FakeRun()
        run.handle(.start)
        let actions = run.say(.event(StageEvent(.sampleSkipped, "a.jpg: truncated", step: 3)), as: .compute)
        #expect(actions.contains(.journal(.sampleSkipped("a.jpg: truncated", step: 3))))
        // Compute says it again to a supervisor that takes the run over.
        let event = StageEvent(.sampleSkipped, "b.jpg: truncated", step: 4, position: 9)
        #expect(
            run.say(.event(event), as: .compute).contains(.journal(.sampleSkipped(event.message, step: 4, position: 9)))
        )
        #expect(run.say(.event(event), as: .compute).isEmpty)
    }
}
