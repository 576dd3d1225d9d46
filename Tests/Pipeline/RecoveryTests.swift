import Foundation
import TestSupport
import Testing

extension Pipeline {
    /// What dies, hangs or is stopped while a run trains.
    @Suite struct RecoveryTests {
        /// - Parameter watch: how stages are watched; with silences that a test can wait for unless said.
        private func playground(watch: String = Playground.impatient) throws -> Playground {
            let play = try Playground()
            try play.folder.write(Playground.topology(watch: watch), to: "topology.yaml")
            return play
        }

        @Test func stoppedRunGoesOnBitForBit() throws {
            let play = try playground(watch: "")
            let run = try play.launch()
            try play.await(step: 20, of: run)
            run.signal(SIGINT)
            let stopped = try run.wait()
            #expect(stopped.code == 0, "\(stopped)")
            #expect(stopped.output.contains("picoflow launch --resume"))
            #expect(play.stages().isEmpty)
            let done = play.metrics().count
            #expect(done < Playground.iterations)
            let name = "step-\(String(format: "%06d", done))"
            #expect(play.names(play.run + "/checkpoints/\(name)").contains("manifest.json"), "\(stopped)")

            let resumed = try play.command("launch", "--resume", play.run)
            #expect(resumed.code == 0, "\(resumed)")
            #expect(play.metrics().compactMap { $0["step"] as? Int } == Array(1...Playground.iterations))
            #expect(try play.weights() == Reference.weights())
        }

        @Test func stagesEndAfterTheirSupervisorsDeathAndTheRunGoesOnBitForBit() throws {
            let play = try playground()
            let run = try play.launch()
            try play.await(step: 26, of: run)
            let compute = try play.pid(of: "compute-1")
            // Stands still until its supervisor is gone, so that it cannot finish before.
            kill(compute, SIGSTOP)
            run.signal(SIGKILL)
            _ = try run.wait()
            #expect(play.metrics().count < Playground.iterations)
            kill(compute, SIGKILL)
            #expect(waitUntil(.seconds(30)) { play.stages().isEmpty }, "orphans: \(play.stages())")

            let resumed = try play.command("launch", "--resume", play.run)
            #expect(resumed.code == 0, "\(resumed)")
            #expect(resumed.errors.contains("going on from step 24"), "\(resumed)")
            #expect(try play.weights() == Reference.weights())
            #expect(play.leftoverSockets.isEmpty)
        }

        @Test func computeWritesACheckpointWhenItsSupervisorIsGone() throws {
            let play = try playground()
            // Far more steps than the grace has time for.
            let run = try play.launch(["--set", "schedule.iterations=5000", "--set", "checkpoints.every=5000"])
            try play.await(step: 5, of: run)
            run.signal(SIGKILL)
            _ = try run.wait()
            #expect(!play.stages().isEmpty, "stages work on for a while")
            #expect(waitUntil(.seconds(60)) { play.stages().isEmpty }, "orphans: \(play.stages())")
            #expect(play.names(play.run + "/checkpoints").count == 1)
            let last = try #require(play.metrics().last?["step"] as? Int)
            #expect(play.names(play.run + "/checkpoints") == ["step-\(String(format: "%06d", last))"])
        }

        @Test(arguments: ["loader-1", "miner-1"])
        func killedWorkerIsReplacedAndTheWeightsAreTheSame(worker: String) throws {
            let play = try playground()
            let run = try play.launch()
            try play.await(step: Playground.warmup + 1, of: run)
            kill(try play.pid(of: worker), SIGKILL)
            let ending = try run.wait()
            #expect(ending.code == 0, "\(ending)")
            #expect(ending.errors.contains("\(worker): it was killed by signal 9"), "\(ending)")
            #expect(try play.weights() == Reference.weights())
            #expect(play.stages().isEmpty)
        }

        @Test(arguments: ["loader-1", "miner-1"])
        func hungWorkersTicketsGoToTheOthersAndTheWeightsAreTheSame(worker: String) throws {
            let play = try playground()
            let stage = worker.prefix { $0 != "-" }
            let run = try play.launch(["--stage", "\(stage)=2"])
            try play.await(step: Playground.warmup + 1, of: run)
            let hung = try play.pid(of: worker)
            kill(hung, SIGSTOP)
            let ending = try run.wait()
            #expect(ending.code == 0, "\(ending)")
            #expect(kill(hung, 0) != 0, "a stopped process is killed, not left behind")
            #expect(try play.weights() == Reference.weights())
        }

        // MARK: Stages with state

        /// One run after another, each with other deaths; the first checkpoint is that of step 24.
        @Test(arguments: [
            (["bank-1"], 6), (["compute-1"], 6), (["compute-1"], 30), (["compute-1", "bank-1"], 30),
        ])
        func killedStagesWithStateAreMadeGoodAndTheWeightsAreTheSame(stages: [String], step: Int) throws {
            let play = try playground()
            let run = try play.launch()
            try play.await(step: step, of: run)
            let loader = try play.pid(of: "loader-1")
            for stage in stages { kill(try play.pid(of: stage), SIGKILL) }
            #expect(waitUntil { play.metrics().count > step && play.stages().count >= 4 || !run.isRunning })
            #expect(play.stages()["loader-1"] == loader, "workers stay")
            let ending = try run.wait()
            #expect(ending.code == 0, "\(ending)")
            #expect(ending.errors.contains("\(stages[0]): it was killed by signal 9"), "\(ending)")
            #expect(ending.errors.contains("epoch 2 begins") == stages.contains("compute-1"), "\(ending)")
            #expect(play.metrics().compactMap { $0["step"] as? Int } == Array(1...Playground.iterations))
            #expect(try play.weights() == Reference.weights())
            #expect(play.stages().isEmpty)
            #expect(play.leftoverSockets.isEmpty)
        }

        /// Right behind a checkpoint the lag would reach before it, where a resumed run has no memory.
        @Test func lagReachesNoFurtherBackThanTheCheckpointThatIsGoneBackTo() throws {
            let lag = ["--set", "contrast.lag=3"]
            let straight = try playground()
            let whole = try straight.launch(lag).wait()
            #expect(whole.code == 0, "\(whole)")
            #expect(try straight.weights() != Reference.weights())

            let play = try playground()
            let run = try play.launch(lag)
            try play.await(step: 30, of: run)
            kill(try play.pid(of: "compute-1"), SIGKILL)
            let ending = try run.wait()
            #expect(ending.code == 0, "\(ending)")
            #expect(ending.errors.contains("epoch 2 begins"), "\(ending)")
            #expect(try play.weights() == straight.weights())
        }

        /// By itself the pool would wait for the dead miner's answers for 100 s.
        @Test func poolHearsAtOnceOfAWorkerThatDied() throws {
            let play = try playground(
                watch: """
                    supervisor: {grace: 2 s, heartbeat: 200 ms, silence: 100 s}
                    pool: {heartbeat: 50 s, silence: 100 s}
                    """)
            let run = try play.launch()
            try play.await(step: Playground.warmup + 1, of: run)
            kill(try play.pid(of: "miner-1"), SIGKILL)
            let ending = try run.wait(.seconds(90))
            #expect(ending.code == 0, "\(ending)")
            #expect(try play.weights() == Reference.weights())
        }

        @Test(arguments: ["compute-1", "bank-1"])
        func hungStageWithStateIsKilledAndTheWeightsAreTheSame(stage: String) throws {
            let play = try playground(
                watch: """
                    supervisor: {grace: 10 s, heartbeat: 200 ms, silence: 1 s}
                    pool: {heartbeat: 200 ms, silence: 1 s}
                    """)
            let run = try play.launch()
            try play.await(step: Playground.warmup + 1, of: run)
            let hung = try play.pid(of: stage)
            kill(hung, SIGSTOP)
            let ending = try run.wait()
            #expect(ending.code == 0, "\(ending)")
            #expect(ending.errors.contains("\(stage): it was silent for 3 s and was killed"), "\(ending)")
            #expect(kill(hung, 0) != 0)
            #expect(try play.weights() == Reference.weights())
        }

        @Test(arguments: ["compute-1", "bank-1"])
        func deathInTheMiddleOfACheckpointIsMadeGood(stage: String) throws {
            let play = try playground()
            let run = try play.launch()
            let folder = play.run + "/checkpoints"
            var victim: Int32?
            var hasSeenIt = false
            _ = waitUntil(.seconds(60)) {
                victim = victim ?? play.stages()[stage]
                // Looks often: half a checkpoint is there for a moment only.
                for _ in 0..<50 where victim != nil {
                    if play.names(folder).contains("step-000024.partial") {
                        hasSeenIt = true
                        return true
                    }
                    usleep(500)
                }
                return !run.isRunning
            }
            #expect(hasSeenIt)
            kill(try #require(victim), SIGKILL)
            let ending = try run.wait()
            #expect(ending.code == 0, "\(ending)")
            #expect(ending.errors.contains("\(stage): it was killed by signal 9"), "\(ending)")
            #expect(play.names(folder) == ["step-000072", "step-000080"])
            #expect(try play.weights() == Reference.weights())
        }

        @Test func stopWhileTheBankIsGoneEndsWithTheNewestCheckpoint() throws {
            let play = try playground()
            let run = try play.launch(["--set", "schedule.iterations=5000"])
            try play.await(step: 30, of: run)
            kill(try play.pid(of: "bank-1"), SIGKILL)
            // Before it is started again, which is half a second later.
            #expect(waitUntil { run.errors.contains("bank-1: it was killed by signal 9") })
            run.signal(SIGINT)
            let ending = try run.wait()
            #expect(ending.code == 0, "\(ending)")
            let newest = try #require(play.names(play.run + "/checkpoints").last)
            #expect(!newest.hasSuffix(".partial"))
            #expect(ending.output.contains(newest), "\(ending)")
            #expect(play.stages().isEmpty)
        }

        @Test func terminatedStageIsReplacedLikeAKilledOne() throws {
            let play = try patient()
            let run = try play.launch()
            try play.await(step: Playground.warmup + 1, of: run)
            // Stands still until they are gone, so that it cannot finish before.
            let compute = try play.pid(of: "compute-1")
            kill(compute, SIGSTOP)
            let terminated = ["bank-1", "loader-1"]
            for stage in terminated { kill(try play.pid(of: stage), SIGTERM) }
            #expect(
                waitUntil { terminated.allSatisfy { run.errors.contains("\($0): it was killed by signal 15") } },
                "\(run.errors)")
            kill(compute, SIGCONT)
            let ending = try run.wait()
            #expect(ending.code == 0, "\(ending)")
            #expect(try play.weights() == Reference.weights())
        }

        /// As the end of a service, of a batch job and of the machine does.
        @Test func signalToEveryProcessAtOnceStopsARunInGoodOrder() throws {
            let play = try playground(watch: "")
            let run = try play.launch()
            try play.await(step: Playground.warmup + 1, of: run)
            let compute = try play.pid(of: "compute-1")
            for pid in play.stages().values { kill(pid, SIGTERM) }
            // A step or a checkpoint that takes longer than the others wait for the supervisor's word.
            kill(compute, SIGSTOP)
            run.signal(SIGTERM)
            Thread.sleep(forTimeInterval: 6)
            kill(compute, SIGCONT)
            let stopped = try run.wait()
            #expect(stopped.code == 0, "\(stopped)")
            let newest = play.names(play.run + "/checkpoints").last
            #expect(newest == "step-\(String(format: "%06d", play.metrics().count))", "\(stopped)")
            #expect(play.stages().isEmpty)

            let resumed = try play.command("launch", "--resume", play.run)
            #expect(resumed.code == 0, "\(resumed)")
            #expect(try play.weights() == Reference.weights())
        }

        // MARK: The supervisor

        private func patient() throws -> Playground {
            let play = try playground(
                watch: """
                    supervisor: {grace: 30 s, heartbeat: 200 ms, silence: 5 s}
                    pool: {heartbeat: 200 ms, silence: 5 s}
                    """)
            return play
        }

        /// How often a stage was configured, by its log.
        private func starts(of stage: String, in play: Playground) -> Int {
            (play.folder.read("run/logs/\(stage).log") ?? "").components(separatedBy: " configured ").count - 1
        }

        @Test func killedSupervisorsStagesAreTakenOverAsTheyAre() throws {
            let play = try patient()
            let run = try play.launch()
            try play.await(step: 10, of: run)
            // Stands still until it is taken over, so that it cannot finish before.
            let compute = try play.pid(of: "compute-1")
            kill(compute, SIGSTOP)
            let before = play.stages()
            run.signal(SIGKILL)
            _ = try run.wait()

            let resumed = try play.start(["launch", "--resume", play.run])
            #expect(waitUntil { resumed.errors.contains("took over bank-1, compute-1, loader-1, miner-1") })
            #expect(play.stages() == before)
            kill(compute, SIGCONT)
            let ending = try resumed.wait()
            #expect(ending.code == 0, "\(ending)")
            #expect(ending.output.contains("mIoU"), "\(ending)")
            for stage in before.keys { #expect(starts(of: stage, in: play) == 1, "\(stage) \(ending)") }
            #expect(play.metrics().compactMap { $0["step"] as? Int } == Array(1...Playground.iterations))
            #expect(try play.weights() == Reference.weights())
            #expect(play.stages().isEmpty)
            #expect(play.leftoverSockets.isEmpty)
            #expect(!play.names(play.run).contains("processes.json"))
        }

        /// What they began with is history: they need it no more.
        @Test func stagesAreTakenOverWhoseCheckpointIsPruned() throws {
            let play = try patient()
            let first = try play.launch()
            try play.await(step: 10, of: first)
            first.signal(SIGINT)
            #expect(try first.wait().code == 0)
            let begun = try #require(play.names(play.run + "/checkpoints").last)

            let run = try play.start(["launch", "--resume", play.run])
            #expect(waitUntil(.seconds(60)) { !play.names(play.run + "/checkpoints").contains(begun) })
            let compute = try play.pid(of: "compute-1")
            kill(compute, SIGSTOP)
            run.signal(SIGKILL)
            _ = try run.wait()
            let resumed = try play.start(["launch", "--resume", play.run])
            #expect(
                waitUntil { resumed.errors.contains("took over bank-1, compute-1, loader-1, miner-1") },
                "\(resumed.errors)")
            kill(compute, SIGCONT)
            let ending = try resumed.wait()
            #expect(ending.code == 0, "\(ending)")
            #expect(try play.weights() == Reference.weights())
        }

        @Test func whatDiedWithTheSupervisorIsMadeGood() throws {
            let play = try patient()
            let run = try play.launch()
            try play.await(step: 26, of: run)
            run.signal(SIGKILL)
            for stage in ["compute-1", "miner-1"] { kill(try play.pid(of: stage), SIGKILL) }
            _ = try run.wait()
            let ending = try play.command("launch", "--resume", play.run)
            #expect(ending.code == 0, "\(ending)")
            #expect(ending.errors.contains("took over bank-1, loader-1"), "\(ending)")
            #expect(ending.errors.contains("compute-1 died without a supervisor"), "\(ending)")
            #expect(ending.errors.contains("epoch 2 begins after step 24"), "\(ending)")
            #expect(starts(of: "loader-1", in: play) == 1)
            #expect(try play.weights() == Reference.weights())
            #expect(play.stages().isEmpty)
        }
    }
}
