import Basics
import Configuration
import Testing

@testable import Contrast

@Suite struct AnchorSelectionTests {
    /// Labels and predictions in one row: `counts[c] = (mispredicted, right)`, then some ignored pixels, shuffled.
    private func scene(_ counts: [(hard: Int, easy: Int)], ignored: Int = 4, seed: UInt64 = 1) throws -> (
        LabelGrid, [UInt8]
    ) {
        var pixels: [(UInt8, UInt8)] = Array(repeating: (255, 0), count: ignored)
        for (c, count) in counts.enumerated() {
            pixels += Array(repeating: (UInt8(c), UInt8(c + 1)), count: count.hard)
            pixels += Array(repeating: (UInt8(c), UInt8(c)), count: count.easy)
        }
        var stream = KeyedRandom(seed: seed, purpose: "test-scene")
        pixels = stream.permutation(pixels.count).map { pixels[$0] }
        let grid = try LabelGrid(images: 1, height: 1, width: pixels.count, values: pixels.map(\.0))
        return (grid, pixels.map(\.1))
    }

    private func settings(_ anchors: Int, _ hard: Int) -> ContrastSettings {
        var settings = ContrastSettings()
        settings.anchors = anchors
        settings.hardAnchors = hard
        return settings
    }

    @Test func countsAreThePapersForAllSmallCases() throws {
        for hard in 0...6 {
            for easy in 0...6 where hard + easy > 0 {
                for anchors in 0...8 {
                    for hardAnchors in 0...9 {
                        let (labels, predictions) = try scene([(hard, easy)])
                        let found = try AnchorSelection.select(
                            labels: labels, predictions: predictions, settings: settings(anchors, hardAnchors), seed: 3,
                            step: 0)
                        let wanted = min(anchors, hard + easy)
                        let drawn = try #require(found.first)
                        #expect(found.count == 1 && drawn.classID == 0)
                        #expect(drawn.pixels.count == wanted && Set(drawn.pixels).count == wanted)
                        #expect(drawn.pixels.allSatisfy { labels.values[$0] == 0 })
                        #expect(drawn.pixels == drawn.pixels.sorted())
                        #expect(drawn.mispredicted >= min(hard, hardAnchors, wanted))
                        #expect(drawn.mispredicted >= wanted - easy)
                        #expect(drawn.mispredicted == drawn.pixels.count { predictions[$0] != 0 })
                    }
                }
            }
        }
    }

    @Test func fewAnchorsAskedForAreStillTheMispredictedOnes() throws {
        let (labels, predictions) = try scene([(10, 1000)])
        let found = try AnchorSelection.select(
            labels: labels, predictions: predictions, settings: settings(3, 25), seed: 1, step: 2)
        #expect(found[0].pixels.count == 3)
        #expect(found[0].pixels.allSatisfy { predictions[$0] != labels.values[$0] })
    }

    @Test func mispredictedPixelsFillUpWhereRightOnesRunOut() throws {
        let (labels, predictions) = try scene([(60, 3)])
        let found = try AnchorSelection.select(
            labels: labels, predictions: predictions, settings: ContrastSettings(), seed: 1, step: 2)
        #expect(found[0].pixels.count == 50)
        #expect(found[0].mispredicted >= 47)
    }

    @Test func anchorsArePixelIndicesNotRanksWithinTheClass() throws {
        // The class fills the second half: ranks within it would point into the first.
        let labels = try LabelGrid(
            images: 2, height: 4, width: 5, values: Array(repeating: 1, count: 20) + Array(repeating: 2, count: 20))
        let found = try AnchorSelection.select(
            labels: labels, predictions: [UInt8](repeating: 0, count: 40), settings: ContrastSettings(), seed: 1,
            step: 0)
        #expect(found.map(\.classID) == [1, 2])
        #expect(found[1].pixels == Array(20..<40))
    }

    @Test func classZeroHasAnchorsLikeAnyOther() throws {
        let (labels, predictions) = try scene([(5, 5), (5, 5)])
        let found = try AnchorSelection.select(
            labels: labels, predictions: predictions, settings: ContrastSettings(), seed: 1, step: 0)
        #expect(found.map(\.classID) == [0, 1])
        #expect(found.map(\.pixels.count) == [10, 10])
    }

    @Test func ignoredAndEmptyBatchesHaveNoAnchors() throws {
        for (images, width) in [(3, 4), (0, 4), (2, 0)] {
            let labels = try LabelGrid(
                images: images, height: 1, width: width, values: Array(repeating: 255, count: images * width))
            let found = try AnchorSelection.select(
                labels: labels, predictions: Array(repeating: 0, count: images * width), settings: ContrastSettings(),
                seed: 1, step: 0)
            #expect(found.isEmpty)
        }
    }

    @Test func aClassOfOnePixelHasThatAnchor() throws {
        var values = [UInt8](repeating: 255, count: 30)
        values[17] = 9
        let labels = try LabelGrid(images: 1, height: 5, width: 6, values: values)
        let found = try AnchorSelection.select(
            labels: labels, predictions: Array(repeating: 9, count: 30), settings: ContrastSettings(), seed: 1, step: 0)
        #expect(found.map(\.classID) == [9])
        #expect(found[0].pixels == [17])
    }

    @Test func ranksThatMergeChooseWhatOneProcessWouldChoose() throws {
        var stream = KeyedRandom(seed: 11, purpose: "test")
        for round in 0..<20 {
            let values = (0..<4 * 40).map { _ in UInt8(stream.below(5)) }.map { $0 == 4 ? 255 : $0 }
            let predictions = (0..<160).map { _ in UInt8(stream.below(4)) }
            let small = settings(7, 3)
            let whole = try AnchorSelection.select(
                labels: LabelGrid(images: 4, height: 5, width: 8, values: values), predictions: predictions,
                settings: small, seed: 5, step: UInt64(round))
            var ranks = try [0, 1, 2].map { rank in
                let images = rank == 2 ? 2..<4 : rank..<rank + 1
                let range = images.lowerBound * 40..<images.upperBound * 40
                return try AnchorSelection.candidates(
                    labels: LabelGrid(images: images.count, height: 5, width: 8, values: Array(values[range])),
                    predictions: Array(predictions[range]), settings: small, seed: 5, step: UInt64(round),
                    firstImage: images.lowerBound)
            }
            #expect(AnchorSelection.merge(ranks, settings: small) == whole)
            #expect(
                try ranks.map { try AnchorSelection.Candidates.decode(AnchorSelection.Candidates.encode($0)) } == ranks)
            ranks.reverse()
            #expect(AnchorSelection.merge(ranks, settings: small) == whole)
        }
    }

    @Test func bothDrawsAreUniform() throws {
        let seed: UInt64 = 77
        let (labels, predictions) = try scene([(30, 20)], ignored: 0)
        var hardHits = [Int: Int]()
        var restHits = [Int: Int]()
        for step in 0..<4000 {
            let onlyHard = try AnchorSelection.select(
                labels: labels, predictions: predictions, settings: settings(10, 10), seed: seed, step: UInt64(step))
            for pixel in onlyHard[0].pixels { hardHits[pixel, default: 0] += 1 }
            let onlyRest = try AnchorSelection.select(
                labels: labels, predictions: predictions, settings: settings(10, 0), seed: seed, step: UInt64(step))
            for pixel in onlyRest[0].pixels { restHits[pixel, default: 0] += 1 }
        }
        #expect(hardHits.count == 30 && looksUniform(hardHits.keys.sorted().map { hardHits[$0]! }), "seed \(seed)")
        #expect(restHits.count == 50 && looksUniform(restHits.keys.sorted().map { restHits[$0]! }), "seed \(seed)")
    }

    /// The rest is drawn from all that remains: a leftover mispredicted pixel is as likely as a right one.
    @Test func leftoverMispredictedPixelsAreAsLikelyAsRightOnes() throws {
        let seed: UInt64 = 78
        let (labels, predictions) = try scene([(20, 20)], ignored: 0)
        var extraHard = 0
        let rounds = 4000
        for step in 0..<rounds {
            let found = try AnchorSelection.select(
                labels: labels, predictions: predictions, settings: settings(20, 10), seed: seed, step: UInt64(step))
            extraHard += found[0].mispredicted - 10
        }
        // 10 of 30 remaining, of which 10 are mispredicted: hypergeometric, mean 10/3, variance 10 * 1/3 * 2/3 * 20/29.
        let deviation = (Double(rounds) * 10 * 2 / 9 * 20 / 29).squareRoot()
        #expect(abs(Double(extraHard) - Double(rounds) * 10 / 3) < 5 * deviation, "seed \(seed)")
    }

    @Test func anotherRanksCandidatesAreCheckedWhenRead() throws {
        let found = try AnchorSelection.candidates(
            labels: LabelGrid(images: 1, height: 2, width: 2, values: [0, 1, 1, 2]), predictions: [0, 0, 1, 1],
            settings: settings(3, 2), seed: 1, step: 1)
        let words = AnchorSelection.Candidates.encode(found)
        #expect(try AnchorSelection.Candidates.decode(words) == found)
        #expect(try AnchorSelection.Candidates.decode([]).isEmpty)
        for count in [1, 2, 3, words.count - 1] {
            #expect(throws: ContrastError.self) { try AnchorSelection.Candidates.decode(Array(words.prefix(count))) }
        }
        for (place, value) in [(0, 256), (0, -1), (2, -1), (2, 1 << 40)] as [(Int, Int64)] {
            var changed = words
            changed[place] = value
            #expect(throws: ContrastError.self) { try AnchorSelection.Candidates.decode(changed) }
        }
    }

    @Test func predictionsOfAnotherSizeAreRefused() throws {
        let labels = try LabelGrid(images: 1, height: 2, width: 2, values: [0, 1, 2, 3])
        #expect(throws: ContrastError.shape("3 predictions for 4 labels")) {
            try AnchorSelection.select(
                labels: labels, predictions: [0, 0, 0], settings: ContrastSettings(), seed: 0, step: 0)
        }
        #expect(throws: ContrastError.self) { try LabelGrid(images: 1, height: 2, width: 2, values: [0]) }
    }
}
