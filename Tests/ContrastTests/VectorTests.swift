import Basics
import CVectors
import Foundation
import Testing

/// Each function beside the plain sentence that says what it does, with the instructions of every level that this
/// processor has. Bits are equal, so other tests may run while levels change.
@Suite(.serialized) struct VectorTests {
    private func numbers(_ count: Int, _ seed: UInt64, scale: Float = 1) -> [Float] {
        var stream = KeyedRandom(seed: seed, purpose: "test-numbers")
        return (0..<count).map { _ in stream.uniform(-scale, scale) }
    }

    /// Weights are Float32, whose smallest numbers are few.
    private let tiny = Double(Float.leastNormalMagnitude)

    private func onEveryLevel(_ body: () throws -> Void) rethrows {
        defer { cv_limit_level(2) }
        for level in 0...2 as ClosedRange<Int32> where cv_limit_level(level) == level { try body() }
    }

    @Test(arguments: [0, 1, 7, 15, 16, 17, 255, 1000]) func listsWhatReachesALimit(count: Int) {
        let values = numbers(count, 1)
        onEveryLevel {
            for limit in [-2, -0.5, 0, 0.3, 2, values.first ?? 0, -Float.infinity] as [Float] {
                for isSmallest in [false, true] {
                    var positions = [Int32](repeating: -1, count: count + 16)
                    var found = [Float](repeating: 9, count: count + 16)
                    let kept = cv_beyond(values, count, limit, isSmallest ? 1 : 0, 100, &positions, &found)
                    let expected = values.indices.filter { isSmallest ? values[$0] <= limit : values[$0] >= limit }
                    #expect(positions.prefix(kept).map { Int($0) } == expected.map { $0 + 100 })
                    #expect(Array(found.prefix(kept)) == expected.map { values[$0] })
                }
            }
        }
    }

    @Test(arguments: [0, 1, 15, 31, 32, 33, 64, 255, 1000]) func listsWhatLiesBetweenLimitsAndMarksWhatLiesAbove(
        count: Int
    ) {
        var values = numbers(count, 1)
        if count > 40 { values[37] = .nan }
        onEveryLevel {
            for (least, above) in [(-0.5, 0.5), (0.3, 0.3), (-.infinity, 2), (-.infinity, .infinity), (0.1, -1)]
                as [(Float, Float)]
            {
                var bits = [UInt32](repeating: 0xdead_beef, count: (count + 31) / 32 + 1)
                var positions = [Int32](repeating: -1, count: count + 16)
                var found = [Float](repeating: 9, count: count + 16)
                let kept = cv_split(values, count, least, above, 100, &bits, &positions, &found)
                let between = values.indices.filter { values[$0] >= least && values[$0] < above }
                #expect(positions.prefix(kept).map { Int($0) } == between.map { $0 + 100 })
                #expect(Array(found.prefix(kept)) == between.map { values[$0] })
                let marked = (0..<32 * (bits.count - 1)).filter { bits[$0 / 32] >> UInt32($0 % 32) & 1 == 1 }
                #expect(marked == values.indices.filter { values[$0] >= above })
                #expect(bits.last == 0xdead_beef)
            }
        }
    }

    /// The very bits of fused multiplications and additions in order, whatever the processor.
    @Test(arguments: [1, 3, 16, 40, 64, 256, 300, 512]) func addsWeightedRowsInOrder(dimension: Int) {
        let rows = numbers(20 * dimension, 2)
        let positions = [3, 0, 19, 7, 7, 12]
        let weights = numbers(positions.count, 3)
        let start = numbers(dimension, 4)
        onEveryLevel {
            for count in 0...positions.count {
                var sum = start
                rows.withUnsafeBufferPointer { rows in
                    let pointers = positions.map { rows.baseAddress! + $0 * dimension }
                    cv_add_weighted(pointers, weights, count, dimension, &sum)
                }
                var expected = start
                for k in 0..<count {
                    for c in 0..<dimension {
                        expected[c] = fmaf(weights[k], rows[positions[k] * dimension + c], expected[c])
                    }
                }
                #expect(sum == expected)
            }
        }
    }

    /// Every number of anchors up to two groups, blocks that are full and not, dimensions that no register divides.
    @Test(arguments: [1, 3, 4, 16, 30, 48, 100, 256]) func productsAreSumsInTheOrderOfColumns(dimension: Int) {
        let all = numbers(70 * dimension, 5)
        let anchors = numbers(25 * dimension, 6)
        func expected(_ anchor: Int, _ row: Int) -> Float {
            (0..<dimension).reduce(0) { fmaf(anchors[anchor * dimension + $1], all[row * dimension + $1], $0) }
        }
        let table = (0..<25).map { anchor in (0..<70).map { expected(anchor, $0) } }
        var work = [Float](repeating: .nan, count: Int(CV_PRODUCT_ROWS) * dimension)
        onEveryLevel {
            for (anchorCount, rowCount) in (0...25).map({ ($0, 33) }) + [(5, 0), (5, 1), (7, 31), (3, 32)]
                + [(2, 64), (25, 70)]
            {
                let stride = 100
                var result = [Float](repeating: .nan, count: 25 * stride)
                all.withUnsafeBufferPointer { all in
                    // Not in the order in which they lie.
                    let rows = (0..<rowCount).map { all.baseAddress! + (69 - $0) * dimension }
                    cv_products(anchors, anchorCount, rows, rowCount, dimension, &work, &result, stride)
                }
                let written = (rowCount + 31) / 32 * 32
                var differing = 0
                for anchor in 0..<25 {
                    for column in 0..<stride {
                        let value = result[anchor * stride + column]
                        if anchor >= anchorCount || column >= written {
                            differing += value.isNaN ? 0 : 1
                        } else {
                            differing += value == (column < rowCount ? table[anchor][69 - column] : 0) ? 0 : 1
                        }
                    }
                }
                #expect(differing == 0, "\(anchorCount) anchors, \(rowCount) rows, level \(cv_limit_level(2))")
            }
        }
    }

    @Test(arguments: [0, 1, 7, 8, 9, 100, 2443]) func exponentialsAndTheirSums(count: Int) {
        let values = numbers(count, 7)
        let top = values.max() ?? 0
        var bits: Set<[UInt64]> = []
        for inverse in [0.5, 10, 3000] {
            onEveryLevel {
                var weights = [Float](repeating: .nan, count: count)
                let sum = cv_exponentials(values, count, top, inverse, &weights)
                let expected = values.map { exp((Double($0) - Double(top)) * inverse) }
                #expect(abs(sum - expected.reduce(0, +)) <= 1e-12 * max(1, sum))
                for (weight, value) in zip(weights, expected) {
                    #expect(abs(Double(weight) - value) <= 1e-7 * value + tiny)
                }
                bits.insert([sum.bitPattern] + weights.map { UInt64($0.bitPattern) })
            }
        }
        #expect(bits.count == 3 || count < 2, "levels differ")
    }

    @Test(arguments: [0, 1, 7, 8, 9, 100, 8005]) func logisticLossesAndTheirSlopes(count: Int) {
        let values = numbers(count, 8)
        var bits: Set<[UInt64]> = []
        let cases: [(Double, Double)] = [(0, 1), (7, 10), (-40, 100), (3, 2000)]
        for (normaliser, inverse) in cases {
            onEveryLevel {
                var weights = [Float](repeating: .nan, count: count)
                var slopes = Double.nan
                let loss = cv_logistic(values, count, normaliser, inverse, -0.25, &weights, &slopes)
                let margins = values.map { normaliser - Double($0) * inverse }
                let sigmoids = margins.map { 1 / (1 + exp(-$0)) }
                let expected = margins.reduce(0) { $0 + max($1, 0) + log1p(exp(-abs($1))) }
                #expect(abs(loss - expected) <= 1e-12 * max(1, expected))
                #expect(abs(slopes - sigmoids.reduce(0, +)) <= 1e-12 * max(1, slopes))
                for (weight, sigmoid) in zip(weights, sigmoids) {
                    #expect(abs(Double(weight) + 0.25 * sigmoid) <= 1e-7 * sigmoid + tiny)
                }
                bits.insert([loss.bitPattern, slopes.bitPattern] + weights.map { UInt64($0.bitPattern) })
            }
        }
        #expect(bits.count == cases.count || count < 2, "levels differ")
    }

    @Test(arguments: [0, 1, 8, 17, 1000]) func sumsLargestAndLeast(count: Int) {
        let values = numbers(count, 9)
        onEveryLevel {
            #expect(abs(cv_sum(values, count) - values.reduce(0) { $0 + Double($1) }) < 1e-12)
            #expect(cv_largest(values, count) == values.max() ?? -.infinity)
            #expect(cv_least(values, count) == values.min() ?? .infinity)
        }
    }

    @Test func countsValuesInBins() {
        let values = numbers(5000, 10) + [-7, 7, .infinity, -.infinity, 0.5, -0.5]
        var counts = [UInt32](repeating: 9, count: 10)
        cv_histogram(values, values.count, -0.5, 10, 10, &counts)
        for bin in 0..<10 {
            let expected = values.count { min(max(Int((min(max($0, -9), 9) + 0.5) * 10), 0), 9) == bin }
            #expect(Int(counts[bin]) == expected)
        }
    }

    /// Counts around whole groups of rows, and dimensions that sixteen does and does not divide.
    @Test(arguments: [1, 5, 16, 47, 100, 256]) func dotsAreSixteenSumsInPairs(dimension: Int) {
        let anchor = numbers(dimension, 11)
        let all = numbers(30 * dimension, 12)
        func expected(_ first: [Float], _ row: Int) -> Float {
            var sums = [Float](repeating: 0, count: 16)
            for c in 0..<dimension { sums[c % 16] = fmaf(first[c], all[row * dimension + c], sums[c % 16]) }
            for half in [8, 4, 2, 1] {
                for i in 0..<half { sums[i] += sums[i + half] }
            }
            return sums[0]
        }
        onEveryLevel {
            for count in [0, 1, 3, 4, 5, 8, 13, 30] {
                var result = [Float](repeating: .nan, count: count + 1)
                var ofPairs = result
                all.withUnsafeBufferPointer { all in
                    // Not in the order in which they lie.
                    let rows = (0..<count).map { all.baseAddress! + (29 - $0) * dimension }
                    let others = (0..<count).map { all.baseAddress! + (7 * $0 + 3) % 30 * dimension }
                    cv_dots(anchor, rows, count, dimension, &result)
                    cv_pair_dots(others, rows, count, dimension, &ofPairs)
                }
                #expect(Array(result.prefix(count)) == (0..<count).map { expected(anchor, 29 - $0) })
                #expect(
                    Array(ofPairs.prefix(count))
                        == (0..<count).map { k in
                            let other = (7 * k + 3) % 30 * dimension
                            return expected(Array(all[other..<other + dimension]), 29 - k)
                        })
                #expect(result[count].isNaN && ofPairs[count].isNaN)
            }
        }
    }
}
