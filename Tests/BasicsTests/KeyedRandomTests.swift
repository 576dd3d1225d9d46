import Basics
import Testing

@Suite struct KeyedRandomTests {
    @Test func equalKeysGiveEqualStreamsAndOthersDiffer() {
        var a = KeyedRandom(seed: 7, purpose: "augment", step: 3, index: 1)
        var b = KeyedRandom(seed: 7, purposeName: "augment", step: 3, index: 1)
        let stream = (0..<8).map { _ in a.next() }
        #expect(stream == (0..<8).map { _ in b.next() })
        for other in [
            KeyedRandom(seed: 8, purpose: "augment", step: 3, index: 1),
            KeyedRandom(seed: 7, purpose: "anchors", step: 3, index: 1),
            KeyedRandom(seed: 7, purpose: "augment", step: 1, index: 3),
        ] {
            var other = other
            #expect(stream != (0..<8).map { _ in other.next() })
        }
    }

    @Test func samplesAreDistinctAndInRangeForEverySize() {
        for population in 0...40 {
            for count in 0...45 {
                var random = KeyedRandom(seed: 1, purpose: "test", step: UInt64(population), index: UInt64(count))
                let drawn = random.sample(count, of: population)
                #expect(drawn.count == min(count, population))
                #expect(Set(drawn).count == drawn.count)
                #expect(drawn.allSatisfy { (0..<population).contains($0) })
            }
        }
    }

    /// Sparse and dense draws alike: each of 20 items is drawn about equally often.
    @Test(arguments: [2, 10]) func everyItemIsDrawnEquallyOften(count: Int) {
        var hits = [Int](repeating: 0, count: 20)
        let rounds = 20_000
        for round in 0..<rounds {
            var random = KeyedRandom(seed: 5, purpose: "test", step: UInt64(round))
            for item in random.sample(count, of: 20) { hits[item] += 1 }
        }
        let expected = Double(rounds * count) / 20
        for hit in hits { #expect(abs(Double(hit) - expected) < 6 * expected.squareRoot()) }
    }

    @Test func uniformStaysBelowOneAndFillsTheRange() {
        var random = KeyedRandom(seed: 2, purpose: "test")
        let values = (0..<100_000).map { _ in random.uniform() }
        #expect(values.allSatisfy { $0 >= 0 && $0 < 1 })
        #expect(abs(values.reduce(0, +) / 100_000 - 0.5) < 0.01)
    }
}
