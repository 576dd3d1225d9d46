import Foundation
import TestSupport
import Testing

extension Pipeline {
    /// `picoflow init`: from two folders to a trained network.
    @Suite struct InitTests {
        @Test func whatIsWrittenIsCheckedAndTrains() throws {
            let playground = try Playground()
            let images = ["--images", playground.data + "/train", "--labels", playground.data + "/trainannot"]
            let made = try playground.start(["init", "mine"] + images).wait()
            #expect(made.code == 0, "\(made)")
            #expect(made.output.contains("picoflow launch mine/topology.yaml --recipe mine/recipe.yaml"), "\(made)")

            let checked = try playground.command("data", "check", "mine/recipe.yaml")
            #expect(checked.code == 0, "\(checked)")

            // As it stands but for its length and what a small machine needs.
            let settings = [
                "schedule.iterations=4", "schedule.batch=2", "schedule.warmup=2", "schedule.lrWarmup=1",
                "checkpoints.every=4", "model.width=0.25",
            ]
            let trained = try playground.start(
                ["launch", "mine/topology.yaml", "--recipe", "mine/recipe.yaml", "--run", playground.run]
                    + settings.flatMap { ["--set", $0] }
            ).wait()
            #expect(trained.code == 0, "\(trained)")
            #expect(playground.metrics().count == 4)

            let again = try playground.start(["init", "mine"] + images).wait()
            #expect(again.code == 1)
            #expect(again.message.contains("is there already; name another folder"), "\(again)")
        }
    }
}
