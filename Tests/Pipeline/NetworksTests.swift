import Foundation
import Testing

extension Pipeline {
    /// Every network takes a few steps of PiCo+ through the real stages, at a small width.
    @Suite struct NetworksTests {
        @Test(arguments: [
            "{backbone: mobilenetv1, width: 0.25}",
            "{backbone: mobilenetv3, width: 0.5, auxiliary: true}",
            "{backbone: resnet18, width: 0.25}",
            "{backbone: resnet50, width: 0.125, outputStride: 8, auxiliary: true}",
            "{backbone: hrnetv2w18, head: hrnet, width: 0.25}",
            "{backbone: hrnetv2w48, head: ocrnet, width: 0.1}",
            "{backbone: mitb0, head: segformer, width: 0.25}",
            "{backbone: vitt16, head: segmenter, width: 0.25}",
            "{backbone: swint, head: maskformer, width: 0.25}",
            "{backbone: resnet50, head: maskformer, width: 0.125}",
        ])
        func networkTrainsByContrast(model: String) throws {
            let play = try Playground()
            let ending = try play.launch([
                "--set", "model=\(model)", "--set", "schedule={iterations: 3, warmup: 0, lrWarmup: 0}",
            ]).wait()
            #expect(ending.code == 0, "\(ending)")
            let metrics = play.metrics()
            #expect(metrics.count == 3)
            for line in metrics {
                #expect((line["ce"] as? Double)?.isFinite == true)
                let contrast = try #require(line["nce"] as? Double)
                #expect(contrast.isFinite)
                // A step is mined in the memory of the steps before it, which is empty at the first.
                #expect(line["step"] as? Int == 1 ? contrast == 0 : contrast > 0)
            }
            #expect(play.names(play.run + "/checkpoints") == ["step-000003"])
        }
    }
}
