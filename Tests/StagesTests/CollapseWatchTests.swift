import Testing

@testable import ComputeStage

@Suite struct CollapseWatchTests {
    private func words(of steps: [(positive: Double, negative: Double)]) -> [String] {
        var watch = CollapseWatch()
        return steps.compactMap { watch.add($0) }
    }

    private func steps(_ count: Int, _ positive: Double, _ negative: Double) -> [(positive: Double, negative: Double)] {
        Array(repeating: (positive, negative), count: count)
    }

    @Test func embeddingsThatAreAlikeAreToldOfOnce() throws {
        let said = words(of: steps(1000, 0.97, 0.99))
        #expect(said.count == 1)
        let text = try #require(said.first)
        #expect(text.contains("0.97") && text.contains("0.99") && text.contains("sampler.strategy=random"))
    }

    /// Hard positives that are far, hard negatives that are far: both are what contrast is for.
    @Test(arguments: [(0.2, 0.95), (0.95, 0.4), (0.6, 0.5)])
    func classesThatAreApartAreNot(positive: Double, negative: Double) {
        #expect(words(of: steps(1000, positive, negative)).isEmpty)
    }

    @Test func aFewStepsAreNoCollapse() {
        #expect(words(of: steps(99, 0.99, 0.99)).isEmpty)
        #expect(words(of: steps(150, 0.3, 0.8) + steps(60, 0.99, 0.99) + steps(40, 0.3, 0.8)).isEmpty)
        #expect(words(of: steps(150, 0.3, 0.8) + steps(150, 0.99, 0.99)).count == 1)
    }

    @Test func aSecondCollapseIsToldOfToo() {
        let alike = steps(300, 0.99, 0.99)
        #expect(words(of: alike + steps(300, 0.7, 0.4) + alike).count == 2)
    }
}
