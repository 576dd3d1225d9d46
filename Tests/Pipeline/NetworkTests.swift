import Foundation
import TestSupport
import Testing

extension Pipeline {
    /// A few steps of each network with PiCo+ through the real stages, a quarter as wide as published.
    @Suite struct NetworkTests {
        static let networks = [("mitb0", "segformer"), ("vitt16", "segmenter"), ("swint", "maskformer")]

        @Test(arguments: networks) func networkTrainsThroughAllStages(_ backbone: String, _ head: String) throws {
            let play = try Playground()
            let ending = try play.launch([
                "--set", "model={backbone: \(backbone), head: \(head), width: 0.25, embedding: 16}",
                "--set", "schedule={iterations: 3, warmup: 1, optimizer: adamw, lr: 1.0e-4}",
            ]).wait()
            #expect(ending.code == 0, "\(ending)")
            let metrics = play.metrics()
            #expect(metrics.compactMap { $0["step"] as? Int } == [1, 2, 3])
            #expect(metrics.allSatisfy { ($0["ce"] as? Double).map { $0.isFinite && $0 > 0 } == true })
            let contrast = metrics.compactMap { $0["nce"] as? Double }
            #expect(contrast.count == 2 && contrast.allSatisfy { $0.isFinite && $0 > 0 })
            #expect(play.names(play.run).contains("evaluation.json"))
            #expect(play.stages().isEmpty)
        }
    }
}
