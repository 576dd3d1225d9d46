import Foundation
import TestSupport
import Testing

extension Pipeline {
    /// Scaling and swapping while a run trains.
    @Suite struct LiveTests {
        /// Holds compute, so that what is asked for comes before a certain step, however busy the machine.
        private func whileComputeStands<R>(_ play: Playground, _ body: () throws -> R) throws -> R {
            let compute = try play.pid(of: "compute-1")
            kill(compute, SIGSTOP)
            defer { kill(compute, SIGCONT) }
            return try body()
        }

        /// Kills the supervisor and all that it started, as a power cut would.
        private func cutPower(_ play: Playground, _ run: PicoFlowProcess) throws {
            run.signal(SIGKILL)
            _ = try run.wait()
            _ = waitUntil(.seconds(10)) {
                for pid in play.stages().values { kill(pid, SIGKILL) }
                return play.stages().isEmpty
            }
        }

        private func names(_ play: Playground, _ stage: String) -> [String] {
            play.stages().keys.filter { $0.hasPrefix(stage) }.sorted()
        }

        @Test func scalingUpAndDownChangesNoBit() throws {
            let play = try Playground()
            let run = try play.launch()
            try play.await(step: Playground.warmup + 1, of: run)
            try whileComputeStands(play) {
                let up = try play.command("scale", "loader=3", "miner=2", "--run", play.run)
                #expect(up.code == 0 && up.output.hasSuffix("loader 3, miner 2\n"), "\(up)")
                #expect(
                    waitUntil(.seconds(20)) {
                        names(play, "loader") == ["loader-1", "loader-2", "loader-3"]
                            && names(play, "miner") == ["miner-1", "miner-2"]
                    })
                let status = try play.command("status", "--run", play.run)
                #expect(status.output.contains("loader-3") && status.output.contains("miner-2"), "\(status)")
                let none = try play.command("scale", "bank=2", "--run", play.run)
                #expect(none.code == 1 && none.message.contains("holds the run's state"), "\(none)")
            }
            try play.await(step: 30, of: run)
            try whileComputeStands(play) {
                let down = try play.command("scale", "loader=1", "miner=1", "--run", play.run)
                #expect(down.code == 0, "\(down)")
                #expect(
                    waitUntil(.seconds(20)) {
                        names(play, "loader") == ["loader-1"] && names(play, "miner") == ["miner-1"]
                    }
                )
            }
            let ending = try run.wait()
            #expect(ending.code == 0, "\(ending)")
            #expect(ending.errors.contains("loader: 1 → 3 (asked)") && ending.errors.contains("miner: 2 → 1 (asked)"))
            #expect(try play.weights() == Reference.weights())
            #expect(play.stages().isEmpty)
        }

        @Test func loaderThatComputeWaitsForGetsHelpAndTheLogSaysWhy() throws {
            let play = try Playground()
            try play.folder.write(
                Playground.topology(watch: "autoscale: {loader: {min: 1, max: 2}}"), to: "topology.yaml")
            let run = try play.launch(["--set", "schedule.iterations=100000"])
            let reason = "loader: 1 → 2 (autoscale: compute waited for samples "
            try play.await(step: 1, of: run)
            let loader = try play.pid(of: "loader-1")
            let isHelped = waitUntil(.seconds(60)) {
                // However fast it reads, and however slow compute is with what it has in hand, it stands most of the time.
                kill(loader, SIGSTOP)
                usleep(1_500_000)
                kill(loader, SIGCONT)
                return run.errors.contains(reason) || !run.isRunning
            }
            #expect(isHelped, "\(run.errors)")
            #expect(waitUntil(.seconds(20)) { names(play, "loader") == ["loader-1", "loader-2"] }, "\(run.errors)")
            let journal = try String(contentsOfFile: play.run + "/journal.jsonl", encoding: .utf8)
            #expect(journal.contains(#""entry":"scaled""#) && journal.contains("more than 10 %"), "\(journal)")
            run.signal(SIGINT)
            let ending = try run.wait()
            #expect(ending.code == 0, "\(ending)")
            #expect(play.stages().isEmpty)
        }

        /// Asks for other settings from a step on.
        private func swap(_ settings: [String], at step: Int, _ play: Playground, _ run: PicoFlowProcess) throws {
            // The answer comes when compute has said that it can be.
            let swap = try whileComputeStands(play) {
                let swap = try play.start(
                    ["swap", "miner"] + settings.flatMap { ["--set", $0] }
                        + ["--at-step", "\(step)", "--run", play.run])
                #expect(waitUntil(.seconds(20)) { run.errors.contains("asked at step \(step)") })
                return swap
            }
            let ending = try swap.wait(.seconds(30))
            #expect(ending.code == 0 && ending.output.contains("holds from step \(step) on"), "\(ending)")
        }

        /// Asks for other settings from step 20 on, and for the first ones again from step 50 on.
        private func swapForthAndBack(_ play: Playground, _ run: PicoFlowProcess) throws {
            try play.await(step: Playground.warmup + 1, of: run)
            for (strategy, step) in [("hardest", 20), ("semi-hard", 50)] {
                try swap(["sampler.strategy=\(strategy)", "sampler.positives=9"], at: step, play, run)
            }
        }

        @Test func aSwappedTemperatureReachesTheMiners() throws {
            let play = try Playground()
            let run = try play.launch()
            try play.await(step: Playground.warmup + 1, of: run)
            try swap(["contrast.temperature=0.3"], at: 20, play, run)
            let ending = try run.wait()
            #expect(ending.code == 0, "\(ending)")
            #expect(try play.weights() != Reference.weights())
        }

        @Test func sameSwapsGiveTheSameBitsWhateverCrashes() throws {
            let play = try Playground()
            let run = try play.launch()
            try swapForthAndBack(play, run)
            let ending = try run.wait()
            #expect(ending.code == 0, "\(ending)")
            let generations = play.metrics().map { $0["generation"] as? Int ?? 0 }
            #expect(generations == (1...Playground.iterations).map { $0 < 20 ? 0 : $0 < 50 ? 1 : 2 })
            let weights = try play.weights()
            #expect(try weights != Reference.weights())

            let other = try Playground()
            let first = try other.launch()
            try swapForthAndBack(other, first)
            // Before the first swap's step or behind it, and long before a checkpoint knows of the second's.
            try cutPower(other, first)
            let second = try other.start(["launch", "--resume", other.run])
            _ = waitUntil(.seconds(60)) { other.metrics().count >= 30 || !second.isRunning }
            try cutPower(other, second)
            let resumed = try other.command("launch", "--resume", other.run)
            #expect(resumed.code == 0, "\(resumed)")
            #expect(try other.weights() == weights)
            #expect(other.metrics().compactMap { $0["step"] as? Int } == Array(1...Playground.iterations))
        }

        @Test func anotherProgramTakesOverAtAStepAndTheSameProgramChangesNoBit() throws {
            let play = try Playground()
            // Heartbeats that come many times before the run is over.
            try play.folder.write(Playground.topology(watch: "supervisor: {heartbeat: 50 ms}"), to: "topology.yaml")
            let run = try play.launch()
            try play.await(step: Playground.warmup + 1, of: run)
            let miner = try PicoFlowProcess.executables() + "/picoflow-miner"
            let swap = try whileComputeStands(play) {
                let missing = try play.command("swap", "miner", "--exec", "/no/such/miner", "--run", play.run)
                #expect(missing.code == 1 && missing.message.contains("miner-2 could not be started"), "\(missing)")
                let swap = try play.start(["swap", "miner", "--exec", miner, "--at-step", "40", "--run", play.run])
                #expect(waitUntil(.seconds(20)) { names(play, "miner").count == 2 }, "\(play.stages())")
                return swap
            }
            let ending = try swap.wait(.seconds(30))
            #expect(ending.code == 0 && ending.output.contains("swap 2 of miner holds from step 40 on"), "\(ending)")
            try cutPower(play, run)

            let resumed = try play.command("launch", "--resume", play.run)
            #expect(resumed.code == 0, "\(resumed)")
            #expect(resumed.errors.contains("miner-1 leaves: its generation is over"), "\(resumed)")
            #expect(play.metrics().map { $0["generation"] as? Int ?? 0 } == (1...80).map { $0 < 40 ? 0 : 2 })
            #expect(try play.weights() == Reference.weights())
            #expect(play.stages().isEmpty)
        }
    }
}
