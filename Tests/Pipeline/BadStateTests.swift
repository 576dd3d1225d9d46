import Basics
import Foundation
import StageKit
import TestSupport
import Testing

extension Pipeline {
    /// Weights, checkpoints, devices and disks that will not do: the run ends with one line, and what was good stays.
    @Suite struct BadStateTests {
        /// A run of this playground that was stopped with checkpoints.
        private func stoppedRun() throws -> Playground {
            let play = try Playground()
            let run = try play.launch()
            try play.await(step: 26, of: run)
            run.signal(SIGINT)
            let ending = try run.wait()
            guard ending.code == 0 else { throw Trouble("the run did not stop: \(ending)") }
            return play
        }

        private func expectFailure(
            _ ending: PicoFlowProcess.Ending, _ parts: String..., sourceLocation: SourceLocation = #_sourceLocation
        ) {
            #expect(ending.code == 1, "\(ending)", sourceLocation: sourceLocation)
            #expect(ending.message.hasPrefix("picoflow: "), "\(ending)", sourceLocation: sourceLocation)
            #expect(!ending.errors.contains("Fatal error"), "\(ending)", sourceLocation: sourceLocation)
            for part in parts { #expect(ending.message.contains(part), "\(ending)", sourceLocation: sourceLocation) }
        }

        @Test func pretrainedWeightsThatAreNoSafetensors() throws {
            let play = try Playground()
            try play.folder.write("these are no weights", to: "weights.safetensors")
            let ending = try play.launch(["--set", "model.pretrained=weights.safetensors"]).wait()
            expectFailure(ending, "compute-1 failed first: ", "weights.safetensors is no usable file of weights: ")
            #expect(play.stages().isEmpty)
        }

        /// A checkpoint has the weights: what they began with is not needed again.
        @Test func resumeNeedsNoPretrainedWeights() throws {
            let play = try stoppedRun()
            let export = try play.command("export", "--run", play.run, "--to", "own.safetensors")
            #expect(export.code == 0, "\(export)")
            let second = play.folder("second")
            let run = try play.launch(["--set", "model.pretrained=own.safetensors"], run: second)
            #expect(waitUntil(.seconds(60)) { play.metrics(run: second).count > 5 || !run.isRunning })
            run.signal(SIGINT)
            let stopped = try run.wait()
            #expect(stopped.code == 0 && stopped.output.contains("launch --resume"), "\(stopped)")
            try FileManager.default.removeItem(atPath: play.folder("own.safetensors"))
            let resumed = try play.command("launch", "--resume", second)
            #expect(resumed.code == 0, "\(resumed)")
        }

        @Test func trainingThatDivergesSaysWhatToDo() throws {
            let play = try Playground()
            let ending = try play.launch(["--set", "schedule.lr=1e30"]).wait()
            #expect(ending.code == 1, "\(ending)")
            #expect(ending.message.contains("lower schedule.lr or raise schedule.lrWarmup"), "\(ending)")
        }

        @Test func sampleBeyondTheMessageLimitEndsTheRunWithBothSizes() throws {
            let play = try Playground()
            try play.folder.write(Playground.topology(watch: "pool: {messageLimit: 64 KiB}"), to: "topology.yaml")
            let ending = try play.launch(["--set", "augmentation.crop=[240, 320]"]).wait()
            #expect(ending.code == 1 && ending.message.contains("the limit is 65536"), "\(ending)")
        }

        @Test func pretrainedWeightsOfAnotherNetwork() throws {
            let play = try Playground()
            // A valid file with one tensor that no network of ours has.
            let header = #"{"encoder.weight":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#
            var bytes = Data()
            withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { bytes.append(contentsOf: $0) }
            bytes.append(contentsOf: header.utf8)
            bytes.append(Data(count: 8))
            try bytes.write(to: URL(fileURLWithPath: play.folder("weights.safetensors")))
            let ending = try play.launch(["--set", "model.pretrained=weights.safetensors"]).wait()
            expectFailure(
                ending, "weights.safetensors: not the weights of deeplabv3 on mobilenetv2 as the recipe has it; ",
                "encoder.weight")
        }

        @Test(.disabled(if: access("/dev/nvidiactl", F_OK) == 0, "there is a GPU"))
        func deviceThatIsNotThere() throws {
            let play = try Playground()
            let text = Playground.topology().replacingOccurrences(
                of: "threads: 1}\n  bank", with: "threads: 1, device: cuda:0}\n  bank")
            try play.folder.write(text, to: "topology.yaml")
            let ending = try play.launch().wait()
            expectFailure(ending, "compute-1 failed first: ", "cuda:0")
            #expect(play.stages().isEmpty)
        }

        @Test func checkpointOfAnotherModelIsRefused() throws {
            let play = try stoppedRun()
            let recipe = try #require(play.folder.read("run/recipe.yaml"))
            let edited = recipe.replacingOccurrences(of: "outputStride: 16", with: "outputStride: 8")
            try #require(edited != recipe)
            try play.folder.write(edited, to: "run/recipe.yaml")
            let newest = try #require(play.names(play.run + "/checkpoints").last)
            expectFailure(
                try play.command("launch", "--resume", play.run),
                "compute-1 failed first: \(play.run)/checkpoints/\(newest) is of another model")

            try play.folder.write(recipe, to: "run/recipe.yaml")
            let resumed = try play.command("launch", "--resume", play.run)
            #expect(resumed.code == 0, "\(resumed)")
            #expect(try play.weights() == Reference.weights())
        }

        @Test(arguments: ["model.safetensors", "optimizer.safetensors", "bank.snapshot"])
        func damagedCheckpointIsRefused(file: String) throws {
            let play = try stoppedRun()
            let newest = try #require(play.names(play.run + "/checkpoints").last)
            let path = "\(play.run)/checkpoints/\(newest)/\(file)"
            let good = try #require(FileManager.default.contents(atPath: path))
            var bytes = good
            bytes[bytes.count / 2] ^= 1
            try bytes.write(to: URL(fileURLWithPath: path))
            let ending = try play.command("launch", "--resume", play.run)
            expectFailure(ending, "failed first: \(path) is ")
            // Bank and compute both read the memory; whoever is first says so in its own words.
            #expect(ending.message.contains("damaged") || ending.message.contains("no usable snapshot"), "\(ending)")
            #expect(play.stages().isEmpty)
            #expect(play.names(play.run + "/checkpoints").contains(newest))
        }

        /// Each file may be whole and yet be another checkpoint's.
        @Test func memoryThatIsNotTheCheckpointsIsRefused() throws {
            let play = try stoppedRun()
            let newest = try #require(play.names(play.run + "/checkpoints").last)
            let path = "run/checkpoints/\(newest)/manifest.json"
            let manifest = try #require(play.folder.read(path))
            let hash = try #require(manifest.firstMatch(of: /"memory" ?: ?"([0-9a-f]+)"/)).output.1
            let other = (hash.first == "0" ? "1" : "0") + hash.dropFirst()
            try play.folder.write(manifest.replacingOccurrences(of: hash, with: other), to: path)
            expectFailure(
                try play.command("launch", "--resume", play.run),
                "compute-1 failed first: the bank's memory after step ", "its hash is \(hash), ", "says \(other)")

            try play.folder.write(manifest, to: path)
            let resumed = try play.command("launch", "--resume", play.run)
            #expect(resumed.code == 0, "\(resumed)")
            #expect(try play.weights() == Reference.weights())
        }

        @Test(.enabled(if: SmallDisk.isPossible, "mounting a small disk needs root"))
        func fullDiskLeavesTheLastCheckpointValid() throws {
            let play = try Playground()
            // One checkpoint fits, two do not.
            let disk = try SmallDisk(at: play.folder("disk"), mebibytes: 64)
            let run = disk.path + "/run"
            let full = try play.launch(run: run).wait()
            // Training goes on without those in between; the last one it cannot do without.
            for step in [48, 72] {
                #expect(
                    full.errors.contains("warning: compute-1: no checkpoint of step \(step): cannot write \(run)/"),
                    "\(full)")
            }
            expectFailure(full, "compute-1 failed first: ", "step-000080", "No space left on device")
            #expect(play.metrics(run: run).count == Playground.iterations)
            #expect(play.stages().isEmpty)
            #expect(play.names(run + "/checkpoints") == ["step-000024"])

            try disk.grow(mebibytes: 512)
            let resumed = try play.command("launch", "--resume", run)
            #expect(resumed.code == 0, "\(resumed)")
            #expect(resumed.errors.contains("going on from step 24"), "\(resumed)")
            #expect(try play.weights(run: run) == Reference.weights())
        }

        @Test(.enabled(if: SmallDisk.isPossible, "mounting a small disk needs root"))
        func metricsThatFindNoRoomAreWrittenLater() throws {
            let folder = try TemporaryFolder("metrics")
            let disk = try SmallDisk(at: folder("disk"), mebibytes: 1)
            let path = disk.path + "/metrics.jsonl"
            let metrics = try MetricsFile(path: path, continuingAfter: 0)
            try metrics.append(StepMetrics(step: 1, lr: 1, ce: 1))
            try disk.fill()
            // More than what is left of the file's own page.
            for step in 2...100 as ClosedRange<UInt64> { try metrics.append(StepMetrics(step: step, lr: 1, ce: 1)) }
            #expect(throws: UserError.self) { try metrics.flush() }
            #expect(try MetricsFile.read(path: path).count < 100)
            try disk.grow(mebibytes: 2)
            try metrics.append(StepMetrics(step: 101, lr: 1, ce: 1))
            #expect(try MetricsFile.read(path: path).map(\.step) == Array(1...101))
        }
    }
}
