import Foundation
import Imaging
import TestSupport
import Testing
import Wire

/// Stages in Python, from `tools/examples`.
enum PythonStages {
    static let folder =
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path + "/tools/examples"

    /// A Python with what they need: the PATH's, or Debian's, whose modules `tools/setup` installs. Nil where there is none.
    static let python: String? = ["python3", "/usr/bin/python3"].first { python in
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [python, "-c", "import zmq, numpy"]
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }

    static let remark: Comment = "python3 with pyzmq and numpy is needed (Debian: python3-zmq, python3-numpy)"

    static let withCutout = """
        stages:
          loader:
          cutout: {kind: loader, samples: loader, exec: [\(python ?? "python3"), \(folder)/cutout.py]}
          compute: {samples: cutout, mining: miner, memory: bank, threads: 1}
          bank:
          miner: {memory: bank}
          evaluator: {threads: 1}

        """

    static let withMiner = """
        stages:
          loader:
          compute: {samples: loader, mining: miner, memory: bank, threads: 1}
          bank:
          miner: {memory: bank, exec: [\(python ?? "python3"), \(folder)/miner.py]}
          evaluator: {threads: 1}

        """
}

extension Pipeline {
    @Suite(.enabled(if: PythonStages.python != nil, PythonStages.remark)) struct ThirdPartyTests {
        /// The weights of the undisturbed run with CutOut; trained once.
        private static let cutout: Result<String, any Error> = Result {
            let play = try playground(PythonStages.withCutout)
            let ending = try play.launch().wait()
            guard ending.code == 0 else { throw Trouble("the run with CutOut failed: \(ending)") }
            #expect(play.stages().isEmpty)
            return try play.weights()
        }

        private static func playground(_ topology: String, ownData: Bool = false) throws -> Playground {
            let play = try Playground(ownData: ownData)
            try play.folder.write(topology, to: "topology.yaml")
            return play
        }

        @Test func stageInBetweenChangesWhatComputeSees() throws {
            #expect(try Self.cutout.get() != Reference.weights())
        }

        @Test func weightsDoNotDependOnHowManyStandInBetween() throws {
            let play = try Self.playground(PythonStages.withCutout)
            let ending = try play.launch(["--stage", "cutout=2", "--stage", "loader=2"]).wait()
            #expect(ending.code == 0, "\(ending)")
            #expect(try play.weights() == Self.cutout.get())
        }

        @Test func killedStageInBetweenIsReplacedAndChangesNothing() throws {
            let play = try Self.playground(PythonStages.withCutout)
            let run = try play.launch()
            try play.await(step: 20, of: run)
            kill(try play.pid(of: "cutout-1"), SIGKILL)
            try play.await(step: 40, of: run)
            // Its supplier's death is its own to make good.
            kill(try play.pid(of: "loader-1"), SIGKILL)
            let ending = try run.wait()
            #expect(ending.code == 0, "\(ending)")
            #expect(ending.errors.contains("cutout-1: it was killed"), "\(ending)")
            #expect(ending.errors.contains("loader-1: it was killed"), "\(ending)")
            #expect(play.stages().isEmpty)
            #expect(try play.weights() == Self.cutout.get())
        }

        /// What its supplier could not do is no failure of its own.
        @Test func imageThatCannotBeReadIsNamedThroughTheStageInBetween() throws {
            let play = try Self.playground(PythonStages.withCutout, ownData: true)
            let image = "\(play.data)/train/00003.jpg"
            try ImageFile.write(Array("no picture".utf8), to: image)
            let ending = try play.launch().wait()
            #expect(ending.code == 1 && ending.message.contains(image), "\(ending)")
            #expect(!ending.errors.contains("starting it again"), "\(ending)")
        }

        @Test func thirdPartyMinerTrainsToTheSameBitsTwiceAndWhenKilled() throws {
            let play = try Self.playground(PythonStages.withMiner)
            let first = try play.launch().wait()
            #expect(first.code == 0, "\(first)")
            let losses = play.metrics().compactMap { $0["nce"] as? Double }
            #expect(losses.count == Playground.iterations - Playground.warmup)
            #expect(losses.allSatisfy { $0.isFinite && $0 > 0 })
            #expect(try play.weights() != Reference.weights(), "its draws are its own")

            let again = try Self.playground(PythonStages.withMiner)
            let run = try again.launch()
            try again.await(step: 20, of: run)
            kill(try again.pid(of: "miner-1"), SIGKILL)
            let second = try run.wait()
            #expect(second.code == 0, "\(second)")
            #expect(try again.weights() == play.weights())
        }

        /// `hardest` draws nothing, so both miners sample the same and differ by rounding alone: the first step's losses are of
        /// equal weights, the second's of weights that the first's gradients have moved.
        @Test(arguments: ["both", "none"]) func thirdPartyMinersLossAndGradientAreTheBuiltInOnes(memory: String) throws
        {
            let short = [
                "schedule.iterations=6", "sampler.strategy=hardest", "synthesis.enabled=false",
                "contrast.memory=\(memory)", "contrast.temperature=0.3",
            ]
            let settings = short.flatMap { ["--set", $0] }
            let theirs = try Self.playground(PythonStages.withMiner)
            let ours = try Playground()
            for play in [theirs, ours] {
                let ending = try play.launch(settings).wait()
                #expect(ending.code == 0, "\(ending)")
            }
            func losses(_ play: Playground) -> [Double] { play.metrics().compactMap { $0["nce"] as? Double } }
            #expect(losses(ours).count == 2 && losses(theirs).count == 2)
            // Measured 1e-8 and 1e-4: weights that differ in their last bit do more in a network that normalises two pooled
            // images. A wrong gradient moves the second loss by some 1e-2.
            for (tolerance, (a, b)) in zip([1e-6, 1e-3], zip(losses(theirs), losses(ours))) {
                #expect(abs(a - b) <= tolerance * b, "\(a) and \(b)")
            }
        }

        /// The worker that the protocol's page shows.
        @Test func documentedWorkerServesAPool() throws {
            let folder = try TemporaryFolder("worker")
            let page = try String(
                contentsOfFile: PythonStages.folder + "/../../Sources/Wire/PROTOCOL.md", encoding: .utf8)
            let blocks = page.components(separatedBy: "```python\n").dropFirst()
            let code = try #require(blocks.first?.components(separatedBy: "\n```").first)
            #expect(blocks.count == 1)
            try folder.write(code + "\n", to: "worker.py")

            let endpoint = try Endpoint("ipc://\(folder("p"))")
            let pool = try PoolConsumer(
                endpoint: endpoint, as: Sender(run: "r", name: "compute-1"), epoch: Epoch(3), context: Context())
            let worker = try PicoFlowProcess(
                [PythonStages.python!, "worker.py", endpoint.address, "r", "echo-1"], program: "/usr/bin/env",
                in: folder)
            for id in 1...20 as ClosedRange<UInt64> {
                let tensor = try WireTensor(name: "x", shape: [2], floats: [Float(id), -1])
                try pool.issue(Ticket(id: TicketID(id), body: Data(#"{"id":\#(id)}"#.utf8), tensors: [tensor]))
            }
            for id in 1...20 as ClosedRange<UInt64> {
                let result = try #require(try pool.next(timeout: .seconds(30)), "\(worker.errors)")
                #expect(result.worker == "echo-1")
                let body = try JSONDecoder().decode([String: [String: UInt64]].self, from: result.body)
                #expect(body == ["echo": ["id": id]])
                #expect(result.tensors.first?.bytes.array(of: Float.self) == [Float(id), -1])
            }
            pool.drain(worker: "echo-1")
            let ending = try worker.wait(.seconds(30))
            #expect(ending.code == 0, "\(ending)")
            #expect(pool.statistics.badFrames == 0)
            pool.close()
        }

        @Test func missingProgramIsNamedBeforeAnythingStarts() throws {
            let play = try Self.playground(
                PythonStages.withCutout.replacingOccurrences(of: "cutout.py", with: "cutuot.py"))
            let ending = try play.launch().wait()
            #expect(ending.code == 1)
            #expect(
                ending.message
                    == "picoflow: topology.yaml:3: stage 'cutout': there is no file \(PythonStages.folder)/cutuot.py")
            #expect(!FileManager.default.fileExists(atPath: play.run))
        }
    }
}
