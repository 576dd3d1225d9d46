import Foundation
import Imaging
import TestSupport
import Testing

extension Pipeline {
    /// `tools/examples/after_training.py`: what a run leaves, in PyTorch's hands.
    @Suite(
        .enabled(
            if: ["torch", "numpy", "safetensors", "PIL"].allSatisfy(Python.has),
            "python3 needs torch, numpy, safetensors and pillow"))
    struct ExampleTests {
        private struct Summary: Decodable {
            var tensors: Int
            var values: Int
            var missing: [String]
            var classes: [String]
            var agreement: Double
            var steps: Int
            var firstLoss: Double
            var lastLoss: Double
            var mIoU: [String: Double]
            var iou: [String: Double?]
            var figure: String?
        }

        private func script(_ play: Playground, _ arguments: [String]) throws -> String {
            try Python.run(
                [PythonStages.folder + "/after_training.py"] + arguments,
                environment: play.environment.merging(
                    ["PICOFLOW_BIN": try PicoFlowProcess.executables(), "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"]
                ) { $1 })
        }

        @Test func exportedNetworkLabelsInPyTorchAsHereAndMetricsAreRead() throws {
            let (play, ending) = try LiveEvaluationTests.calm.get()
            #expect(ending.code == 0, "\(ending)")
            // Without a JPEG's decoder, both sides see the same pixels.
            let image = try ImageFile.readImage(play.data + "/val/00001.jpg")
            let folder = try TemporaryFolder("example")
            try ImageFile.write(PNG.encode(image), to: folder("scene.png"))
            let output = try script(play, ["--run", play.run, "--image", folder("scene.png"), "--out", folder("out")])

            let bytes = try #require(FileManager.default.contents(atPath: folder("out/summary.json")))
            let summary = try JSONDecoder().decode(Summary.self, from: bytes)
            // Two float32 implementations may decide otherwise between classes that are as good as equal.
            #expect(summary.agreement > 0.995, "\(output)")
            #expect(summary.tensors == 350 && summary.missing == [])
            #expect(summary.classes.count == 10 && summary.classes.first == "sky")

            #expect(summary.steps == Playground.iterations)
            let losses = play.metrics().compactMap { $0["ce"] as? Double }
            #expect(abs(summary.firstLoss - losses[0]) < 1e-9)
            #expect(abs(summary.lastLoss - losses.suffix(20).reduce(0, +) / 20) < 1e-9)
            let evaluations = play.evaluations()
            #expect(summary.mIoU.count == evaluations.count)
            for line in evaluations {
                // The last bit is the JSON reader's.
                let read = try #require(summary.mIoU["\(line["step"] ?? "")"])
                #expect(abs(read - (line["mIoU"] as? Double ?? -1)) < 1e-12)
            }
            let present = summary.iou.values.compactMap { $0 }
            let mean = try #require(summary.mIoU["\(Playground.iterations)"])
            #expect(abs(present.reduce(0, +) / Double(present.count) - mean) < 1e-9)

            if Python.has("matplotlib") {
                let figure = try #require(FileManager.default.contents(atPath: folder("out/after-training.png")))
                #expect(figure.starts(with: Data([0x89, 0x50, 0x4e, 0x47])))
            } else {
                #expect(summary.figure == nil && output.contains("matplotlib is not installed"))
            }
        }

        @Test func whatIsNotThereIsNamed() throws {
            let play = try Playground()
            let error = #expect(throws: (any Error).self) { try script(play, ["--run", play.folder("none")]) }
            let said = error.map { "\($0)" } ?? ""
            #expect(said.contains("none/metrics.jsonl: is not there; name another by --run"), "\(said)")
        }
    }
}
