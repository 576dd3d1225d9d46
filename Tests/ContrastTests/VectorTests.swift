import Basics
import CVectors
import Foundation
import Testing

@Suite struct VectorTests {
    private func numbers(_ count: Int, _ seed: UInt64) -> [Float] {
        var stream = KeyedRandom(seed: seed, purpose: "test-numbers")
        return (0..<count).map { _ in stream.uniform(-1, 1) }
    }

    @Test(arguments: [0, 1, 7, 15, 16, 17, 255, 1000]) func listsWhatReachesALimit(count: Int) {
        let values = numbers(count, 1)
        for limit in [-2, -0.5, 0, 0.3, 2, values.first ?? 0] as [Float] {
            for isSmallest in [false, true] {
                var positions = [Int32](repeating: -1, count: count + 16)
                var found = [Float](repeating: 9, count: count + 16)
                let kept = cv_beyond(values, count, limit, isSmallest ? 1 : 0, &positions, &found)
                let expected = values.indices.filter { isSmallest ? values[$0] <= limit : values[$0] >= limit }
                #expect(positions.prefix(kept).map { Int($0) } == expected)
                #expect(Array(found.prefix(kept)) == expected.map { values[$0] })
            }
        }
    }

    /// The very bits of fused multiplications and additions in order, whatever the processor.
    @Test(arguments: [1, 3, 16, 40, 64, 256, 300, 512]) func addsWeightedRowsInOrder(dimension: Int) {
        let rows = numbers(20 * dimension, 2)
        let positions: [Int32] = [3, 0, 19, 7, 7, 12]
        let weights = numbers(positions.count, 3)
        let start = numbers(dimension, 4)
        for count in 0...positions.count {
            var sum = start
            rows.withUnsafeBufferPointer { rows in
                let pointers = (0..<20).map { rows.baseAddress! + $0 * dimension }
                cv_add_weighted(pointers, positions, weights, count, dimension, &sum)
            }
            var expected = start
            for k in 0..<count {
                for c in 0..<dimension {
                    expected[c] = fmaf(weights[k], rows[Int(positions[k]) * dimension + c], expected[c])
                }
            }
            #expect(sum == expected)
        }
    }
}
