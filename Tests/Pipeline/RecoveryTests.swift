import Foundation
import TestSupport
import Testing

extension Pipeline {
    /// What dies, hangs or is stopped while a run trains.
    @Suite struct RecoveryTests {
        /// - Parameter impatient: with silences that a test can wait for.
        private func playground(impatient: Bool = true) throws -> Playground {
            let play = try Playground()
            if impatient {
                try play.folder.write(Playground.topology(watch: Playground.impatient), to: "topology.yaml")
            }
            return play
        }

        @Test func stoppedRunGoesOnBitForBit() throws {
            let play = try playground(impatient: false)
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

        @Test(arguments: ["compute-1", "bank-1"])
        func lossOfAStageWithStateEndsTheRunWithItsName(stage: String) throws {
            let play = try playground()
            let run = try play.launch()
            try play.await(step: Playground.warmup + 1, of: run)
            kill(try play.pid(of: stage), SIGKILL)
            let ending = try run.wait()
            #expect(ending.code == 1, "\(ending)")
            #expect(ending.message.contains("\(stage) failed first: it was killed by signal 9"), "\(ending)")
            #expect(play.stages().isEmpty)
            #expect(play.leftoverSockets.isEmpty)
        }
    }
}
