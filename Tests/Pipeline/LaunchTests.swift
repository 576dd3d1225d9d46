import Foundation
import TestSupport
import Testing

extension Pipeline {
    @Suite struct LaunchTests {
        @Test func launchTrainsThroughAllStagesAndLeavesACompleteRun() throws {
            let play = try Playground()
            let ending = try play.launch().wait()
            #expect(ending.code == 0, "\(ending)")

            let metrics = play.metrics()
            #expect(metrics.compactMap { $0["step"] as? Int } == Array(1...Playground.iterations))
            #expect(metrics.allSatisfy { ($0["ce"] as? Double)?.isFinite == true })
            let contrast = metrics.compactMap { $0["nce"] as? Double }
            #expect(contrast.count == Playground.iterations - Playground.warmup)
            #expect(contrast.allSatisfy { $0.isFinite && $0 > 0 })
            #expect(metrics.prefix(Playground.warmup).allSatisfy { $0["nce"] == nil || $0["nce"] is NSNull })

            #expect(play.names(play.run + "/checkpoints") == ["step-000072", "step-000080"])
            let files = ["manifest.json", "model.safetensors", "optimizer.safetensors"]
            #expect(play.names(play.run + "/checkpoints/step-000080").filter { $0 != "evaluation.json" } == files)
            #expect(play.names(play.run + "/checkpoints/step-000072") == ["bank.snapshot"] + files)
            for file in ["recipe.yaml", "topology.yaml", "journal.jsonl", "dataset.json"] {
                #expect(play.names(play.run).contains(file))
            }
            for stage in ["loader-1", "compute-1", "bank-1", "miner-1"] {
                #expect(play.names(play.run + "/logs").contains(stage + ".log"))
            }
            #expect(play.stages().isEmpty)
            #expect(play.leftoverSockets.isEmpty)
            #expect(!play.names(play.run).contains("processes.json"))
            #expect(play.ledger().compactMap { $0["step"] as? Int } == Array(1...Playground.iterations))
            #expect(play.ledger().allSatisfy { $0["batch"] is String && $0["record"] is String })
            #expect(try play.weights() == Reference.weights(), "the same run twice")
        }

        @Test func crossEntropyAloneNeedsNeitherBankNorMiners() throws {
            let play = try Playground()
            let first = try play.launch(["--set", "contrast.enabled=false"]).wait()
            #expect(first.code == 0, "\(first)")
            #expect(play.metrics().count == Playground.iterations)
            #expect(play.metrics().allSatisfy { $0["nce"] == nil || $0["nce"] is NSNull })
            #expect(!play.names(play.run + "/logs").contains { $0.hasPrefix("bank") || $0.hasPrefix("miner") })

            let second = try play.launch(
                ["--set", "contrast.enabled=false", "--stage", "loader=2"], run: play.folder("again")
            ).wait()
            #expect(second.code == 0, "\(second)")
            #expect(try play.weights() == play.weights(run: play.folder("again")))
        }

        @Test(arguments: [["loader=3"], ["miner=2"], ["loader=2", "miner=3"]])
        func weightsDoNotDependOnHowManyWork(counts: [String]) throws {
            let play = try Playground()
            let ending = try play.launch(counts.flatMap { ["--stage", $0] }).wait()
            #expect(ending.code == 0, "\(ending)")
            #expect(try play.weights() == Reference.weights())
        }

        @Test func weightsDoNotDependOnLoaderThreads() throws {
            let play = try Playground()
            try play.folder.write(Playground.topology(loaderThreads: 2), to: "topology.yaml")
            let ending = try play.launch().wait()
            #expect(ending.code == 0, "\(ending)")
            #expect(try play.weights() == Reference.weights())
        }

        @Test func sampleThatCannotBeReadEndsTheRunWithTheFilesName() throws {
            let play = try Playground(ownData: true)
            let path = play.data + "/train/00003.jpg"
            let bytes = try #require(FileManager.default.contents(atPath: path))
            try bytes.prefix(bytes.count / 4).write(to: URL(fileURLWithPath: path))
            let ending = try play.launch().wait()
            #expect(ending.code == 1, "\(ending)")
            #expect(ending.message.contains(path), "\(ending)")
            #expect(play.stages().isEmpty)
            #expect(play.leftoverSockets.isEmpty)
        }
    }
}
