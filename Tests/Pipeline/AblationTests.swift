import Foundation
import TestSupport
import Testing

extension Pipeline {
    /// What a recipe leaves out of the method, through the real stages.
    @Suite struct AblationTests {
        private static let steps = Playground.warmup + 3

        private static func settings(_ memory: String, _ steps: Int = steps) -> [String] {
            ["contrast.memory=\(memory)", "schedule.iterations=\(steps)", "checkpoints.every=\(steps - 1)"]
                .flatMap { ["--set", $0] }
        }

        private static func run(_ memory: String, _ steps: Int = steps) throws -> Playground {
            let play = try Playground()
            let ending = try play.launch(settings(memory, steps)).wait()
            #expect(ending.code == 0, "\(memory): \(ending)")
            #expect(play.stages().isEmpty)
            return play
        }

        private func losses(_ play: Playground) -> [Double] { play.metrics().compactMap { $0["nce"] as? Double } }

        private func weights(_ play: Playground, _ steps: Int = steps) throws -> Data {
            let path = "\(play.run)/checkpoints/step-\(String(format: "%06d", steps))/model.safetensors"
            guard let bytes = FileManager.default.contents(atPath: path) else { throw Trouble("there is no \(path)") }
            return bytes
        }

        @Test func everyMemoryTrainsAnotherWay() throws {
            let runs = try ["both", "pixels", "regions", "none"].map { try Self.run($0) }
            for play in runs {
                let found = losses(play)
                #expect(found.count == 3 && found.allSatisfy { $0.isFinite && $0 > 0 })
            }
            #expect(Set(runs.map { losses($0)[0] }).count == 4, "the first mined step has met other entries")
            #expect(Set(try runs.map { try weights($0) }).count == 4)
            // Only where nothing is kept there is nobody to keep it.
            #expect(runs.map { $0.names($0.run + "/logs").contains("bank-1.log") } == [true, true, true, false])
            #expect(
                runs.map { play in
                    play.names(play.run + "/checkpoints/" + play.names(play.run + "/checkpoints")[0])
                        .contains("bank.snapshot")
                } == [true, true, true, false])
        }

        @Test func withoutMemoryTheNumberOfMinersAndACrashChangeNoBit() throws {
            // Enough of them for compute to be killed on the way.
            let steps = 60
            let whole = try Self.run("none", steps)
            let play = try Playground()
            let run = try play.launch(Self.settings("none", steps) + ["--stage", "miner=3"])
            try play.await(step: Playground.warmup + 1, of: run)
            kill(try play.pid(of: "compute-1"), SIGKILL)
            let ending = try run.wait()
            #expect(ending.code == 0, "\(ending)")
            #expect(ending.errors.contains("compute-1: it was killed by signal 9"), "\(ending)")
            #expect(try weights(play, steps) == weights(whole, steps))
        }
    }
}
