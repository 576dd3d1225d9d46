import Basics
import Foundation
import NN
import Tensors
import Testing

@testable import Models

@Suite struct MaskFormerTests {
    func small(_ change: (inout MaskFormer.Config) -> Void = { _ in }) throws -> MaskFormer {
        var config = MaskFormer.Config()
        (config.queries, config.depth, config.hidden, config.dropout) = (6, 3, 64, 0)
        change(&config)
        var swin = SwinTransformer.Config.tiny.scaled(0.25)
        (swin.depths, swin.dropPath) = ([1, 1, 2, 1], 0)
        let network = try MaskFormer(backbone: SwinTransformer(swin), classes: 3, config: config)
        try network.initializeWeights(seed: 1)
        return network
    }

    private func images(_ shape: [Int]) throws -> Tensor {
        try Tensor(ParityFormula.input("input", shape: shape), shape: shape).channelsLast()
    }

    /// Two queries with sure masks: each pixel has its query's class, and what nothing covers has little of any.
    @Test func semanticInferenceSumsMasksByTheirClasses() throws {
        let classes = try Tensor([9, 0, 0, 0, 9, 0] as [Float], shape: [1, 2, 3])  // classes 0 and 1, and nothing
        let masks = try Tensor([20, -20, -20, -20, 20, -20] as [Float], shape: [1, 2, 1, 3])
        let scores: [Float] = try MaskPrediction(classes: classes, masks: masks).semantic().array()
        let sure = Float(1 / (1 + 2 * exp(-9.0)))
        let rest = (1 - sure) / 2
        for (found, expected) in zip(scores, [sure, rest, 0, rest, sure, 0]) {
            #expect(abs(found - expected) < 1e-5)
        }
    }

    @Test func targetsAreOneMaskPerClassThatOccurs() throws {
        let labels = try Tensor([2, 0, 255, 2, 255, 255, 255, 255] as [Int64], shape: [2, 2, 2])
        let targets = try MaskTarget.all(
            in: SegmentationTargets(labels: labels, labelled: 3), classes: 3, dtype: .float32)
        #expect(targets.map(\.classes) == [[0, 2], []])
        #expect(try targets[0].masks.array(of: Float.self) == [0, 1, 0, 0, 1, 0, 0, 1])
        #expect(targets[1].masks.shape == [0, 2, 2])
    }

    /// A perfect prediction, in any order of queries, costs nothing; a wrong one does.
    @Test func criterionIsLowForWhatIsRight() throws {
        let truth = try Tensor([1, 1, 0, 0, 0, 0, 1, 0] as [Float], shape: [2, 1, 4])
        let target = MaskTarget(classes: [2, 0], masks: truth)
        let criterion = try SetCriterion(classes: 3)
        func prediction(_ classOf: [Int]) throws -> MaskPrediction {
            let logits = classOf.flatMap { wanted in (0..<4).map { $0 == wanted ? Float(20) : 0 } }
            let nothing = try Tensor.zeros([1, 1, 4])
            let masks =
                try
                (Tensor.cat([
                    truth.narrow(dim: 0, start: 1, length: 1), nothing,
                    truth.narrow(dim: 0, start: 0, length: 1),
                ]) * 40.0 - 20.0)
            return MaskPrediction(
                classes: try Tensor(logits, shape: [1, 3, 4]), masks: try masks.reshape([1, 3, 1, 4]))
        }
        let right = try criterion(prediction([0, 3, 2]), [target]).item()
        #expect(right < 1e-4)
        let pairs = try criterion.match(prediction([0, 3, 2]), image: 0, target)
        #expect(pairs.map(\.row) == [0, 2] && pairs.map(\.column) == [1, 0])
        #expect(try criterion(prediction([2, 3, 2]), [target]).item() > 1)
    }

    @Test func imagesWithoutMasksAreAllNothing() throws {
        let prediction = MaskPrediction(
            classes: try Tensor.zeros([1, 4, 3]).requiresGrad(true),
            masks: try Tensor.zeros([1, 4, 2, 2]).requiresGrad(true))
        let empty = MaskTarget(classes: [], masks: try Tensor.zeros([0, 8, 8]))
        let loss = try SetCriterion(classes: 2)(prediction, [empty])
        #expect(abs(try loss.item() - 1.0986123) < 1e-5)  // ln 3
        try loss.backward()
        // All parameters take part, though some have nothing to learn.
        #expect(try #require(try prediction.masks.grad).eq(0).all())
        #expect(try #require(try prediction.classes.grad).ne(0).all())
    }

    /// More classes in an image than queries: as many as there are get matched.
    @Test func fewerQueriesThanMasks() throws {
        let network = try small { $0.queries = 2 }
        let labels = try Tensor(
            ParityFormula.labels(count: 2 * 32 * 32, classes: 3), shape: [2, 32, 32])
        let decoded = try network.decode(network.features(images([2, 3, 32, 32])))
        let loss = try network.loss(decoded, SegmentationTargets(labels: labels, labelled: 2 * 32 * 32))
        #expect(try loss.total.item().isFinite)
    }

    @Test func deepSupervisionTrainsEveryLayersPredictionInTrainingOnly() throws {
        let images = try images([2, 3, 64, 64])
        let labels = try Tensor(
            ParityFormula.labels(count: 2 * 64 * 64, classes: 3), shape: [2, 64, 64])
        let targets = SegmentationTargets(labels: labels, labelled: 2 * 64 * 64)
        let network = try small()
        let decoded = try network.decode(network.features(images))
        #expect(decoded.masks.count == 3)
        let loss = try network.loss(decoded, targets)
        let masks = try MaskTarget.all(in: targets, classes: 3, dtype: .float32)
        let each = try decoded.masks.map { try network.criterion($0, masks).item() }
        #expect(abs(try loss.main.item() - each[2]) < 1e-5 * each[2])
        #expect(abs(try loss.total.item() - each.reduce(0, +)) < 1e-5 * each.reduce(0, +))
        let plain = try small { $0.deepSupervision = false }
        #expect(try plain.decode(plain.features(images)).masks.count == 1)
        network.eval()
        #expect(try network.decode(network.features(images)).masks.count == 1)
    }

    /// Each rank divides by the whole mini-batch's counts, so that the ranks' losses add up to its loss.
    @Test func lossesOfRanksAddUp() throws {
        let network = try small().eval()
        let values: [Int64] = (0..<2048).map { (pixel: Int) -> Int64 in pixel < 1024 ? Int64(pixel / 400) : 1 }
        let labels = try Tensor(values, shape: [2, 32, 32])
        let decoded = try network.decode(network.features(images([2, 3, 32, 32])))
        let whole = try network.loss(decoded, SegmentationTargets(labels: labels, labelled: 2048)).total.item()
        let masks = try MaskTarget.all(
            in: SegmentationTargets(labels: labels, labelled: 2048), classes: 3, dtype: .float32)
        #expect(masks.map { $0.classes.count } == [3, 1])
        let all = try network.criterion.counts(masks, queries: 6)
        var total = 0.0
        for rank in 0..<2 {
            var targets = SegmentationTargets(
                labels: try labels.narrow(dim: 0, start: rank, length: 1), labelled: 2048)
            var asked = 0
            targets.sum = { own in
                asked += 1
                let sum = asked == 1 ? all.masks : all.queries
                #expect(own > 0 && own < sum)
                return sum
            }
            let part = MaskPrediction(
                classes: try decoded.masks[0].classes.narrow(dim: 0, start: rank, length: 1),
                masks: try decoded.masks[0].masks.narrow(dim: 0, start: rank, length: 1))
            let own = Decoded(scores: decoded.scores, masks: [part])
            total += try network.loss(own, targets).total.item()
            #expect(asked == 2)
        }
        #expect(abs(total - whole) < 1e-4 * whole)
    }

    /// The published networks' names; weights in torchvision's spelling and in transformers', with a classifier.
    @Test func resNetAppearsUnderTheNamesOfTransformers() throws {
        let configuration = try ResNet.Configuration.resnet50.scaled(0.125)
        let network = TransformersResNet(try ResNet(configuration))
        let names = Set(network.stateDict().names)
        #expect(names.count == 53 * 6)
        for name in [
            "embedder.embedder.convolution.weight", "embedder.embedder.normalization.num_batches_tracked",
            "encoder.stages.0.layers.0.shortcut.convolution.weight",
            "encoder.stages.3.layers.2.layer.2.normalization.running_var",
        ] { #expect(names.contains(name), "\(name)") }
        #expect(!network.train().eval().namedModules().contains { $0.module is BatchNorm2d && $0.module.isTraining })

        let torchvision = try ResNet(configuration, classes: 10)
        try torchvision.initialize(seed: 5, torchvision.initialization)
        try network.load(network.ownNames(torchvision.stateDict()))
        #expect(
            try network.stateDict()["encoder.stages.1.layers.2.layer.1.convolution.weight"]!
                .isEqual(to: torchvision.stateDict()["layer2.2.conv2.weight"]!))
        let images = try images([1, 3, 64, 64])
        try withoutGradient {
            let found = try network.features(images)
            let expected = try torchvision.eval().features(images)
            #expect(found.count == 4)
            for (one, other) in zip(found, expected) { #expect(try one.isEqual(to: other)) }
        }
        var published = network.stateDict().prefixed("resnet.")
        published["classifier.1.weight"] = try Tensor.zeros([10, 256])
        #expect(Set(network.ownNames(published).names) == names)
    }

    /// A window's shift must not let opposite edges see each other.
    @Test func shiftedWindowsKeepOppositeEdgesApart() throws {
        var config = SwinTransformer.Config(width: 8, depths: [2], heads: [2], window: 4)
        config.dropPath = 0
        let swin = try SwinTransformer(config)
        try swin.initialize(seed: 1, swin.initialization)
        // Large weights, so that what is seen shows.
        for (name, tensor) in swin.namedParameters()
        where name.contains("dense.weight") || name.contains("value") {
            _ = try withoutGradient { try tensor.mul_(20) }
        }
        let images = try images([1, 3, 32, 32])  // 8 x 8 tokens, 2 x 2 windows
        let changed = try images.clone()
        _ = try withoutGradient { try changed.narrow(dim: 2, start: 0, length: 4).mul_(-3) }  // the first row of tokens
        try withoutGradient {
            let difference = try (swin.eval().features(changed)[0] - swin.features(images)[0]).abs()
            let rows: [Float] = try difference.max(dim: 3).values.max(dim: 1).values.flatten().array()
            // Block 1 spreads over rows 0 to 3; shifted by 2, block 2 from there to row 5. Rows 6 and 7 share a shifted
            // window with rows 0 and 1 and must not notice.
            #expect(rows[0] > 1e-3 && rows[5] > 1e-5, "\(rows)")
            #expect(rows[6] < 1e-6 && rows[7] < 1e-6, "\(rows)")
        }
    }

    @Test func sizesThatMakeNoNetworkAreNamed() throws {
        func message(_ body: () throws -> some Any) -> String {
            do {
                _ = try body()
                return ""
            } catch { return "\(error)" }
        }
        #expect(message { try small { $0.width = 250 } }.contains("multiple of 4"))
        #expect(message { try small { $0.dropout = 1 } }.contains("dropout 1.0"))
        #expect(
            message { try SwinTransformer(.init(width: 8, depths: [1, 1], heads: [1])) }.contains(
                "per stage"))
    }
}
