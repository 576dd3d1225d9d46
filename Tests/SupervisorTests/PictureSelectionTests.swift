import Basics
import Imaging
import Testing

@testable import Supervisor

@Suite struct PictureSelectionTests {
    private func map(_ number: Int) -> LabelMap {
        LabelMap(width: 1, height: 1) { $0[0] = UInt8(number % 250) }
    }

    private func chosen(_ scores: [Double?]) -> [PictureSelection.Chosen] {
        var selection = PictureSelection(images: scores.count)
        for (image, score) in scores.enumerated() { selection.offer(image, score: score, prediction: map(image)) }
        return selection.chosen(of: scores.count { $0 != nil })
    }

    private func images(_ found: [PictureSelection.Chosen], _ choice: EvaluationPictures.Choice) -> [Int] {
        found.filter { $0.choices.contains(choice) }.map(\.image)
    }

    /// Against sorting all of them.
    @Test func bestAndWorstAreThoseOfAllImages() {
        for seed in 0..<20 as Range<UInt64> {
            var random = KeyedRandom(seed: seed, purpose: "pictures")
            let count = 8 + random.below(60)
            // Few different values, so that there are ties, and images of which nothing is labelled.
            let scores = (0..<count).map { _ in random.below(9) == 0 ? nil : Double(random.below(7)) / 7 }
            let found = chosen(scores)
            let ranked = scores.indices.filter { scores[$0] != nil }
            guard ranked.count >= 8 else { continue }
            let best = ranked.sorted { (scores[$1]!, $0) < (scores[$0]!, $1) }.prefix(4).sorted()
            let worst = ranked.sorted { (scores[$0]!, $0) < (scores[$1]!, $1) }.prefix(4).sorted()
            #expect(images(found, .best) == best, "seed \(seed)")
            #expect(images(found, .worst) == worst, "seed \(seed)")
            #expect(images(found, .fixed) == (0..<4).map { $0 * count / 4 }, "seed \(seed)")
            #expect(found.map(\.image) == found.map(\.image).sorted())
            for picture in found {
                #expect(picture.prediction == map(picture.image) && picture.mIoU == scores[picture.image])
            }
        }
    }

    @Test func ofFewImagesNoneIsBothBestAndWorst() {
        for count in 1...7 {
            let found = chosen((0..<count).map { Double($0) / 10 })
            #expect(images(found, .best).count == min(4, count / 2))
            #expect(Set(images(found, .best)).isDisjoint(with: images(found, .worst)))
            #expect(images(found, .fixed).count == min(4, count))
        }
        #expect(chosen([]).isEmpty)
        #expect(images(chosen([nil, nil]), .best).isEmpty)
    }
}
