import Basics
import Configuration
import Foundation
import NN
import TestSupport
import Tensors
import Testing

@testable import Models

/// Networks as TorchScript: read back, they score as the network does, whatever the batch.
@Suite struct ScriptTests {
    private static let networks: [(ModelSettings.Head, ModelSettings.Backbone)] = [
        (.deeplabv3, .mobilenetv1), (.deeplabv3, .mobilenetv2), (.deeplabv3, .mobilenetv3), (.deeplabv3, .resnet18),
        (.hrnet, .hrnetv2w18), (.ocrnet, .hrnetv2w18), (.segformer, .mitb0), (.segmenter, .vitt16),
        (.maskformer, .swint), (.maskformer, .resnet50),
    ]

    private func network(_ index: Int) throws -> any SegmentationNetwork {
        var settings = ModelSettings()
        (settings.head, settings.backbone) = Self.networks[index]
        settings.width = 0.25
        if settings.head == .segmenter { settings.imageSize = [64, 96] }
        return try Network.initial(settings, classes: 3, seed: 5, projecting: false).eval()
    }

    private func images(_ count: Int, _ height: Int = 60, _ width: Int = 90) throws -> Tensor {
        let values = (0..<count * 3 * height * width).map { Float(($0 * 7919) % 256) / 255 }
        return try Tensor(values, shape: [count, 3, height, width])
    }

    private func scores(_ network: any SegmentationNetwork, _ images: Tensor) throws -> Tensor {
        let normalization = network.inputNormalization
        let mean = try Tensor(normalization.mean, shape: [1, 3, 1, 1])
        return try withoutGradient {
            try network((images - mean) / Tensor(normalization.std, shape: [1, 3, 1, 1]))
        }
    }

    /// The recorded batch was 2.
    @Test(arguments: networks.indices) func recordedNetworkScoresBatchesOfAnySize(_ index: Int) throws {
        let folder = try TemporaryFolder("script")
        let network = try network(index)
        try ExportJob.script(of: network, size: Size2D(60, 90)).write(to: folder("network.pt"))
        #expect(!FileManager.default.fileExists(atPath: folder("network.pt.partial")))
        let script = try Script(contentsOf: folder("network.pt"))
        for count in [1, 2, 3] {
            let images = try images(count)
            let expected = try scores(network, images)
            let found = try withoutGradient { try script(images) }
            #expect(found.shape == [count, 3, 60, 90])
            let spread = try expected.variance(unbiased: false).item().squareRoot()
            // Where the network goes a cheaper way to the same sums: float32's rounding, of MobileNetV2 up to 4e-5 of it.
            #expect(try (found - expected).abs().max().item() <= 1e-4 * spread, "\(Self.networks[index]) \(count)")
        }
        // Twice as large would pass many a network, and be wrong.
        for (height, width) in [(120, 180), (60, 96), (30, 45)] {
            #expect(throws: TensorError.self, "\(height) x \(width)") { try script(images(1, height, width)) }
        }
    }

    /// libtorch's own writer ends the process there.
    @Test(.enabled(if: SmallDisk.isPossible, "mounting a small disk needs root"))
    func fullDiskIsAnErrorAndLeavesWhatWasThere() throws {
        let folder = try TemporaryFolder("script")
        let disk = try SmallDisk(at: folder("disk"), mebibytes: 1)
        let path = disk.path + "/network.pt"
        try Data("old".utf8).write(to: URL(fileURLWithPath: path))
        let script = try ExportJob.script(of: network(1), size: Size2D(60, 90))
        let error = #expect(throws: TensorError.self) { try script.write(to: path) }
        #expect("\(error!)".contains("No space left on device"), "\(error!)")
        #expect(FileManager.default.contents(atPath: path) == Data("old".utf8))
        #expect(try FileManager.default.contentsOfDirectory(atPath: disk.path) == ["network.pt"])
    }

    @Test func whatFailsWhileItIsRecordedIsThrownAsItIs() throws {
        let images = try images(1)
        // Other tests of this process make tensors meanwhile. A leak shows each time, what others do does not.
        var kept: [Int] = []
        repeat {
            let handles = Tensor.liveHandles
            #expect(throws: UserError("no")) {
                _ = try Script(tracing: NamedTensors(), parameters: [], on: images) { _ in throw UserError("no") }
            }
            kept.append(Tensor.liveHandles - handles)
        } while kept.last != 0 && kept.count < 200
        #expect(kept.last == 0, "\(kept)")
        // Recording is over: nothing is recorded any more.
        #expect(try (images * 2).shape == images.shape)
    }

    /// The newest PyTorch at hand reads what any of ours wrote.
    @Test func aRealPyTorchRunsIt() throws {
        guard PythonTorch.isThere else { return print("TorchScript in PyTorch: skipped, python3 has no torch") }
        let folder = try TemporaryFolder("script")
        let script = """
            import json, sys, torch
            texts = {"picoflow.json": ""}
            for name in sys.argv[1:]:
                network = torch.jit.load(name + ".pt", _extra_files=texts).eval()
                assert json.loads(texts["picoflow.json"])["classes"] == ["a", "b", "c"]
                for count in (1, 3):
                    n = count * 3 * 60 * 90
                    images = ((torch.arange(n) * 7919) % 256).reshape(count, 3, 60, 90).float() / 255
                    scores = torch.frombuffer(bytearray(open(f"{name}-{count}.scores", "rb").read()), dtype=torch.float32)
                    with torch.inference_mode():
                        found = network(images)
                    assert (found.flatten() - scores).abs().max() <= 1e-4 * scores.std(), name
                if "maskformer" not in name:
                    with torch.inference_mode():
                        moved = network.to(torch.bfloat16)(images.bfloat16())
                    assert moved.dtype == torch.bfloat16 and (moved.float() - found).std() < 0.1 * found.std(), name
                parameters = {key for key, value in network.named_parameters()}
                assert set(json.load(open(name + ".json"))) == set(network.state_dict()), name
                assert parameters and parameters <= set(network.state_dict())
            """
        try folder.write(script, to: "run.py")
        var names: [String] = []
        for index in [1, 4, 6, 7, 8] {
            let name = Self.networks[index].0.rawValue
            let (head, backbone) = Self.networks[index]
            var settings = ModelSettings()
            (settings.head, settings.backbone, settings.width) = (head, backbone, 0.25)
            if head == .segmenter { settings.imageSize = [64, 96] }
            let network = try network(index)
            try FileManager.default.createDirectory(atPath: folder(name), withIntermediateDirectories: true)
            try Safetensors.write(network.stateDict(), to: Network.weightsFile(folder(name)))
            let line = try ExportJob.writeScript(
                settings, checkpoint: folder(name), classes: ["a", "b", "c"], size: Size2D(60, 90),
                to: folder("\(name).pt"))
            #expect(line == "\(folder("\(name).pt")): TorchScript for images of 60 x 90, 3 classes")
            for count in [1, 3] {
                let bytes = try scores(network, images(count)).bytes()
                try bytes.withUnsafeBytes { Data($0) }.write(
                    to: URL(fileURLWithPath: folder("\(name)-\(count).scores")))
            }
            try JSONEncoder().encode(network.stateDict().names).write(to: URL(fileURLWithPath: folder("\(name).json")))
            names.append(name)
        }
        #expect(try PythonTorch.run(["run.py"] + names, in: folder.path) == 0)
    }
}

/// `python3` with a PyTorch of its own, where there is one.
enum PythonTorch {
    static let isThere = (try? run(["-c", "import torch"], in: "/", quietly: true)) == 0

    static func run(_ arguments: [String], in folder: String, quietly: Bool = false) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3"] + arguments
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        if quietly { process.standardError = FileHandle.nullDevice }
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
    }
}
