import Foundation
import Imaging
import TestSupport
import Testing

extension Pipeline {
    /// Evaluation as a pool: by any number of evaluators, and beside training.
    @Suite struct LiveEvaluationTests {
        private static let every = ["--set", "evaluate.every=20", "--set", "checkpoints={every: 500, keep: 1}"]

        /// The undisturbed run that is evaluated on its way, and how it ended; made once.
        static let calm: Result<(play: Playground, ending: PicoFlowProcess.Ending), any Error> = Result {
            let play = try Playground()
            return (play, try play.launch(every).wait())
        }

        private func step(_ number: Int) -> String { "step-\(String(format: "%06d", number))" }

        private func record(_ play: Playground, _ number: Int) -> [String: Any] {
            FileManager.default.contents(atPath: play.run + "/evaluations/\(step(number)).json")
                .flatMap { try? JSONSerialization.jsonObject(with: $0) as? [String: Any] } ?? [:]
        }

        private func journal(_ play: Playground) -> String {
            (try? String(contentsOfFile: play.run + "/journal.jsonl", encoding: .utf8)) ?? ""
        }

        @Test func evaluationsBesideTrainingChangeNoBitAndAreKept() throws {
            let (play, ending) = try Self.calm.get()
            #expect(ending.code == 0, "\(ending)")
            #expect(try play.weights() == Reference.weights())
            let steps = [20, 40, 60, 80]
            // Of the newest also pictures.
            #expect(play.names(play.run + "/evaluations") == (steps.map { step($0) + ".json" } + [step(80)]).sorted())
            #expect(play.names(play.run + "/checkpoints") == [step(80)], "kept no longer than its evaluation takes")
            let lines = play.evaluations()
            #expect(lines.compactMap { $0["step"] as? Int } == steps)
            for (line, number) in zip(lines, steps) {
                let mIoU = try #require(record(play, number)["mIoU"] as? Double)
                #expect(line["mIoU"] as? Double == mIoU && line["split"] as? String == "val")
                #expect(number == 80 || ending.errors.contains("step \(number): mIoU "), "\(ending)")
            }
            #expect(journal(play).components(separatedBy: #""entry":"evaluated""#).count == 5)
            let events = try #require(
                FileManager.default.contents(
                    atPath: play.run + "/events/supervisor/events.out.tfevents.0000000001.picoflow"))
            #expect(events.range(of: Data("val/mIoU".utf8)) != nil)
            let status = try play.command("status", "--run", play.run)
            #expect(status.output.contains("on val at step 80"), "\(status)")
            #expect(play.metrics().count == Playground.iterations)
        }

        /// The supervisor is killed while evaluators stand still; the next one does that evaluation again, with two of
        /// them, of which one is killed.
        @Test func killedSupervisorAndEvaluatorsChangeNoResult() throws {
            let calm = try Self.calm.get().play
            let play = try Playground()
            let run = try play.launch(Self.every)
            var evaluator: Int32?
            let isThere = waitUntil(.seconds(60)) {
                evaluator = evaluator ?? play.stages()["evaluator-1"]
                return evaluator.map { kill($0, SIGSTOP) == 0 } ?? !run.isRunning
            }
            #expect(isThere && run.isRunning, "\(run.errors)")
            let compute = try play.pid(of: "compute-1")
            kill(compute, SIGSTOP)
            run.signal(SIGKILL)
            _ = try run.wait()
            let resumed = try play.start(["launch", "--resume", play.run, "--stage", "evaluator=2"])
            let isTakenOver = waitUntil(.seconds(30)) {
                resumed.errors.contains("took over") && play.stages()["evaluator-2"] != nil || !resumed.isRunning
            }
            #expect(isTakenOver, "\(resumed.errors)")
            if let second = play.stages()["evaluator-2"] { kill(second, SIGKILL) }
            kill(compute, SIGCONT)
            let ending = try resumed.wait()
            #expect(ending.code == 0, "\(ending)")
            #expect(kill(evaluator ?? 0, 0) != 0, "the evaluator of the dead supervisor is gone")
            for number in [20, 40, 60, 80] {
                #expect(
                    record(play, number) as NSDictionary == record(calm, number) as NSDictionary, "step \(number)")
            }
            #expect(play.evaluations().compactMap { $0["step"] as? Int } == [20, 40, 60, 80])
            #expect(try play.weights() == Reference.weights())
            #expect(play.stages().isEmpty && play.leftoverSockets.isEmpty)
        }

        @Test func failingEvaluationStopsNoTraining() throws {
            let play = try Playground(ownData: true)
            let label = play.data + "/valannot/" + play.names(play.data + "/valannot")[0]
            let whole = try Data(contentsOf: URL(fileURLWithPath: label))
            try Data([1, 2, 3]).write(to: URL(fileURLWithPath: label))
            // Far more steps than the test waits for.
            let run = try play.launch(Self.every + ["--set", "schedule.iterations=100000"])
            let hasFailed = waitUntil(.seconds(60)) { journal(play).contains("evaluation-failed") || !run.isRunning }
            #expect(hasFailed && run.isRunning, "\(run.errors)")
            try whole.write(to: URL(fileURLWithPath: label))
            // A later one succeeds.
            #expect(waitUntil(.seconds(60)) { !play.evaluations().isEmpty || !run.isRunning } && run.isRunning)
            run.signal(SIGINT)
            let ending = try run.wait()
            #expect(ending.code == 0, "\(ending)")
            let lines = ending.errors.split(separator: "\n").filter { $0.contains("evaluation of step 20 failed") }
            #expect(
                lines.count == 1 && lines[0].contains(label) && lines[0].hasSuffix("; training goes on"), "\(ending)")
            #expect((record(play, 20)["failed"] as? String)?.contains(label) == true)
            #expect(play.stages().isEmpty)
        }

        // MARK: picoflow eval

        @Test func evaluatorsOfAnyNumberFindTheSameAndWriteTheirPredictions() throws {
            let play = try Playground()
            let trained = try play.launch(["--set", "schedule={iterations: 4, warmup: 1, lrWarmup: 0}"]).wait()
            #expect(trained.code == 0, "\(trained)")
            let protocol_ = [
                "--set", "evaluate={scales: [0.75, 1, 1.5], flip: true}", "--split", "train", "--json", "--run",
                play.run,
            ]
            // What an evaluation that was killed has left.
            let left = play.run + "/evaluation/0123456789abcdef/step-000002"
            try FileManager.default.createDirectory(atPath: left, withIntermediateDirectories: true)
            let one = try play.start(["eval", "--stage", "evaluator=1"] + protocol_).wait()
            let three = try play.start(
                ["eval", "--stage", "evaluator=3", "--write", play.folder("out")] + protocol_
            ).wait()
            #expect(one.code == 0 && three.code == 0, "\(one)\n\(three)")
            #expect(play.names(play.run + "/evaluation") == ["lock", "logs"])
            func numbers(_ text: String) -> NSDictionary {
                var found = (try? JSONSerialization.jsonObject(with: Data(text.utf8))) as? [String: Any] ?? [:]
                found["written"] = nil
                return found as NSDictionary
            }
            #expect(numbers(one.output) == numbers(three.output) && numbers(one.output)["images"] as? Int == 8)
            #expect(play.names(play.folder("out")) == play.names(play.data + "/trainannot"))
            for name in play.names(play.folder("out")) {
                let labels = try ImageFile.readLabels(play.folder("out/" + name))
                #expect(labels.width == 64 && labels.height == 48)
                #expect((labels.values.array() as [UInt8]).allSatisfy { $0 < 10 })
            }
        }
    }
}
