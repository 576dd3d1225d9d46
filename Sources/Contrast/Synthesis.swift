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

    /// A row of length 1: `firstWeight * first + secondWeight * second`.
    struct Mixture: Equatable {
        /// Among the anchor's sampled negatives; nil is the anchor.
        var first: Int?
        var second: Int
        var firstWeight: Float
        var secondWeight: Float

        /// Mixes two unit vectors as `normalise(share*first + (1-share)*second)`.
        ///
        /// - Parameter product: of the two. It tells the mixture's length.
        /// - Returns: nil where opposite vectors cancel, so that there is no direction.
        init?(_ first: Int?, _ second: Int, share: Float, product: Float) {
            let share = Double(share)
            let squared = share * share + (1 - share) * (1 - share) + 2 * share * (1 - share) * Double(product)
            // Below that it is the product's rounding.
            guard squared > 1e-5 else { return nil }
            let factor = 1 / squared.squareRoot()
            self.first = first
            self.second = second
            firstWeight = Float(share * factor)
            secondWeight = Float((1 - share) * factor)
        }
    }

    /// One anchor's synthetic negatives.
    ///
    /// (a) `pairs` of `normalise(a*n_i + (1-a)*n_j)`, i ≠ j, a uniform in (0, 1); none where there is but one negative.
    /// (b) `anchorMixes` of `normalise(b*anchor + (1-b)*n_j)`, b uniform in (0, 0.5).
    ///
    /// - Parameters:
    ///   - anchor: its key, `MiningInput.keys`.
    ///   - negatives: rows of its `count` sampled negatives.
    ///   - similarities: theirs with the anchor; the nearest `hardest` are mixed, ties by slot.
    func mixtures(
        anchor: Int, negatives: UnsafePointer<UnsafePointer<Float>>, count: Int, similarities: UnsafePointer<Float>,
        dimension: Int, selection: ExtremeSelection
    ) -> [Mixture] {
        let hardest = min(settings.hardest, count)
        guard settings.enabled, hardest > 0 else { return [] }
        return withUnsafeTemporaryAllocation(of: Int32.self, capacity: hardest) { hard in
            selection.select(hardest, of: similarities, count: count, into: hard.baseAddress!)
            var mixtures: [Mixture] = []
            mixtures.reserveCapacity(limit)
            if hardest > 1 {
                var stream = KeyedRandom(seed: seed, purpose: "synthesis", step: 0, index: UInt64(anchor))
                let drawn = (0..<settings.pairs).map { _ in
                    let (i, j) = Self.pair(of: hardest, &stream)
                    return (first: Int(hard[i]), second: Int(hard[j]), share: Self.open(&stream))
                }
                var products = [Float](repeating: 0, count: drawn.count)
                cv_pair_dots(
                    drawn.map { negatives[$0.first] }, drawn.map { negatives[$0.second] }, drawn.count, dimension,
                    &products)
                for (pair, product) in zip(drawn, products) {
                    if let mixture = Mixture(pair.first, pair.second, share: pair.share, product: product) {
                        mixtures.append(mixture)
                    }
                }
            }
            var stream = KeyedRandom(seed: seed, purpose: "synthesis", step: 1, index: UInt64(anchor))
            for _ in 0..<settings.anchorMixes {
                let second = Int(hard[stream.below(hardest)])
                let share = 0.5 * Self.open(&stream)
                if let mixture = Mixture(nil, second, share: share, product: similarities[second]) {
                    mixtures.append(mixture)
                }
            }
            return mixtures
        }
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
