import Configuration
import NN
import TestSupport
import Tensors
import Testing

@testable import Models

/// Position embeddings from elsewhere: for which grid of patches they are, and what becomes of them.
extension PretrainedTests {
    /// Positions of 14 x 14 patches for a crop of 48 x 80 pixels, which is no square and no multiple of what was there.
    @Test func positionsAreResizedToTheCrop() throws {
        let settings = settings(.segmenter, .vitt16) { $0.imageSize = [48, 75] }
        var config = VisionTransformer.Config.tiny.scaled(0.25)
        config.imageSize = [224, 224]
        let published = try VisionTransformer(config, classes: 21)
        try published.initialize(seed: 3, published.initialization)
        let network = try Network.initial(settings, classes: 3, seed: 1, projecting: false)
        let report = try load(withoutMetadata(published.stateDict()), into: network, settings)
        #expect(Set(report.ignored) == ["head.weight", "head.bias"])
        let found = try #require(network.stateDict()["encoder.pos_embed"])
        #expect(found.shape == [1, 1 + 3 * 5, 48])
        let expected = try VisionTransformer.resized(
            published.positions, from: Size2D(14, 14), to: Size2D(3, 5))
        #expect(try found.isEqual(to: expected))
        // As many positions in another grid are resized as well.
        let wide = self.settings(.segmenter, .vitt16) { $0.imageSize = [112, 448] }
        let other = try Network.initial(wide, classes: 3, seed: 1, projecting: false)
        _ = try load(withoutMetadata(published.stateDict()), into: other, wide)
        #expect(
            try #require(other.stateDict()["encoder.pos_embed"]).isEqual(
                to: VisionTransformer.resized(published.positions, from: Size2D(14, 14), to: Size2D(7, 28))))
        // A whole network's are, too, but for its own grid.
        let again = try Network.initial(wide, classes: 3, seed: 2, projecting: false)
        _ = try load(withoutMetadata(other.stateDict()), into: again, wide)
        #expect(
            try #require(again.stateDict()["encoder.pos_embed"]).isEqual(
                to: #require(other.stateDict()["encoder.pos_embed"])))
        let whole = try Network.initial(
            self.settings(.segmenter, .vitt16) { $0.imageSize = [64, 64] }, classes: 3, seed: 2, projecting: false)
        #expect(try load(withoutMetadata(whole.stateDict()), into: network, settings).missing == [])
    }

    /// As files of others are, which do not say the grid of their positions.
    private func withoutMetadata(_ state: NamedTensors) -> NamedTensors {
        var state = state
        state.metadata = [:]
        return state
    }

    /// 9 x 16 positions are as many as 12 x 12: our files say which they are, whole networks and backbones alike.
    @Test func positionsComeFromTheGridThatTheirFileSays() throws {
        let wide = settings(.segmenter, .vitt16) { $0.imageSize = [144, 256] }
        let first = try Network.initial(wide, classes: 3, seed: 5, projecting: false).stateDict()
        let positions = try #require(first["encoder.pos_embed"])
        for (size, grid) in [([144, 256], Size2D(9, 16)), ([192, 192], Size2D(12, 12)), ([144, 320], Size2D(9, 20))] {
            let expected = try VisionTransformer.resized(positions, from: Size2D(9, 16), to: grid)
            let other = settings(.segmenter, .vitt16) { $0.imageSize = size }
            for file in [first, first.under("encoder.")] {
                let second = try Network.initial(other, classes: 3, seed: 6, projecting: false)
                _ = try load(file, into: second, other)
                let found = try #require(second.stateDict()["encoder.pos_embed"])
                #expect(try found.isEqual(to: expected), "\(grid), \(file.count) tensors")
            }
        }
    }

    /// What says another number of positions than there are, or no grid at all, says nothing.
    @Test(arguments: ["9x17", "-12x-12", "0x144", "9223372036854775807x9223372036854775807", "x", "9x16x1", "square"])
    func gridsThatAreNoneAreNotTaken(_ grid: String) throws {
        var config = VisionTransformer.Config(width: 8, depth: 1, heads: 1)
        config.imageSize = [144, 256]
        let vision = try VisionTransformer(config)
        try vision.initialize(seed: 5, vision.initialization)
        var state = vision.stateDict()
        state.metadata["position_grid"] = grid
        #expect(try #require(vision.ownNames(state)["pos_embed"]).isEqual(to: vision.positions))
        let square = try VisionTransformer.resized(vision.positions, from: Size2D(12), to: Size2D(9, 16))
        #expect(try #require(vision.ownNames(ofBackbone: state)["pos_embed"]).isEqual(to: square))
    }
}
