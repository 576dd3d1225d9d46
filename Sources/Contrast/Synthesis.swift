import Basics
import CVectors
import Configuration

/// Hard negatives that no pixel gave: mixtures of an anchor's hardest sampled negatives with each other and with the
/// anchor (PiCo+). They come on top of the sampled negatives and are constants: no gradient flows through them.
struct Synthesis: Sendable {
    let settings: SynthesisSettings
    /// The ticket's.
    let seed: UInt64

    /// - Throws: `ContrastError.setting` for a negative count, named by its recipe key.
    init(_ settings: SynthesisSettings, seed: UInt64) throws {
        guard settings.hardest >= 0, settings.pairs >= 0, settings.anchorMixes >= 0 else {
            throw ContrastError.setting(
                "synthesis.hardest \(settings.hardest), synthesis.pairs \(settings.pairs) and synthesis.anchorMixes "
                    + "\(settings.anchorMixes) must not be negative")
        }
        self.settings = settings
        self.seed = seed
    }

    /// The most rows that an anchor may get.
    var limit: Int { settings.enabled ? settings.pairs + settings.anchorMixes : 0 }

    /// Writes one anchor's synthetic negatives.
    ///
    /// (a) `pairs` of `normalise(a*n_i + (1-a)*n_j)`, i ≠ j, a uniform in (0, 1); none where there is but one negative.
    /// (b) `anchorMixes` of `normalise(b*anchor + (1-b)*n_j)`, b uniform in (0, 0.5).
    /// A mixture of opposite vectors that cancels has no direction and is left out.
    ///
    /// - Parameters:
    ///   - index: the anchor's key, `MiningInput.keys`.
    ///   - negatives: rows of its `count` sampled negatives.
    ///   - similarities: theirs with the anchor; the nearest `hardest` are mixed, ties by slot.
    ///   - result: room for `limit` rows.
    /// - Returns: the number of rows written.
    func synthesise(
        anchor: UnsafePointer<Float>, index: Int, negatives: UnsafePointer<UnsafePointer<Float>>, count: Int,
        similarities: UnsafePointer<Float>, dimension: Int, selection: ExtremeSelection,
        into result: UnsafeMutablePointer<Float>
    ) -> Int {
        let hardest = min(settings.hardest, count)
        guard settings.enabled, hardest > 0 else { return 0 }
        return withUnsafeTemporaryAllocation(of: Int32.self, capacity: hardest) { hard in
            selection.select(hardest, of: similarities, count: count, into: hard.baseAddress!)
            var mixtures: [Mixture] = []
            mixtures.reserveCapacity(limit)
            if hardest > 1 {
                var stream = KeyedRandom(seed: seed, purpose: "synthesis", step: 0, index: UInt64(index))
                for _ in 0..<settings.pairs {
                    let (i, j) = Self.pair(of: hardest, &stream)
                    mixtures.append(
                        Mixture(
                            first: negatives[Int(hard[i])], second: negatives[Int(hard[j])],
                            weight: Self.open(&stream)))
                }
            }
            var stream = KeyedRandom(seed: seed, purpose: "synthesis", step: 1, index: UInt64(index))
            for _ in 0..<settings.anchorMixes {
                let j = stream.below(hardest)
                mixtures.append(
                    Mixture(first: anchor, second: negatives[Int(hard[j])], weight: 0.5 * Self.open(&stream)))
            }
            var written = 0
            for (k, mixture) in mixtures.enumerated() {
                // Rows lie anywhere in the memory; they are on their way while others are mixed.
                if k + 4 < mixtures.count {
                    cv_fetch(mixtures[k + 4].first, dimension)
                    cv_fetch(mixtures[k + 4].second, dimension)
                }
                let row = result + written * dimension
                let squared = cv_mix(mixture.first, mixture.second, mixture.weight, dimension, row)
                if squared > 1e-12 { written += 1 }
            }
            return written
        }
    }

    private struct Mixture {
        var first: UnsafePointer<Float>
        var second: UnsafePointer<Float>
        var weight: Float
    }

    /// Two different numbers of `0 ..< count`, every ordered pair equally likely.
    static func pair(of count: Int, _ stream: inout KeyedRandom) -> (Int, Int) {
        let i = stream.below(count)
        let j = stream.below(count - 1)
        return (i, j < i ? j : j + 1)
    }

    /// Uniform in the open interval (0, 1).
    static func open(_ stream: inout KeyedRandom) -> Float {
        while true {
            let value = stream.uniform()
            if value > 0 { return value }
        }
    }
}
