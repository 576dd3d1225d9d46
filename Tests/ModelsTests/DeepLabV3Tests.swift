import Basics
import Configuration
import NN
import Tensors
import TestSupport
import Testing

@testable import Models

@Suite struct DeepLabV3Tests {
    private func network(stride: Int = 16, embedding: Int? = 32) throws -> DeepLabV3 {
        let network = try DeepLabV3(
            backbone: MobileNetV2(outputStride: stride), classes: 5, dropout: 0, embedding: embedding)
        try network.initializeWeights(seed: 1)
        return network
    }

    private func images(_ shape: [Int]) throws -> Tensor {
        try Tensor(ParityFormula.input("input", shape: shape), shape: shape).channelsLast()
    }

    @Test(arguments: [8, 16], [(64, 96), (65, 97), (33, 71), (8, 8)])
    func featuresAreTheInputDividedByTheOutputStrideRoundedUp(_ stride: Int, _ size: (Int, Int)) throws {
        let network = try network(stride: stride).eval()
        let images = try images([1, 3, size.0, size.1])
        try withoutGradient {
            let features = try network.features(images)
            let small = [(size.0 + stride - 1) / stride, (size.1 + stride - 1) / stride]
            #expect(features.map(\.shape) == [[1, 320] + small])
            #expect(try network.scores(features).main.shape == [1, 5] + small)
            #expect(try network.embedding(features).shape == [1, 32] + small)
            #expect(try network(images).shape == [1, 5, size.0, size.1])
        }
    }

    @Test func embeddingsAreUnitVectors() throws {
        let network = try network()
        let embedding = try network.embedding(network.features(images([2, 3, 48, 64])))
        let lengths = try embedding.norm(dims: [1]).array(of: Float.self)
        #expect(lengths.count == 2 * 3 * 4)
        #expect(lengths.allSatisfy { abs($0 - 1) < 1e-5 })
    }

    @Test func memoryStaysChannelsLast() throws {
        let network = try network()
        let features = try network.features(images([2, 3, 64, 64]).contiguous())
        #expect(features[0].isContiguous(.channelsLast))
        #expect(try network.classifier.pyramid(features[0]).isContiguous(.channelsLast))
        #expect(
            network.namedParameters().filter { $0.tensor.dim == 4 }.allSatisfy { $0.tensor.isContiguous(.channelsLast) }
        )
    }

    /// As a trainer does it: both heads' gradients add up on the detached features, and reach every parameter.
    @Test func gradientsOfBothHeadsReachTheBackbone() throws {
        let network = try network()
        let features = try network.features(images([2, 3, 64, 64]))
        let leaf = try features[0].detach().requiresGrad(true)
        let scores = try network.scores([leaf]).main
        try scores.crossEntropy(Tensor.zeros([2, 4, 4], dtype: .int64)).backward()
        let fromScores = try #require(try leaf.grad).clone()
        try (network.embedding([leaf]) * 3.0).sum().backward()
        let both = try #require(try leaf.grad)
        #expect(try !both.isEqual(to: fromScores))
        try features[0].backward(gradient: both)
        for (name, parameter) in network.namedParameters() {
            let gradient = try #require(try parameter.grad, "\(name)")
            #expect(try gradient.isFinite().all(), "\(name)")
            #expect(try gradient.abs().max().item() > 0, "\(name)")
        }
    }

    @Test func evaluationDependsNeitherOnTheBatchNorOnBatchSizeOne() throws {
        let network = try network().eval()
        let two = try images([2, 3, 64, 64])
        try withoutGradient {
            let together = try network(two).narrow(dim: 0, start: 1, length: 1)
            let alone = try network(two.narrow(dim: 0, start: 1, length: 1).contiguous())
            #expect(try (together - alone).abs().max().item() < 1e-4)
        }
    }

    @Test func oneImageCannotTrainThePooledBranch() throws {
        let network = try network()
        let error = #expect(throws: TensorError.self) { try network(images([1, 3, 64, 64])) }
        #expect(error.map { "\($0)".contains("at least 2 images") } == true)
    }

    @Test func weightsDependOnTheSeedAndTheNameOnly() throws {
        let with = try network(embedding: 32).stateDict()
        let without = try network(embedding: nil).stateDict()
        #expect(with.names.filter { !$0.hasPrefix("projection.") } == without.names)
        for (name, tensor) in without { #expect(try tensor.isEqual(to: with[name]!), "\(name)") }
        let other = try DeepLabV3(backbone: MobileNetV2(outputStride: 16), classes: 5)
        try other.initializeWeights(seed: 2)
        #expect(try !other.stateDict()["classifier.4.weight"]!.isEqual(to: without["classifier.4.weight"]!))
    }

    /// timm: sqrt(2 / (k² · out / groups)); torch: uniform ± 1 / sqrt(in · k²), whose deviation is that over sqrt(3).
    @Test func initialDeviationsAreThePublishedCodes() throws {
        let state = try network(embedding: 256).stateDict()
        let expected: [(String, Double)] = [
            ("backbone.conv_stem.weight", (2.0 / (9 * 32)).squareRoot()),
            ("backbone.blocks.5.1.conv_dw.weight", (2.0 / 9).squareRoot()),
            ("backbone.blocks.5.1.conv_pwl.weight", (2.0 / 160).squareRoot()),
            ("classifier.0.convs.1.0.weight", (1.0 / (3 * 9 * 320)).squareRoot()),
            ("classifier.1.weight", (1.0 / (3 * 9 * 256)).squareRoot()),
            ("projection.0.weight", (1.0 / (3 * 320)).squareRoot()),
        ]
        for (name, deviation) in expected {
            let tensor = try #require(state[name])
            let found = try tensor.variance(unbiased: false).item().squareRoot()
            // Five standard errors of a deviation estimated from so many draws.
            #expect(abs(found / deviation - 1) < 5 / (2 * Double(tensor.count)).squareRoot(), "\(name)")
        }
    }

    /// 58 norms of five entries, 59 convolutions, the classifier's bias; names as torchvision and timm spell them.
    @Test func stateCarriesThePublishedNames() throws {
        let names = try network(embedding: nil).stateDict().names
        #expect(names.count == 58 * 5 + 59 + 1)
        for name in [
            "backbone.conv_stem.weight", "backbone.bn1.running_var", "backbone.blocks.0.0.conv_dw.weight",
            "backbone.blocks.0.0.bn2.num_batches_tracked", "backbone.blocks.3.3.conv_pwl.weight",
            "backbone.blocks.6.0.bn3.bias", "classifier.0.convs.0.0.weight", "classifier.0.convs.4.1.weight",
            "classifier.0.convs.4.2.running_mean", "classifier.0.project.0.weight", "classifier.1.weight",
            "classifier.2.weight", "classifier.4.bias",
        ] { #expect(names.contains(name), "\(name)") }
        #expect(
            Set(try network().stateDict().names).subtracting(names).sorted() == [
                "projection.0.weight", "projection.1.bias", "projection.1.num_batches_tracked",
                "projection.1.running_mean",
                "projection.1.running_var", "projection.1.weight", "projection.3.bias", "projection.3.weight",
            ])
    }

    @Test func settingsThatMakeNoNetworkAreNamed() {
        func message(_ change: (inout ModelSettings) -> Void, classes: Int = 3) -> String {
            var settings = ModelSettings()
            change(&settings)
            do {
                _ = try Network.make(settings, classes: classes, projecting: true)
                return "made"
            } catch { return "\(error)" }
        }
        #expect(message { _ in } == "made")
        #expect(message { $0.outputStride = 32 } == "model.outputStride is 32; it must be 8 or 16")
        #expect(message { $0.atrousRates = [] }.contains("atrous rates []"))
        #expect(message { $0.dropout = 1 }.contains("dropout 1.0"))
        #expect(message { $0.embedding = 0 } == "model.embedding is 0; it must be above 0")
        #expect(message({ _ in }, classes: 256).contains("256 classes"))
    }
}
