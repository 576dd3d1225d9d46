import Foundation
import TestSupport
import Testing

extension Pipeline {
    /// What the command line says to a run at work.
    @Suite struct ControlTests {
        @Test func runAtWorkAnswersStatusRefusesASecondLaunchAndStops() throws {
            let play = try Playground()
            let run = try play.launch(["--set", "schedule.iterations=5000", "--stage", "loader=2"])
            try play.await(step: 2, of: run)
            // Stages tell their numbers once a second.
            var status: [String: Any] = [:]
            let isTold = try waitUntil(.seconds(30)) {
                let ending = try play.command("status", "--run", play.run, "--json")
                guard ending.code == 0 else { throw Trouble("status: \(ending)") }
                status = try JSONSerialization.jsonObject(with: Data(ending.output.utf8)) as? [String: Any] ?? [:]
                return (status["step"] as? Int ?? 0) > 0
            }
            #expect(isTold)
            #expect((status["imagesPerSecond"] as? Double ?? 0) > 0)
            let stages = try #require(status["stages"] as? [[String: Any]])
            let names = stages.map { "\($0["stage"] ?? "")-\($0["id"] ?? "")" }.sorted()
            #expect(names == ["bank-1", "compute-1", "loader-1", "loader-2", "miner-1"])
            let alive = play.stages()
            for stage in stages {
                #expect(stage["pid"] as? Int32 == alive["\(stage["stage"] ?? "")-\(stage["id"] ?? "")"])
                #expect((stage["host"] as? String)?.isEmpty == false)
                #expect(["running", "waiting", "checkpointing"].contains(stage["state"] as? String))
            }

            let text = try play.command("status", "--run", play.run)
            #expect(text.code == 0 && text.output.contains("compute-1"), "\(text)")

            let second = try play.launch().wait()
            #expect(second.code == 1)
            #expect(
                second.message.contains("run directory \(play.run) is in use by process \(run.pid) on "), "\(second)")
            let resumed = try play.command("launch", "--resume", play.run)
            #expect(resumed.code == 1)
            #expect(resumed.message.contains("is in use by process \(run.pid) on "), "\(resumed)")
            #expect(run.isRunning)

            let stop = try play.command("stop", "--run", play.run)
            #expect(stop.code == 0 && stop.output.contains("with a checkpoint at step"), "\(stop)")
            let ending = try run.wait()
            #expect(ending.code == 0, "\(ending)")
            let last = try #require(play.metrics().last?["step"] as? Int)
            #expect(play.names(play.run + "/checkpoints").last == "step-\(String(format: "%06d", last))")
            #expect(play.stages().isEmpty)

            let after = try play.command("status", "--run", play.run)
            #expect(after.code == 0 && after.output.contains("ended"), "\(after)")
            let again = try play.command("stop", "--run", play.run)
            #expect(again.code == 1 && again.message.hasSuffix("is not running"), "\(again)")
        }

        @Test func stopThatFailsSaysWhy() throws {
            let play = try Playground()
            let run = try play.launch(["--set", "schedule.iterations=5000", "--set", "checkpoints.every=5000"])
            try play.await(step: 5, of: run)
            try FileManager.default.removeItem(atPath: play.run + "/checkpoints")
            try "in the way".write(toFile: play.run + "/checkpoints", atomically: true, encoding: .utf8)
            let stop = try play.command("stop", "--run", play.run)
            #expect(stop.code == 1 && stop.message.contains("did not stop as asked: failed: compute-1"), "\(stop)")
            #expect(try run.wait().code == 1)
        }

        /// Compute takes its time to begin: a stop comes well before it is ready.
        @Test func stopBeforeTheFirstStepIsNoFailure() throws {
            let play = try Playground()
            let run = try play.launch()
            #expect(waitUntil { play.stages()["compute-1"] != nil || !run.isRunning })
            run.signal(SIGINT)
            let ending = try run.wait()
            #expect(ending.code == 0 && ending.output.contains("stopped"), "\(ending)")
        }

        /// A terminal that is closed says so twice, the second time while compute writes its checkpoint.
        @Test func closedTerminalLeavesACheckpoint() throws {
            let play = try Playground()
            let run = try play.launch()
            try play.await(step: 10, of: run)
            for _ in 0..<3 {
                run.signal(SIGHUP)
                usleep(20_000)
            }
            let ending = try run.wait()
            #expect(ending.code == 0 && ending.output.contains("stopped, checkpoint of step"), "\(ending)")
            #expect(!ending.errors.contains("stopping at once"), "\(ending)")
        }

        @Test func hangUpIsIgnoredWhereItWasBefore() throws {
            let play = try Playground()
            let picoflow = try PicoFlowProcess.executables() + "/picoflow"
            let words = [picoflow, "launch", "topology.yaml", "--recipe", "recipe.yaml", "--run", play.run]
            let run = try PicoFlowProcess(
                ["-c", "trap '' HUP; exec \"$@\"", "nohup"] + words, program: "/bin/sh", in: play.folder,
                environment: play.environment)
            try play.await(step: 2, of: run)
            run.signal(SIGHUP)
            let ending = try run.wait()
            #expect(ending.code == 0 && play.metrics().count == Playground.iterations, "\(ending)")
        }

        /// As with `2>&1 | tee log` when Ctrl-C ends tee, too.
        @Test func readerOfTheOutputThatGoesAwayCostsTheOutputAlone() throws {
            let play = try Playground()
            let picoflow = try PicoFlowProcess.executables() + "/picoflow"
            let words = [picoflow, "launch", "topology.yaml", "--recipe", "recipe.yaml", "--run", play.run]
            let run = try PicoFlowProcess(
                ["-c", "exec \"$@\" 2> >(exec head -c 1 >/dev/null)", "bash"] + words, program: "/bin/bash",
                in: play.folder, environment: play.environment)
            let ending = try run.wait()
            #expect(ending.code == 0 && play.metrics().count == Playground.iterations, "\(ending)")
            #expect(play.stages().isEmpty && play.leftoverSockets.isEmpty)
        }
    }
}
