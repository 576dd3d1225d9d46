import Testing

@testable import ComputeStage
@testable import Contrast

@Suite struct ContrastByClassTests {
    private func anchors(_ c: Int, _ count: Int, hard: Int) -> ClassAnchors {
        ClassAnchors(classID: ClassID(c), pixels: Array(0..<count), mispredicted: hard)
    }

    @Test func meansAreOverStepsAndAnchors() {
        var gathered = ContrastByClass(classes: ["sky", "road", "car"])
        var first = SimilaritySums(classes: 3)
        first.add((4, 0.5, 0.25), toClass: 0)
        gathered.add([anchors(0, 4, hard: 1), anchors(2, 2, hard: 2)], first)
        var second = SimilaritySums(classes: 3)
        second.add((12, 1, 0), toClass: 0)
        gathered.add([anchors(0, 12, hard: 7)], second)
        let values = Dictionary(uniqueKeysWithValues: gathered.take().map { ($0.tag, $0.value) })
        #expect(
            values == [
                "anchors by class/sky": 8, "anchors by class/road": 0, "anchors by class/car": 1,
                "hard share by class/sky": 0.5, "hard share by class/car": 1,
                "positive similarity by class/sky": 0.875, "negative similarity by class/sky": 0.0625,
            ])
        #expect(gathered.take().isEmpty, "it begins anew")
    }

    /// Ranks add up each other's sums as plain numbers.
    @Test func sumsOfRanksAreThoseOfOne() {
        var (one, two, all) = (SimilaritySums(classes: 2), SimilaritySums(classes: 2), SimilaritySums(classes: 2))
        for (index, report) in [(3, 0.5, 0.25), (5, 0.75, 0.5), (1, -0.5, 0.125)].enumerated() {
            all.add(report, toClass: index % 2)
            if index < 2 { one.add(report, toClass: index % 2) } else { two.add(report, toClass: index % 2) }
        }
        let summed = SimilaritySums(numbers: zip(one.numbers, two.numbers).map { $0 + $1 })
        #expect(summed == all)
        #expect(all.means?.positive == (3 * 0.5 + 5 * 0.75 - 0.5) / 9)
        #expect(SimilaritySums(classes: 2).means == nil)
        // A miner's report of a class that there is not changes nothing.
        all.add((1, 1, 1), toClass: 2)
        #expect(summed == all)
    }
}
