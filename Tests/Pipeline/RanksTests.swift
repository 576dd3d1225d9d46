import Foundation
import TestSupport
import Testing

extension Pipeline {
    /// Compute as two processes that train one network.
    @Suite(
        .enabled(
            if: ProcessInfo.processInfo.environment["LIBTORCH"] == nil, "a libtorch that may come without Gloo"))
    struct RanksTests {
        private func playground(impatient: Bool = false) throws -> Playground {
            let play = try Playground()
            try play.folder.write(
                Playground.topology(watch: impatient ? Playground.impatient : "").replacingOccurrences(
                    of: "compute: {", with: "compute: {replicas: 2, "), to: "topology.yaml")
            return play
        }

        /// Four images, so that each rank has two.
        private let batch = ["--set", "schedule.batch=4"]

        /// The weights of an undisturbed run of two ranks; trained once.
        private enum Two {
            static let trained: Result<String, any Error> = Result {
                let play = try RanksTests().playground()
                let ending = try play.launch(RanksTests().batch).wait()
                guard ending.code == 0 else { throw Trouble("two ranks failed: \(ending)") }
                #expect(play.metrics().compactMap { $0["step"] as? Int } == Array(1...Playground.iterations))
                #expect(play.metrics().allSatisfy { ($0["ce"] as? Double)?.isFinite == true })
                let contrast = play.metrics().compactMap { $0["nce"] as? Double }
                #expect(contrast.count == Playground.iterations - Playground.warmup)
                #expect(contrast.allSatisfy { $0.isFinite && $0 > 0 })
                #expect(play.names(play.run + "/checkpoints") == ["step-000072", "step-000080"])
                #expect(play.names(play.run + "/logs").contains("compute-2.log"))
                #expect(play.stages().isEmpty && play.leftoverSockets.isEmpty)
                return try play.weights()
            }
        }

        @Test(arguments: [[], ["loader=2", "miner=2"]])
        func twoRanksTrainTheSameBitsWhoeverWorksForThem(counts: [String]) throws {
            let expected = try Two.trained.get()
            let play = try playground()
            let ending = try play.launch(batch + counts.flatMap { ["--stage", $0] }).wait()
            #expect(ending.code == 0, "\(ending)")
            #expect(try play.weights() == expected)
        }

        @Test func aStopStopsBothRanksAtOneStepAndTheRunGoesOnBitForBit() throws {
            let play = try playground()
            let run = try play.launch(batch)
            try play.await(step: 20, of: run)
            run.signal(SIGINT)
            let stopped = try run.wait()
            #expect(stopped.code == 0, "\(stopped)")
            let done = play.metrics().count
            #expect(done < Playground.iterations)
            #expect(
                play.names(play.run + "/checkpoints/step-\(String(format: "%06d", done))").contains("manifest.json"))

            let other = try play.command("launch", "--resume", play.run, "--stage", "compute=1")
            #expect(other.message.contains("compute has 1 replica, but the run was trained with 2"), "\(other)")
            let resumed = try play.command("launch", "--resume", play.run)
            #expect(resumed.code == 0, "\(resumed)")
            #expect(try play.weights() == Two.trained.get())
        }

        /// The other rank ends at once and says why; from the last checkpoint the run gives the same bits.
        @Test(arguments: ["compute-1", "compute-2"]) func aKilledRankCostsTheStepsSinceTheCheckpoint(victim: String)
            throws
        {
            let play = try playground()
            let run = try play.launch(batch)
            try play.await(step: 26, of: run)
            kill(try play.pid(of: victim), SIGKILL)
            let ending = try run.wait(.seconds(30))
            #expect(ending.code == 1, "\(ending)")
            #expect(ending.message.contains("\(victim) failed first: it was killed by signal 9"), "\(ending)")
            #expect(play.stages().isEmpty)

            let resumed = try play.command("launch", "--resume", play.run)
            #expect(resumed.code == 0, "\(resumed)")
            #expect(resumed.errors.contains("going on from step"), "\(resumed)")
            #expect(try play.weights() == Two.trained.get())
        }

        @Test func aBatchThatCannotBeSharedOutIsRefusedBeforeAnythingStarts() throws {
            let play = try playground()
            let ending = try play.launch(["--set", "schedule.batch=3"]).wait()
            #expect(ending.code == 1)
            #expect(ending.message.contains("schedule.batch 3 cannot be shared out evenly"), "\(ending)")
            #expect(!FileManager.default.fileExists(atPath: play.run))
        }
    }
}
