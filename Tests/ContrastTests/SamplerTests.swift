import Basics
import Configuration
import Testing

@testable import Contrast

@Suite struct SamplerTests {
    private func draw(
        _ settings: SamplerSettings, _ side: Sampler.Side, _ similarities: [Float], seed: UInt64 = 1, anchor: Int = 0
    ) throws -> [Int] {
        let sampler = try Sampler(settings, seed: seed)
        let count = similarities.count
        let pool = sampler.poolSize(side, available: count)
        let order = similarities.indices.sorted { a, b in
            if similarities[a] != similarities[b] {
                return (similarities[a] > similarities[b]) == (side == .negatives)
            }
            return a < b
        }
        let slots = sampler.needsSimilarities(side, available: count) ? order.prefix(pool).sorted() : Array(0..<count)
        return sampler.draw(side, anchor: anchor, available: count).map { slots[$0] }
    }

    private func values(_ count: Int, seed: UInt64) -> [Float] {
        var stream = KeyedRandom(seed: seed, purpose: "test-values")
        return (0..<count).map { _ in stream.uniform(-1, 1) }
    }

    /// What every strategy owes: the right number, no repetition, in range, ascending, equal for equal keys.
    @Test(arguments: SamplerSettings.Strategy.allCases) func everyStrategyDrawsWithoutReplacement(
        strategy: SamplerSettings.Strategy
    ) throws {
        for available in [1, 2, 9, 10, 11, 100, 505] {
            for wanted in [1, 2, 10, 60, 600] {
                let similarities = values(available, seed: 3)
                let settings = samplerSettings(strategy, positives: wanted, negatives: wanted)
                for side in [Sampler.Side.positives, .negatives] {
                    let drawn = try draw(settings, side, similarities)
                    let pool = strategy == .semiHard ? max(1, available / 10) : available
                    #expect(drawn.count == min(wanted, pool))
                    #expect(drawn == Set(drawn).sorted() && drawn.allSatisfy { (0..<available).contains($0) })
                    #expect(try draw(settings, side, similarities) == drawn)
                }
            }
        }
    }

    @Test func hardestTakesTheNearestNegativesAndTheFarthestPositives() throws {
        let similarities: [Float] = [0.5, -0.2, 0.9, 0.5, 0.5, -0.2, -0.7]
        let settings = samplerSettings(.hardest, positives: 2, negatives: 3)
        #expect(try draw(settings, .negatives, similarities) == [0, 2, 3])
        #expect(try draw(settings, .positives, similarities) == [1, 6])
    }

    @Test func semiHardDrawsFromTheNearestTenthOfNegativesAndTheFarthestTenthOfPositivesUniformly() throws {
        let similarities = values(1000, seed: 12)
        let order = similarities.indices.sorted { similarities[$0] > similarities[$1] }
        let settings = samplerSettings(.semiHard, positives: 30, negatives: 30)
        for (side, pool) in [(Sampler.Side.negatives, Set(order.prefix(100))), (.positives, Set(order.suffix(100)))] {
            let seed: UInt64 = 40
            var hits: [Int: Int] = [:]
            for anchor in 0..<3000 {
                for i in try draw(settings, side, similarities, seed: seed, anchor: anchor) { hits[i, default: 0] += 1 }
            }
            #expect(Set(hits.keys) == pool)
            #expect(looksUniform(hits.keys.sorted().map { hits[$0]! }), "seed \(seed)")
        }
    }

    @Test func randomDrawsFromEverythingUniformly() throws {
        let seed: UInt64 = 41
        let similarities = values(200, seed: 12)
        var hits = [Int](repeating: 0, count: 200)
        for anchor in 0..<3000 {
            for i in try draw(
                samplerSettings(.random, negatives: 20), .negatives, similarities, seed: seed, anchor: anchor)
            { hits[i] += 1 }
        }
        #expect(looksUniform(hits), "seed \(seed)")
    }

    @Test func anchorsAndSidesDrawIndependently() throws {
        let similarities = values(400, seed: 12)
        let settings = samplerSettings(.random, positives: 40, negatives: 40)
        let first = try draw(settings, .negatives, similarities, anchor: 0)
        #expect(try draw(settings, .negatives, similarities, anchor: 1) != first)
        #expect(try draw(settings, .positives, similarities, anchor: 0) != first)
        #expect(try draw(settings, .negatives, similarities, seed: 2, anchor: 0) != first)
    }

    @Test func thePoolIsATenthRoundedDownAndAtLeastOne() throws {
        let sampler = try Sampler(samplerSettings(.semiHard), seed: 0)
        for (available, pool) in [(0, 0), (1, 1), (9, 1), (10, 1), (19, 1), (20, 2), (4037, 403), (40_370, 4037)] {
            #expect(sampler.poolSize(.negatives, available: available) == pool)
        }
        let wide = try Sampler(samplerSettings(.semiHard, pool: 0.7), seed: 0)
        #expect(wide.poolSize(.negatives, available: 10) == 7)
    }
}

@Suite struct SynthesisTests {
    private func synthesise(
        _ settings: SynthesisSettings, anchor: [Float], negatives: [Float], seed: UInt64 = 1, index: Int = 0
    ) throws -> [[Float]] {
        let D = anchor.count
        let synthesis = try Synthesis(settings, seed: seed)
        let count = negatives.count / D
        let similarities = (0..<count).map { i in (0..<D).reduce(Float(0)) { $0 + anchor[$1] * negatives[i * D + $1] } }
        let mixtures = negatives.withUnsafeBufferPointer { negatives in
            synthesis.mixtures(
                anchor: index, negatives: (0..<count).map { negatives.baseAddress! + $0 * D }, count: count,
                similarities: similarities, dimension: D, selection: ExtremeSelection())
        }
        return mixtures.map { mixture in
            (0..<D).map { c in
                let first = mixture.first.map { negatives[$0 * D + c] } ?? anchor[c]
                return mixture.firstWeight * first + mixture.secondWeight * negatives[mixture.second * D + c]
            }
        }
    }

    @Test func mixturesAreUnitVectorsBetweenTwoDifferentNegativesAndTowardsTheAnchor() throws {
        // Axis vectors: a mixture's non-zero components tell what it is made of.
        let D = 8
        let negatives = (1..<8).flatMap { axis in (0..<D).map { $0 == axis ? Float(1) : 0 } }
        let anchor = (0..<D).map { $0 == 0 ? Float(1) : 0 }
        let made = try synthesise(
            synthesisSettings(true, pairs: 600, anchorMixes: 400), anchor: anchor, negatives: negatives)
        #expect(made.count == 1000)
        var pairs = [Int](repeating: 0, count: 64)
        var shares: [Float] = []
        for (number, row) in made.enumerated() {
            #expect(abs(row.reduce(0) { $0 + $1 * $1 } - 1) < 1e-5)
            let parts = (0..<D).filter { row[$0] > 0 }
            #expect(parts.count == 2)
            if number < 600 {
                #expect(!parts.contains(0))
                pairs[parts[0] * 8 + parts[1]] += 1
                shares.append(row[parts[0]] / (row[parts[0]] + row[parts[1]]))
            } else {
                #expect(parts[0] == 0)
                let b = row[0] / (row[0] + row[parts[1]])
                #expect(b > 0 && b < 0.5001)
            }
        }
        #expect(looksUniform(pairs.filter { $0 > 0 }) && pairs.count { $0 > 0 } == 21)
        // Uniform in (0, 1): mean 1/2, deviation of the mean of 600 is 0.0118.
        #expect(abs(shares.reduce(0, +) / 600 - 0.5) < 0.07)
        let towards = made[600...].map { row in row[0] / row.reduce(0, +) }
        #expect(abs(towards.reduce(0, +) / 400 - 0.25) < 0.04)
    }

    @Test func onlyTheHardestAreMixed() throws {
        let D = 4
        let anchor: [Float] = [1, 0, 0, 0]
        let negatives: [Float] = unit([1, 0, 0, 1]) + [0, 1, 0, 0] + unit([1, 0, 1, 0])
        // The second one is orthogonal to the anchor: the two hardest are the others.
        let made = try synthesise(
            synthesisSettings(true, hardest: 2, pairs: 50, anchorMixes: 50), anchor: anchor, negatives: negatives)
        #expect(made.count == 100 && made.allSatisfy { $0[1] == 0 && $0.count == D })
    }

    @Test func oneNegativeMixesWithTheAnchorOnlyAndNoneWithNothing() throws {
        let settings = synthesisSettings(true, pairs: 5, anchorMixes: 7)
        #expect(try synthesise(settings, anchor: [1, 0], negatives: [0, 1]).count == 7)
        #expect(try synthesise(settings, anchor: [1, 0], negatives: []).isEmpty)
        #expect(try synthesise(synthesisSettings(false), anchor: [1, 0], negatives: [0, 1]).isEmpty)
    }

    @Test func oppositeVectorsGiveUnitVectorsOrNone() throws {
        let made = try synthesise(
            synthesisSettings(true, pairs: 3000, anchorMixes: 3000), anchor: [1, 0], negatives: [-1, 0, 1, 0])
        #expect(made.count > 5900)
        #expect(made.allSatisfy { abs(abs($0[0]) - 1) < 0.01 && $0[1] == 0 })
        #expect(Synthesis.Mixture(0, 1, share: 0.5, product: -1) == nil)
    }
}
