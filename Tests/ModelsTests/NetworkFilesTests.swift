import Basics
import Configuration
import Foundation
import NN
import Tensors
import Testing

@testable import Models

/// Networks from files: trained, pretrained, exported, and files that do not fit.
@Suite struct NetworkFilesTests {
    /// A folder that goes away with the test.
    private final class Folder {
        let path: String
        init() throws {
            path = FileManager.default.temporaryDirectory.appendingPathComponent("models-\(UUID().uuidString)").path
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        deinit { try? FileManager.default.removeItem(atPath: path) }
        func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }
    }

    private func settings(_ change: (inout ModelSettings) -> Void = { _ in }) -> ModelSettings {
        var settings = ModelSettings()
        settings.embedding = 16
        change(&settings)
        return settings
    }

    private func message(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "no error"
        } catch { return "\(error)" }
    }

    private func input() throws -> Tensor {
        try Tensor(ParityFormula.input("input", shape: [1, 3, 40, 56]), shape: [1, 3, 40, 56])
    }

    @Test func trainedNetworkComesWithoutItsProjectionHead() throws {
        let folder = try Folder()
        let network = try Network.initial(settings(), classes: 4, seed: 3, projecting: true)
        try Safetensors.write(network.stateDict(), to: Network.weightsFile(folder.path))
        let trained = try Network.trained(settings(), classes: 4, checkpoint: folder.path)
        #expect(trained.projection == nil)
        #expect(!trained.isTraining)
        try withoutGradient {
            let expected = try network.eval()(input())
            #expect(try trained(input()).isEqual(to: expected))
        }
    }

    @Test func checkpointOfAnotherNetworkIsNamed() throws {
        let folder = try Folder()
        let file = Network.weightsFile(folder.path)
        let network = try Network.initial(settings(), classes: 4, seed: 3, projecting: false)
        try Safetensors.write(network.stateDict(), to: file)
        let otherClasses = message { _ = try Network.trained(settings(), classes: 5, checkpoint: folder.path) }
        #expect(otherClasses.hasPrefix("\(file): not the weights of deeplabv3 on mobilenetv2"))
        #expect(otherClasses.contains("classifier.4.weight ([4, 256, 1, 1], the network has [5, 256, 1, 1])"))

        try Safetensors.write(network.stateDict().under("backbone."), to: file)
        let bare = message { _ = try Network.trained(settings(), classes: 4, checkpoint: folder.path) }
        #expect(bare.contains("350 missing: backbone.conv_stem.weight"))
        #expect(!bare.contains("\n"))

        let absent = message { _ = try Network.trained(settings(), classes: 4, checkpoint: folder("absent")) }
        #expect(absent.contains(folder("absent/model.safetensors")))
    }

    @Test(arguments: ["timm", "torchvision"]) func publishedBackbonesAreTakenOverInEitherSpelling(_ spelling: String)
        throws
    {
        let folder = try Folder()
        let published = try MobileNetV2(classes: 10)
        try published.initialize(seed: 9)
        var state = published.stateDict()
        if spelling == "torchvision" {
            state = state.renamed { name in
                let dot = name.lastIndex(of: ".")!
                return MobileNetV2.torchvisionNames.first { $0.ours == name[..<dot] }!.theirs + name[dot...]
            }
            #expect(state.names.contains("features.18.0.weight"))
        }
        try Safetensors.write(state, to: folder("weights.safetensors"))
        let network = try Network.initial(
            settings { $0.pretrained = folder("weights.safetensors") }, classes: 4, seed: 3, projecting: true)
        let found = network.stateDict()
        for (name, tensor) in try MobileNetV2().stateDict() {
            #expect(try found["backbone.\(name)"]!.isEqual(to: published.stateDict()[name]!), "\(name)")
            _ = tensor
        }
        let fresh = try Network.initial(settings(), classes: 4, seed: 3, projecting: true).stateDict()
        #expect(try found["classifier.4.weight"]!.isEqual(to: fresh["classifier.4.weight"]!))
        #expect(try !found["backbone.conv_stem.weight"]!.isEqual(to: fresh["backbone.conv_stem.weight"]!))
    }

    @Test func weightsOfAnotherArchitectureAreNoBackbone() throws {
        let folder = try Folder()
        let path = folder("resnet.safetensors")
        try Safetensors.write(NamedTensors([("conv1.weight", try Tensor.zeros([64, 3, 7, 7]))]), to: path)
        let text = message {
            _ = try Network.initial(settings { $0.pretrained = path }, classes: 4, seed: 3, projecting: false)
        }
        #expect(text.hasPrefix("\(path): not the weights of deeplabv3 on mobilenetv2"))
        #expect(text.contains("missing: conv_stem.weight"))
        #expect(text.contains("unused: conv1.weight"))
    }

    @Test func wholeNetworksArePretrainedWithAndWithoutProjectionHead() throws {
        let folder = try Folder()
        let first = try Network.initial(settings(), classes: 4, seed: 5, projecting: true)
        try Safetensors.write(first.stateDict(), to: folder("with.safetensors"))
        try Safetensors.write(first.stateDict().withoutProjection, to: folder("without.safetensors"))
        for (file, projecting, keepsProjection) in [
            ("with", true, true), ("with", false, false), ("without", true, false), ("without", false, false),
        ] {
            let network = try Network.initial(
                settings { $0.pretrained = folder("\(file).safetensors") }, classes: 4, seed: 6, projecting: projecting)
            let state = network.stateDict()
            #expect(try state["classifier.4.weight"]!.isEqual(to: first.stateDict()["classifier.4.weight"]!))
            if projecting {
                let same = try state["projection.3.weight"]!.isEqual(to: first.stateDict()["projection.3.weight"]!)
                #expect(same == keepsProjection, "\(file)")
            }
        }
    }

    @Test func exportHoldsThePlainNetworkAndNothingElse() throws {
        let folder = try Folder()
        let network = try Network.initial(settings(), classes: 4, seed: 5, projecting: true)
        try Safetensors.write(network.stateDict(), to: Network.weightsFile(folder.path))
        let line = try ExportJob.run(checkpoint: folder.path, to: folder("out.safetensors"))
        #expect(line.contains("projection head left out"))
        let exported = try Safetensors.read(folder("out.safetensors"))
        #expect(Set(exported.names) == Set(network.stateDict().withoutProjection.names))
        for (name, tensor) in exported { #expect(try tensor.isEqual(to: network.stateDict()[name]!), "\(name)") }

        try Safetensors.write(NamedTensors([("x", try Tensor.zeros([1]))]), to: Network.weightsFile(folder.path))
        let text = message { _ = try ExportJob.run(checkpoint: folder.path, to: folder("out.safetensors")) }
        #expect(text.contains("holds no trained network"))
    }

    /// As many positions may be of several grids.
    @Test func exportSaysTheGridOfPositions() throws {
        let folder = try Folder()
        let wide = settings {
            $0.head = .segmenter
            $0.backbone = .vitt16
            $0.width = 0.25
            $0.imageSize = [144, 256]
        }
        let network = try Network.initial(wide, classes: 4, seed: 5, projecting: true)
        try Safetensors.write(network.stateDict(), to: Network.weightsFile(folder.path))
        _ = try ExportJob.run(checkpoint: folder.path, to: folder("out.safetensors"))
        let exported = try Safetensors.read(folder("out.safetensors"))
        #expect(exported.metadata == ["format": "pt", "position_grid": "9x16"])
    }

    @Test func exportHasTheReferencesNamesAndShapes() throws {
        let name = "deeplabv3_timm_mobilenetv2_100"
        guard ParityFolder.cases?.contains(name) == true else {
            return print("export names: skipped, \(ParityFolder.path) has no case \(name)")
        }
        let reference = try ParityFolder.decode(ParityCase.self, from: ParityFolder.data(name)).state
        let folder = try Folder()
        let network = try Network.initial(settings(), classes: 11, seed: 5, projecting: true)
        try Safetensors.write(network.stateDict(), to: Network.weightsFile(folder.path))
        _ = try ExportJob.run(checkpoint: folder.path, to: folder("out.safetensors"))
        let exported = try Safetensors.read(folder("out.safetensors"))
        #expect(Set(exported.names) == Set(reference.map(\.name)))
        for entry in reference { #expect(exported[entry.name]?.shape == entry.shape, "\(entry.name)") }
    }

    @Test func normalizationIsTheFormula() throws {
        let pixels = try Tensor([0, 128, 255, 10, 20, 30] as [UInt8], shape: [1, 1, 2, 3])
        let input = try InputNormalization.imageNet(pixels)
        #expect(input.shape == [1, 3, 1, 2])
        let found = try input.array(of: Float.self)
        let bytes: [[Double]] = [[0, 10], [128, 20], [255, 30]]
        for channel in 0..<3 {
            for x in 0..<2 {
                let mean = Double(InputNormalization.imageNet.mean[channel])
                let std = Double(InputNormalization.imageNet.std[channel])
                let expected: Double = (bytes[channel][x] / 255 - mean) / std
                let deviation: Double = abs(Double(found[channel * 2 + x]) - expected)
                #expect(deviation < 1e-5)
            }
        }
        #expect(throws: TensorError.self) { try InputNormalization.imageNet(Tensor.zeros([1, 3, 4, 4])) }
    }
}
