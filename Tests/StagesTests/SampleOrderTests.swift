import Testing

@testable import ComputeStage

@Suite struct SampleOrderTests {
    @Test func everyPassShowsEachImageOnce() {
        for images in [1, 2, 7, 100] {
            var order = SampleOrder(seed: 3, images: images)
            for pass in 0..<4 {
                let shown = (0..<images).map { order.image(at: UInt64(pass * images + $0)) }
                #expect(shown.sorted() == Array(0..<images))
            }
        }
    }

    @Test func passesDifferAndPositionsNeedNoHistory() {
        var forwards = SampleOrder(seed: 3, images: 50)
        let sequence = (0..<150).map { forwards.image(at: $0) }
        #expect(sequence[0..<50] != sequence[50..<100])
        var backwards = SampleOrder(seed: 3, images: 50)
        for position in (0..<150).reversed() {
            #expect(backwards.image(at: UInt64(position)) == sequence[position])
        }
        var other = SampleOrder(seed: 4, images: 50)
        #expect(sequence != (0..<150).map { other.image(at: $0) })
    }
}
