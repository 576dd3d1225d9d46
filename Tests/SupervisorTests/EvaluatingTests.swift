import Configuration
import Foundation
import StageKit
import TestSupport
import Testing
import Wire

@testable import Supervisor

/// Evaluations beside training, decided by the core.
@Suite struct EvaluatingTests {
    private let folder = try! TemporaryFolder("evaluating")

    /// Ten steps; every fourth is evaluated.
    private func run(_ change: (inout LaunchPlan) -> Void = { _ in }) throws -> FakeRun {
        var plan = try FakeRun.plan(directory: folder.path)
        plan.recipe.evaluate.every = 4
        change(&plan)
        return FakeRun(plan, hasEvaluation: true)
    }

    private func result(_ step: UInt64) -> EvaluationResult {
        EvaluationResult(
            report: EvaluationReport(
                split: "val", images: 4, step: step, classes: [], mIoU: 0.25, pixelAccuracy: 0.5, meanAccuracy: 0.5,
                confusion: []))
    }

    @discardableResult
    private func checkpoint(_ run: FakeRun, _ step: UInt64) -> [SupervisorAction] {
        run.say(.event(StageEvent(.checkpoint, "checkpoint", step: step, path: "/c\(step)")), as: .compute)
    }

    private func finish(_ run: FakeRun) -> [SupervisorAction] {
        run.say(.event(StageEvent(.finished, "done", step: 10, path: "/c10")), as: .compute)
        run.say(.bye(Bye(.finished)), as: .compute)
        return run.exit(.compute, .code(0))
    }

    private let others = [Replica.bank, .loader(1), .loader(2), .miner]

    @Test func checkpointsThatAreDueAreEvaluatedOneAfterAnotherAndThenTheLast() throws {
        let run = try run()
        run.handle(.start)
        #expect(checkpoint(run, 3).spawned.isEmpty, "not every checkpoint is due")
        let first = checkpoint(run, 4)
        #expect(first.spawned == [.evaluator] && first.contains(.startEvaluation(checkpoint: "/c4")))
        #expect(run.core.phase == .training && run.core.report().evaluating == 4)
        #expect(checkpoint(run, 8).spawned.isEmpty, "it waits for its turn")

        let ended = run.handle(.evaluationEnded(.succeeded(result(4))))
        #expect(ended.contains(.journal(.evaluated(result(4).report.scores!))))
        #expect(ended.contains(.recordEvaluation(result(4).report.scores!, result(4))))
        #expect(ended.logged.contains("step 4: mIoU 25.00 % on val"))
        #expect(ended.commands(to: run.peer(.evaluator)).map(\.name) == [.stop])
        #expect(run.core.report().evaluation == result(4).report.scores)
        // The next one has evaluators of its own.
        let second = run.exit(.evaluator, .signal(15))
        #expect(second.spawned == [.evaluator] && second.contains(.startEvaluation(checkpoint: "/c8")))

        // Training is over; the run is not.
        #expect(!finish(run).contains(.startEvaluation(checkpoint: "/c10")))
        #expect(run.core.phase == .evaluating)
        for replica in others { run.exit(replica, .signal(15)) }
        run.handle(.evaluationEnded(.succeeded(result(8))))
        #expect(run.actions.outcome == nil)
        #expect(run.exit(.evaluator, .signal(15)).contains(.startEvaluation(checkpoint: "/c10")))
        run.handle(.evaluationEnded(.succeeded(result(10))))
        run.exit(.evaluator, .signal(15))
        #expect(run.actions.outcome == .finished(step: 10, checkpoint: "/c10", evaluation: result(10).report))
        #expect(run.core.report().evaluation?.step == 10)
    }

    @Test func failedEvaluationCostsItselfAlone() throws {
        let run = try run()
        run.handle(.start)
        checkpoint(run, 4)
        let actions = run.handle(.evaluationEnded(.failed("val/3.png: cut short")))
        #expect(actions.journalled == [.evaluationFailed(step: 4, "val/3.png: cut short")])
        #expect(actions.contains(.recordFailedEvaluation(step: 4, "val/3.png: cut short")))
        #expect(actions.logged == "the evaluation of step 4 failed: val/3.png: cut short; training goes on")
        run.exit(.evaluator, .signal(15))
        #expect(run.core.phase == .training && run.core.report().evaluation == nil)
        #expect(checkpoint(run, 8).contains(.startEvaluation(checkpoint: "/c8")))
    }

    @Test func evaluatorsThatCannotLiveEndTheirEvaluationAlone() throws {
        let run = try run()
        run.handle(.start)
        checkpoint(run, 4)
        for death in 1...5 {
            let actions = run.exit(.evaluator, .signal(9))
            #expect(actions.contains(.cancelEvaluation) == (death == 5))
            // However far training comes meanwhile.
            let metrics = StepMetrics(step: UInt64(death), lr: 1, ce: 1)
            run.say(.heartbeat(Heartbeat(state: .running, step: metrics)), as: .compute)
            run.pass(11)
        }
        let ended = run.handle(.evaluationEnded(.failed("cancelled")))
        #expect(ended.logged.contains("the evaluation of step 4 failed: evaluator-1 failed 5 times in a row"))
        #expect(run.core.ending == nil && run.core.phase == .training)
        // Another evaluation tries again.
        #expect(checkpoint(run, 8).spawned == [.evaluator])
        run.exit(.evaluator, .signal(9))
        #expect(run.pass(1).spawned == [.evaluator], "deaths count anew")
    }

    @Test func evaluatorOfOtherBitsFailsItsEvaluationAlone() throws {
        let run = try run { $0.fingerprints["evaluator"] = Fingerprint(versions: [:], hash: "same") }
        run.handle(.start)
        run.handle(
            .message(.event(StageEvent(.note, "x")), from: run.peer(.compute), incarnation: run.incarnation(.compute)))
        run.handle(
            .message(
                .event(StageEvent(.checkpoint, "checkpoint", step: 4, path: "/c4")), from: run.peer(.compute),
                incarnation: run.incarnation(.compute)), answering: false)
        let actions = run.hello(.evaluator, fingerprint: Fingerprint(versions: [:], hash: "other"))
        #expect(actions.contains(.cancelEvaluation) && run.core.ending == nil)
    }

    @Test func stoppedRunLeavesWhatIsDueForAResume() throws {
        let run = try run()
        run.handle(.start)
        checkpoint(run, 4)
        #expect(run.handle(.interrupt).contains(.cancelEvaluation))
        let ended = run.handle(.evaluationEnded(.failed("cancelled")))
        #expect(
            ended.journalled.isEmpty && !ended.contains { if case .recordFailedEvaluation = $0 { true } else { false } }
        )

        let resumed = try self.run { $0.evaluations = EvaluationHistory(due: [Checkpoint(step: 4, path: "/c4")]) }
        #expect(resumed.handle(.start).contains(.startEvaluation(checkpoint: "/c4")))
        // Compute tells of it again.
        checkpoint(resumed, 4)
        resumed.handle(.evaluationEnded(.succeeded(result(4))))
        #expect(!resumed.exit(.evaluator, .signal(15)).contains(.startEvaluation(checkpoint: "/c4")))
    }

    @Test func stepsThatWereEvaluatedAreNotAgainAfterARollback() throws {
        let run = try run()
        run.handle(.start)
        checkpoint(run, 4)
        run.handle(.evaluationEnded(.succeeded(result(4))))
        run.exit(.evaluator, .signal(15))
        run.newest = Checkpoint(step: 3, path: "/c3")
        run.exit(.compute, .signal(9))
        run.exit(.bank, .signal(9))
        run.pass(2)
        #expect(run.core.plan.epoch == Epoch(2))
        #expect(!checkpoint(run, 4).contains(.startEvaluation(checkpoint: "/c4")))
        // Nor by the next supervisor, which sees the record.
        try EvaluationRecord.write("{}", inRun: folder.path, step: 4)
        let next = try self.run()
        next.handle(.start)
        #expect(checkpoint(next, 4).spawned.isEmpty)
    }

    /// Compute died after its checkpoint was durable and before it could say so.
    @Test func checkpointThatTrainingGoesOnFromIsDueToo() throws {
        let run = try run()
        run.handle(.start)
        run.newest = Checkpoint(step: 4, path: "/c4")
        run.exit(.compute, .signal(9))
        run.exit(.bank, .signal(9))
        #expect(run.pass(2).contains(.startEvaluation(checkpoint: "/c4")))
    }

    @Test func takenOverRunDoesTheHalfDoneEvaluationAgainByNewEvaluators() throws {
        let run = try run {
            $0.evaluations = EvaluationHistory(due: [Checkpoint(step: 4, path: "/c4")])
            $0.counts = ["evaluator": 2]
        }
        let second = Replica("evaluator", 2)
        let actions = run.takeOver([.bank, .compute, .loader(1), .loader(2), .miner, .evaluator, second])
        #expect(actions.signals == ["evaluator-1 9", "evaluator-2 9"])
        #expect(!run.actions.contains(.startEvaluation(checkpoint: "/c4")))
        for replica in [Replica.bank, .compute, .loader(1), .loader(2), .miner] { run.hello(replica, epoch: Epoch(1)) }
        run.exit(.evaluator, .unknown)
        let restarted = run.exit(second, .unknown)
        #expect(restarted.spawned == [.evaluator, second])
        #expect(restarted.contains(.startEvaluation(checkpoint: "/c4")))
    }

    @Test func evaluatorsScaleWhileAnEvaluationRunsAndBetween() throws {
        let run = try run()
        run.handle(.start)
        let client = ControlPeer(.init([5]))
        func scale(_ count: Int) -> [SupervisorAction] {
            run.handle(
                .message(
                    .scaleRequest(ScaleRequest(stages: ["evaluator": count])), from: client,
                    incarnation: Incarnation(rawValue: "c")))
        }
        #expect(scale(2).spawned.isEmpty)
        let second = Replica("evaluator", 2)
        #expect(checkpoint(run, 4).spawned == [.evaluator, second])
        #expect(scale(3).spawned == [Replica("evaluator", 3)])
        let down = scale(1)
        #expect(down.commands(to: run.peer(second)).map(\.name) == [.drain])
        for id in [2, 3] { run.exit(Replica("evaluator", id), .signal(15)) }
        run.handle(.evaluationEnded(.succeeded(result(4))))
        run.exit(.evaluator, .signal(15))
        #expect(scale(2).spawned.isEmpty)
        #expect(checkpoint(run, 8).spawned == [.evaluator, second])
    }

    @Test func statusSaysWhatTheNewestEvaluationFound() throws {
        let entries: [JournalEntry] = [
            .evaluated(result(4).report.scores!), .evaluationFailed(step: 6, "why"),
            .evaluated(result(8).report.scores!),
        ]
        for step in [4, 8] as [UInt64] { try EvaluationRecord.write("{}", inRun: folder.path, step: step) }
        let found = entries.evaluations(inRun: folder.path)
        #expect(found.map(\.step) == [4, 8])
        try EvaluationRecord.forget(after: 0, inRun: folder.path)
        let run = try run { $0.evaluations = EvaluationHistory(latest: found.last) }
        run.handle(.start)
        checkpoint(run, 4)
        let text = run.core.report().text
        #expect(text.contains("mIoU 25.00 % on val at step 8") && text.contains("evaluating the network of step 4"))
    }

    /// Somebody moved newer checkpoints away to train on from an older one, for more steps.
    @Test func whatWasMeasuredOfATrainingThatWasGivenUpIsForgotten() throws {
        for step in [4, 8, 1_000_000] as [UInt64] {
            try EvaluationRecord.write("{}", inRun: folder.path, step: step)
            try FileManager.default.createDirectory(
                atPath: folder("evaluations/\(Checkpoint.folderName(step: step))"), withIntermediateDirectories: false)
        }
        try folder.write("mine", to: "evaluations/notes.txt")
        try folder.write("{}", to: "evaluation.json")
        try EvaluationRecord.forget(after: 4, inRun: folder.path)
        let kept = try FileManager.default.contentsOfDirectory(atPath: folder("evaluations")).sorted()
        #expect(kept == ["notes.txt", "step-000004", "step-000004.json"])
        #expect(!FileManager.default.fileExists(atPath: folder("evaluation.json")))
        let entries = [4, 8].map { JournalEntry.evaluated(result($0).report.scores!) }
        #expect(entries.evaluations(inRun: folder.path).map(\.step) == [4])
        // A run that has measured nothing yet has nothing to forget.
        try EvaluationRecord.forget(after: 0, inRun: folder("absent"))
    }
}
