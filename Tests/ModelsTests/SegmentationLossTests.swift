import Basics
import Configuration
import Tensors
import Testing

@testable import Models

/// The loss that networks share against its definition: cross-entropy of the scores as the network resizes them.
@Suite struct SegmentationLossTests {
    /// Corners aligned or not, an auxiliary head, and a network that pads what is no whole patch.
    @Test(arguments: [
        (ModelSettings.Backbone.mobilenetv2, ModelSettings.Head.deeplabv3, Size2D(64, 96)),
        (.resnet18, .deeplabv3, Size2D(65, 71)), (.hrnetv2w18, .ocrnet, Size2D(61, 83)),
        (.vitt16, .segmenter, Size2D(64, 96)), (.vitt16, .segmenter, Size2D(61, 83)),
    ])
    func isCrossEntropyOfResizedScores(
        _ backbone: ModelSettings.Backbone, _ head: ModelSettings.Head, _ size: Size2D
    ) throws {
        var settings = ModelSettings()
        (settings.backbone, settings.head, settings.width) = (backbone, head, 0.25)
        settings.auxiliary = backbone == .resnet18
        let network = try Network.initial(settings, classes: 5, seed: 1, projecting: false)
        var random = KeyedRandom(seed: 3, purpose: "test")
        let images = try Tensor(
            (0..<2 * 3 * size.height * size.width).map { _ in random.uniform(-1, 1) },
            shape: [2, 3, size.height, size.width]
        ).channelsLast()
        let labels = try Tensor(
            (0..<2 * size.height * size.width).map { $0 % 9 == 0 ? Int64(255) : Int64($0 / 50 % 5) },
            shape: [2, size.height, size.width])
        let labelled = try labels.ne(255).sum().item()
        let decoded = try withoutGradient { try network.decode(network.features(images)) }
        let loss = try network.loss(decoded, SegmentationTargets(labels: labels, labelled: Int(labelled)))
        func crossEntropy(_ scores: Tensor) throws -> Double {
            let resized = try network.resized(scores, to: size)
            #expect(resized.shape == [2, 5, size.height, size.width])
            return try resized.crossEntropy(labels, ignoring: 255).item()
        }
        let main = try crossEntropy(decoded.scores.main)
        let auxiliary = try decoded.scores.auxiliary.map { try crossEntropy($0.scores) * $0.weight }.reduce(0, +)
        #expect((auxiliary > 0) == (settings.auxiliary || head == .ocrnet))
        #expect(abs((try loss.main.item()) / main - 1) < 1e-5)
        #expect(abs((try loss.total.item()) / (main + auxiliary) - 1) < 1e-5)
    }
}
