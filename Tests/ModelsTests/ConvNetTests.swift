import Configuration
import NN
import Tensors
import TestSupport
import Testing

@testable import Models

/// What the convolutional networks have in common beyond the numbers that the parity cases check.
@Suite struct ConvNetTests {
    /// A network as a recipe has it, its feature maps, and where the embedding attaches.
    struct Expected: Sendable, CustomTestStringConvertible {
        var backbone: ModelSettings.Backbone
        var head = ModelSettings.Head.deeplabv3
        var outputStride = 16
        var auxiliary = false
        /// Input pixels per feature pixel, and channels, of each feature map.
        var leaving: [(stride: Int, channels: Int)]

        var testDescription: String {
            "\(head) on \(backbone), stride \(outputStride)" + (auxiliary ? ", auxiliary" : "")
        }

        func settings(embedding: Int = 8) -> ModelSettings {
            var settings = ModelSettings()
            (settings.backbone, settings.head, settings.outputStride) = (backbone, head, outputStride)
            (settings.auxiliary, settings.embedding) = (auxiliary, embedding)
            return settings
        }
    }

    /// The table of Sources/Models/README.md.
    static let networks = [
        Expected(backbone: .mobilenetv1, leaving: [(16, 1024)]),
        Expected(backbone: .mobilenetv1, outputStride: 8, leaving: [(8, 1024)]),
        Expected(backbone: .mobilenetv2, leaving: [(16, 320)]),
        Expected(backbone: .mobilenetv3, leaving: [(16, 960)]),
        Expected(backbone: .mobilenetv3, outputStride: 8, auxiliary: true, leaving: [(8, 40), (8, 960)]),
        Expected(backbone: .resnet18, leaving: [(16, 512)]),
        Expected(backbone: .resnet18, outputStride: 8, auxiliary: true, leaving: [(8, 256), (8, 512)]),
        Expected(backbone: .resnet34, leaving: [(16, 512)]),
        Expected(backbone: .resnet50, outputStride: 8, leaving: [(8, 2048)]),
        Expected(backbone: .resnet50, auxiliary: true, leaving: [(16, 1024), (16, 2048)]),
        Expected(backbone: .resnet101, outputStride: 8, leaving: [(8, 2048)]),
        Expected(backbone: .hrnetv2w18, head: .hrnet, leaving: [(4, 270)]),
        Expected(backbone: .hrnetv2w48, head: .hrnet, leaving: [(4, 720)]),
        Expected(backbone: .hrnetv2w18, head: .ocrnet, leaving: [(4, 270)]),
    ]

    private static func images(_ height: Int, _ width: Int) throws -> Tensor {
        try Tensor(ParityFormula.input("input", shape: [1, 3, height, width]), shape: [1, 3, height, width])
    }

    @Test(arguments: networks) func featuresScoresAndEmbeddingHaveTheirStrides(_ expected: Expected) throws {
        let network = try Network.make(expected.settings(), classes: 5, projecting: true).eval()
        for (height, width) in [(64, 96), (65, 97), (33, 70)] {
            let images = try Self.images(height, width)
            try withoutGradient {
                let features = try network.features(images)
                let shapes = expected.leaving.map { stride, channels in
                    [1, channels, (height + stride - 1) / stride, (width + stride - 1) / stride]
                }
                #expect(features.map(\.shape) == shapes)
                #expect(features.allSatisfy { $0.isContiguous(.channelsLast) })
                let last = shapes[shapes.count - 1]
                #expect(network.pixelChannels == last[1])
                #expect(try network.scores(features).main.shape == [1, 5] + last[2...])
                #expect(try network.embedding(features).shape == [1, 8] + last[2...])
                #expect(try network(images).shape == [1, 5, height, width])
            }
        }
    }

    /// Auxiliary scores are trained only; OCRNet needs its coarse ones for the final ones too.
    @Test func auxiliaryScoresAreForTraining() throws {
        for expected in Self.networks where expected.auxiliary || expected.head == .ocrnet {
            let network = try Network.make(expected.settings(), classes: 5)
            let features = try withoutGradient { try network.eval().features(Self.images(32, 32)) }
            let inEvaluation = try withoutGradient { try network.scores(features).auxiliary }
            #expect(inEvaluation.isEmpty == expected.auxiliary)
            guard expected.auxiliary else {
                #expect(inEvaluation.map(\.weight) == [0.4])
                continue
            }
            let pair = try features.map { try Tensor.cat([$0, $0]) }
            let inTraining = try withoutGradient { try network.train().scores(pair).auxiliary }
            #expect(inTraining.map(\.weight) == [0.4])
        }
    }

    // MARK: First values

    /// Weights and the inverse of their variance: fanOut / 2 in ResNets and MobileNets, groups counted where timm counts
    /// them; 10⁶ in HRNet; 3 fanIn in heads, which are PyTorch's, uniform ± 1 / √fanIn.
    struct First: Sendable {
        var backbone: ModelSettings.Backbone
        var head = ModelSettings.Head.deeplabv3
        var auxiliary = false
        var inverseVariances: [String: Double]
    }

    static let first: [First] = [
        First(
            backbone: .mobilenetv1,
            inverseVariances: [
                "backbone.blocks.3.2.conv_dw.weight": 4.5, "backbone.blocks.4.1.conv_pw.weight": 512,
            ]),
        First(
            backbone: .mobilenetv3,
            inverseVariances: [
                "backbone.15.block.1.0.weight": 12000, "backbone.15.block.2.fc1.weight": 120,
            ]),
        First(
            backbone: .resnet18, auxiliary: true,
            inverseVariances: [
                "backbone.layer4.1.conv2.weight": 2304, "classifier.4.weight": 768, "aux_classifier.0.weight": 6912,
            ]),
        First(
            backbone: .hrnetv2w18, head: .hrnet,
            inverseVariances: [
                "stage4.2.branches.3.3.conv2.weight": 1e6, "last_layer.0.weight": 1e6, "last_layer.0.bias": 810,
                "projection.0.weight": 810,
            ]),
        First(
            backbone: .hrnetv2w18, head: .ocrnet,
            inverseVariances: [
                "layer1.0.conv2.weight": 1e6, "conv3x3_ocr.0.weight": 7290, "aux_head.0.weight": 810,
                "ocr_distri_head.object_context_block.f_pixel.2.weight": 768,
            ]),
    ]

    @Test(arguments: first) func initialVariancesAreThePublishedCodes(_ first: First) throws {
        var settings = ModelSettings()
        (settings.backbone, settings.head, settings.auxiliary) = (first.backbone, first.head, first.auxiliary)
        let state = try Network.initial(settings, classes: 150, seed: 3, projecting: true).stateDict()
        for (name, inverse) in first.inverseVariances {
            let tensor = try #require(state[name], "\(name)")
            let found = try tensor.variance(unbiased: false).item() * inverse
            // Five standard errors of a variance estimated from so many normal draws.
            #expect(abs(found - 1) < 5 * (2 / Double(tensor.count)).squareRoot(), "\(name): \(found)")
        }
        for (name, tensor) in state where name.hasSuffix("running_mean") {
            let norm = name.dropLast("running_mean".count)
            #expect(try tensor.eq(0).all() && state["\(norm)weight"]!.eq(1).all(), "\(norm)")
        }
    }

    // MARK: Published weights

    /// Files of ImageNet classifiers give their backbones, whatever else they hold.
    @Test func imageNetWeightsAreTakenOver() throws {
        func check(_ published: Module, into backbone: any Backbone, prefix: String = "") throws {
            try published.initialize(seed: 9)
            let state = published.stateDict()
            try backbone.load(backbone.ownNames(state))
            for (name, tensor) in backbone.stateDict() {
                #expect(try tensor.isEqual(to: state[prefix + name]!), "\(name)")
            }
        }
        try check(MobileNetV1(classes: 10), into: MobileNetV1(outputStride: 8))
        try check(MobileNetV3Classifier(classes: 10), into: MobileNetV3(outputStride: 16), prefix: "features.")
        try check(ResNet(.resnet18, classes: 10), into: ResNet(.resnet18, outputStride: 8))
        var nearest = try HRNetV2.Configuration.width(4)
        nearest.fusing = .nearest
        try check(HRNetV2Classifier(nearest, classes: 10), into: HRNetV2(.width(4)))
    }

    @Test func wholeNetworksWithoutAPrefixAreRecognised() throws {
        let folder = try TemporaryWeights()
        for head in [ModelSettings.Head.hrnet, .ocrnet] {
            var settings = ModelSettings()
            (settings.head, settings.backbone, settings.width, settings.embedding) = (head, .hrnetv2w18, 0.25, 8)
            let first = try Network.initial(settings, classes: 4, seed: 5, projecting: true)
            try Safetensors.write(first.stateDict(), to: folder.path)
            settings.pretrained = folder.path
            let second = try Network.initial(settings, classes: 4, seed: 6, projecting: true)
            let saved = first.stateDict()
            for (name, tensor) in second.stateDict() {
                #expect(try tensor.isEqual(to: saved[name]!), "\(head) \(name)")
            }
            settings.pretrained = nil
            settings.backbone = .hrnetv2w48
            #expect(throws: Never.self) { try Network.make(settings, classes: 4) }
        }
    }

    @Test func inputsAreNormalisedAsTheWeightsWantThem() throws {
        for expected in Self.networks {
            let network = try Network.make(expected.settings(), classes: 2)
            let wanted = expected.backbone == .mobilenetv1 ? InputNormalization.inception : .imageNet
            #expect(network.inputNormalization == wanted)
            #expect(network.alignCorners == (expected.head != .deeplabv3))
        }
    }

    // MARK: What cannot be

    @Test func networksThatCannotBeAreNamed() throws {
        func message(_ body: () throws -> Any) -> String {
            do {
                _ = try body()
                return "made"
            } catch { return "\(error)" }
        }
        var settings = ModelSettings()
        settings.head = .ocrnet
        #expect(
            message { try Network.make(settings, classes: 2) }
                == "'model.backbone' must be hrnetv2w18 or hrnetv2w48 under 'model.head' ocrnet, not 'mobilenetv2'")
        #expect(message { try ResNet(.resnet18, outputStride: 4) } == "ResNet has output stride 8, 16 or 32, not 4")
        #expect(message { try MobileNetV3(width: 0) } == "MobileNetV3 of width 0.0: must be above 0")
        #expect(message { try HRNetV2.Configuration.width(0) } == "HRNetV2 of width 0: must be above 0")
        #expect(message { try HRNetHead(channels: 8, classes: 2, kernel: 5) }.contains("1x1 or 3x3, not 5"))
        #expect(
            message { try DeepLabV3(backbone: MobileNetV1(), classes: 2, auxiliary: true) }
                == "MobileNetV1 has no feature map for an auxiliary head")
        var nearest = try HRNetV2.Configuration.width(2)
        nearest.fusing = .nearest
        let network = try HRNetV2(nearest)
        #expect(message { try network.features(Self.images(48, 64)) }.contains("multiples of 32"))
    }
}

/// A file of weights that goes away with the test.
private final class TemporaryWeights {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder("weights") }
    var path: String { folder("weights.safetensors") }
}
