import Basics
import Configuration
import Foundation
import NN
import Tensors
import TestSupport
import Testing

@testable import Models

/// Weights from elsewhere: under which names they are found, what may be missing, and what is refused.
@Suite struct PretrainedTests {
    func settings(
        _ head: ModelSettings.Head, _ backbone: ModelSettings.Backbone, width: Float = 0.25,
        _ change: (inout ModelSettings) -> Void = { _ in }
    ) -> ModelSettings {
        var settings = ModelSettings()
        (settings.head, settings.backbone, settings.width, settings.embedding) = (head, backbone, width, 8)
        change(&settings)
        return settings
    }

    private static let networks: [(ModelSettings.Head, ModelSettings.Backbone)] = [
        (.deeplabv3, .mobilenetv2), (.deeplabv3, .mobilenetv3), (.deeplabv3, .resnet18), (.hrnet, .hrnetv2w18),
        (.ocrnet, .hrnetv2w18), (.segformer, .mitb0), (.segmenter, .vitt16), (.maskformer, .swint),
        (.maskformer, .resnet50),
    ]

    private func message(_ body: () throws -> Any) -> String {
        do {
            return "taken: \(try body())"
        } catch { return "\(error)" }
    }

    /// The file of a whole network, written aside under other names, as `loadPretrained` takes it.
    func load(
        _ state: NamedTensors, into network: any SegmentationNetwork, _ settings: ModelSettings
    ) throws -> WeightReport {
        let folder = try TemporaryFolder("pretrained")
        try Safetensors.write(state, to: folder("w.safetensors"))
        return try network.loadPretrained(folder("w.safetensors"), settings)
    }

    @Test(arguments: networks.indices) func wholeNetworksAreFoundBehindWrappers(_ index: Int) throws {
        let settings = settings(Self.networks[index].0, Self.networks[index].1)
        let first = try Network.initial(settings, classes: 3, seed: 5, projecting: false)
        let saved = first.stateDict()
        // One network is tried behind all of them: wrappers do not know what they wrap.
        for wrapper in index == 0 ? ["", "module.", "model.", "_orig_mod.module."] : ["_orig_mod.module."] {
            let second = try Network.initial(settings, classes: 3, seed: 6, projecting: true)
            let report = try load(saved.prefixed(wrapper), into: second, settings)
            for (name, tensor) in second.stateDict().withoutProjection {
                #expect(try tensor.isEqual(to: saved[name]!), "\(wrapper)\(name)")
            }
            #expect(report.names.count == saved.count && report.ignored == [], "\(wrapper) \(report.line)")
            #expect(report.missing.allSatisfy { $0.hasPrefix(NamedTensors.projectionPrefix) })
        }
    }

    @Test(arguments: networks.indices) func backbonesAreFoundBehindWrappersAndBesideOtherHeads(_ index: Int) throws {
        let settings = settings(Self.networks[index].0, Self.networks[index].1)
        let first = try Network.initial(settings, classes: 3, seed: 5, projecting: false)
        let backbone = try #require(first.publishedBackbone)
        let own = backbone.module.stateDict()
        for wrapper in index == 0 ? ["", "backbone.", "module.model.", "model.backbone."] : ["module.model."] {
            var file = own.prefixed(wrapper)
            file["neck.conv.weight"] = try Tensor.zeros([4])
            file["decode_head_of_another.weight"] = try Tensor.zeros([4])
            let second = try Network.initial(settings, classes: 3, seed: 6, projecting: false)
            // The tensors are the network's: they show what is loaded.
            let state = second.stateDict()
            let inBackbone = Set(own.names.map { backbone.prefix + $0 })
            let heads = state.names.filter { !inBackbone.contains($0) }
            let before = try heads.map { try state[$0]!.clone() }
            let report = try load(file, into: second, settings)
            for (name, tensor) in own {
                #expect(try state[backbone.prefix + name]!.isEqual(to: tensor), "\(wrapper)\(name)")
            }
            for (name, old) in zip(heads, before) {
                #expect(try state[name]!.isEqual(to: old), "\(name)")
            }
            #expect(Set(report.ignored) == ["neck.conv.weight", "decode_head_of_another.weight"], "\(report.line)")
            #expect(!report.missing.isEmpty)
        }
    }

    @Test func aDeeperNetworkOfTheSameFamilyIsRefused() throws {
        let file = try ResNet(.resnet34.scaled(0.25), classes: 10).stateDict()
        let settings = settings(.deeplabv3, .resnet18)
        let network = try Network.make(settings, classes: 3)
        let text = message { try load(file, into: network, settings) }
        #expect(text.contains("not the weights of deeplabv3 on resnet18 as the recipe has it"), "\(text)")
        #expect(text.contains("unused: layer1.2.bn1.bias"), "\(text)")
        #expect(!text.contains("\n"))
    }

    @Test func bothShapesAreNamed() throws {
        let file = try ResNet(.resnet18.scaled(0.5), classes: 10).stateDict()
        let settings = settings(.deeplabv3, .resnet18)
        let text = message { try load(file, into: Network.make(settings, classes: 3), settings) }
        #expect(
            text.contains("of another shape: conv1.weight ([32, 3, 7, 7], the network has [16, 3, 7, 7])"), "\(text)")
    }

    /// Whose weights they are is said where the file holds enough to know.
    @Test func theRightNetworkIsNamed() throws {
        let file = try MobileNetV3Classifier(classes: 10).stateDict()
        let settings = settings(.deeplabv3, .mobilenetv2, width: 1)
        let text = message { try load(file, into: Network.make(settings, classes: 3), settings) }
        #expect(text.hasSuffix("; it fits deeplabv3 on mobilenetv3"), "\(text)")
    }

    @Test(arguments: networks.indices) func anotherDatasetsClassifierStartsAnew(_ index: Int) throws {
        let settings = settings(Self.networks[index].0, Self.networks[index].1)
        let trained = try Network.initial(settings, classes: 19, seed: 5, projecting: false)
        let network = try Network.initial(settings, classes: 11, seed: 6, projecting: false)
        let before = try #require(network.stateDict()[settings.head.classifierWeight]).clone()
        let report = try load(trained.stateDict(), into: network, settings)
        #expect(report.fileClasses == 19 && report.classes == 11)
        #expect(report.recounted.map(\.name).contains(settings.head.classifierWeight))
        #expect(report.missing == [] && report.ignored == [], "\(report.line)")
        #expect(report.names.count + report.recounted.count == network.stateDict().count)
        #expect(try network.stateDict()[settings.head.classifierWeight]!.isEqual(to: before))
        #expect(report.line.contains("of 19 classes instead of 11"))
    }

    /// Half a head would be neither the file's nor the seed's.
    @Test func headsAreTakenAsAWholeOrNotAtAll() throws {
        for (head, backbone) in [
            (ModelSettings.Head.deeplabv3, ModelSettings.Backbone.resnet18), (.hrnet, .hrnetv2w18),
            (.ocrnet, .hrnetv2w18), (.maskformer, .swint),
        ] {
            let settings = settings(head, backbone)
            let trained = try Network.initial(settings, classes: 3, seed: 5, projecting: false)
            let first = trained.stateDict()
            let published = try #require(trained.publishedBackbone)
            let inBackbone = Set(published.module.stateDict().names.map { published.prefix + $0 })
            let classifier = settings.head.classifierWeight
            let part = String(classifier.prefix { $0 != "." })
            let other = try Tensor.zeros(first[classifier]!.shape + [2])
            for change in [nil, other] {
                var state = first
                state[classifier] = change
                let network = try Network.initial(settings, classes: 3, seed: 6, projecting: false)
                let before = try network.stateDict().map { try $0.tensor.clone() }
                let report = try load(state, into: network, settings)
                #expect(report.missing.contains(classifier) && report.ignored.contains { $0.hasPrefix(part) })
                for ((name, tensor), old) in zip(network.stateDict(), before) {
                    #expect(try tensor.isEqual(to: inBackbone.contains(name) ? first[name]! : old), "\(name)")
                }
                #expect(report.otherHeads.map(\.name) == (change == nil ? [] : [classifier]), "\(report.line)")
            }
        }
    }

    /// Scores for 5 classes, coarse ones for 7: the rest of the head stays as it is, too.
    @Test func headsForTwoNumbersOfClassesAreLeft() throws {
        let settings = settings(.ocrnet, .hrnetv2w18)
        var file = try Network.initial(settings, classes: 5, seed: 5, projecting: false).stateDict()
        let other = try Network.initial(settings, classes: 7, seed: 5, projecting: false).stateDict()
        file.merge(other.renamed { $0.hasPrefix("aux_head.") ? $0 : nil })
        let network = try Network.initial(settings, classes: 3, seed: 6, projecting: false)
        let report = try load(file, into: network, settings)
        let places = ["conv3x3_ocr.", "ocr_distri_head.", "cls_head.", "aux_head."]
        #expect(!report.names.isEmpty && !report.names.contains { name in places.contains { name.hasPrefix($0) } })
        #expect(places.allSatisfy { place in report.missing.contains { $0.hasPrefix(place) } }, "\(report.line)")
        #expect(report.recounted == [] && report.fileClasses == nil && report.otherHeads.count == 1)
    }

    /// What follows from the network's own configuration is no part that a head could lack.
    @Test func weightsOfTheLossAreNotMissed() throws {
        let settings = settings(.maskformer, .swint)
        var file = try Network.initial(settings, classes: 3, seed: 5, projecting: false).stateDict()
        file["criterion.empty_weight"] = nil
        let network = try Network.initial(settings, classes: 3, seed: 6, projecting: false)
        let report = try load(file, into: network, settings)
        #expect(report.names.count == file.count && report.missing == [], "\(report.line)")
    }

    /// Classifiers of images have no norms behind their stages, and newer versions of timm save no index.
    @Test func whatAFileLacksIsNotReportedAsLoaded() throws {
        let settings = settings(.maskformer, .swint)
        let swin = try SwinTransformer(.tiny.scaled(0.25))
        try swin.initialize(seed: 5, swin.initialization)
        let file = swin.stateDict().renamed { name -> String? in
            let isOurs = name.hasPrefix("hidden_states_norms.") || name.hasSuffix("relative_position_index")
            return isOurs ? nil : "swin." + name.dropFirst("model.".count)
        }
        let network = try Network.initial(settings, classes: 3, seed: 6, projecting: false)
        let report = try load(file, into: network, settings)
        #expect(report.names.count == file.count && report.values == file.elementCount, "\(report.line)")
        let encoder = "model.pixel_level_module.encoder."
        let norms = swin.stateDict().names.filter { $0.hasPrefix("hidden_states_norms.") }
        #expect(norms.count == 8 && report.ignored == [])
        #expect(report.missing.filter { $0.hasPrefix(encoder) } == norms.map { encoder + $0 }, "\(report.line)")
    }

    @Test func reportGroupsNames() throws {
        let settings = settings(.deeplabv3, .resnet18)
        let file = try ResNet(.resnet18.scaled(0.25), classes: 10).stateDict()
        let report = try load(file, into: Network.make(settings, classes: 3, projecting: true), settings)
        #expect(report.lines.count == 3)
        let values = file.renamed { $0.hasPrefix("fc.") ? nil : $0 }.elementCount
        #expect(
            report.lines[0].hasSuffix("w.safetensors: 120 tensors loaded, \(values) values (safetensors)"), "\(report)")
        #expect(report.lines[1] == "missing, so at their first values: classifier (37), projection (7)", "\(report)")
        #expect(report.lines[2] == "ignored: fc.bias, fc.weight")
        #expect(WeightReport.grouped(["a.b.c", "a.b.d.e", "a.b.d.f"]) == "a.b.c, a.b.d (2)")
        #expect(WeightReport.grouped(["pos_embed"]) == "pos_embed")
        #expect(WeightReport.grouped((0..<20).map { "n\($0)" }).hasSuffix("n7 and 12 more"))
    }

    // MARK: Files

    @Test func filesThatAreNoWeightsSayWhatTheyAre() throws {
        let folder = try TemporaryFolder("pretrained")
        try folder.write("<html><body>Sign in</body></html>", to: "page.pth")
        let path = folder("page.pth")
        #expect(
            message { try WeightFile(path: path) }
                == "\(path) is no usable file of weights: it is a web page, not weights: the download gave its page; "
                + "fetch the file itself")
        let missing = folder("missing.pth")
        #expect(message { try WeightFile(path: missing) } == "cannot open \(missing): No such file or directory")
    }

    /// What PyTorch writes of a network's tensors, in the ways people do it.
    @Test func filesOfARealPyTorchAreTaken() throws {
        guard PythonTorch.isThere else { return print("files of a real PyTorch: skipped, python3 has no torch") }
        let folder = try TemporaryFolder("pretrained")
        let settings = settings(.deeplabv3, .mobilenetv2)
        let first = try Network.initial(settings, classes: 3, seed: 5, projecting: false)
        let shapes = first.stateDict().map { [$0.name, $0.tensor.shape.map(String.init).joined(separator: ",")] }
        try folder.write(String(decoding: JSONEncoder().encode(shapes), as: UTF8.self), to: "shapes.json")
        let script = """
            import json, sys, torch
            state, start = {}, 0
            for name, shape in json.load(open("shapes.json")):
                shape = [int(s) for s in shape.split(",") if s]
                tensor = (torch.arange(torch.Size(shape).numel()) % 97 + start % 31).reshape(shape).float() / 64
                state[name] = tensor.long() if name.endswith("num_batches_tracked") else tensor
                start += 1
            torch.save(state, "plain.pth")
            torch.save({"epoch": 1, "model": {"module." + k: v for k, v in state.items()}}, "nested.pt", pickle_protocol=4)
            torch.save({k: v.to(memory_format=torch.channels_last) if v.dim() == 4 else v for k, v in state.items()}, "last.bin")
            flat = torch.cat([v.flatten().double() for v in state.values()])
            views, at = {}, 0
            for k, v in state.items():
                views[k] = flat[at:at + v.numel()].view(v.shape)
                at += v.numel()
            torch.save(views, "views.ckpt")
            torch.save({k: v.half() if v.is_floating_point() else v for k, v in state.items()}, "half.pth")
            """
        try folder.write(script, to: "write.py")
        #expect(try PythonTorch.run(["write.py"], in: folder.path) == 0)
        for file in ["plain.pth", "nested.pt", "last.bin", "views.ckpt", "half.pth"] {
            let network = try Network.initial(settings, classes: 3, seed: 6, projecting: false)
            let report = try network.loadPretrained(folder(file), settings)
            #expect(report.names.count == shapes.count && report.ignored == [], "\(file)")
            for (index, (name, tensor)) in network.stateDict().enumerated() {
                let count = tensor.count
                let expected = (0..<count).map { i -> Float in Float(i % 97 + index % 31) / 64 }
                let found = try tensor.to(.float32).flatten().array(of: Float.self)
                let isCount = name.hasSuffix("num_batches_tracked")
                #expect(found == (isCount ? expected.map { $0.rounded(.down) } : expected), "\(file) \(name)")
            }
        }
    }
}
