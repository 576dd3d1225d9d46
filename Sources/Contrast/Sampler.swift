import Basics
import Configuration

/// Which candidates an anchor contrasts with: K drawn without replacement from a pool of the candidates.
///
/// Strategies differ in the pool alone, so they share everything else.
struct Sampler: Sendable {
    let settings: SamplerSettings
    /// The ticket's.
    let seed: UInt64

    /// - Throws: `ContrastError.setting` for a value outside its range, named by its recipe key.
    init(_ settings: SamplerSettings, seed: UInt64) throws {
        guard settings.positives >= 0, settings.negatives >= 0 else {
            throw ContrastError.setting(
                "sampler.positives \(settings.positives) and sampler.negatives \(settings.negatives) must not be negative"
            )
        }
        guard settings.pool > 0, settings.pool <= 1 else {
            throw ContrastError.setting("sampler.pool \(settings.pool) must lie in (0, 1]")
        }
        guard settings.candidates.map({ $0 > 0 }) ?? true else {
            throw ContrastError.setting("sampler.candidates \(settings.candidates!) must be positive")
        }
        self.settings = settings
        self.seed = seed
    }

    /// Positives or negatives; the paper's K of each.
    enum Side: UInt64 {
        case positives = 0
        case negatives = 1
    }

    /// How many of `available` candidates the draw is from: the nearest negatives, the farthest positives.
    func poolSize(_ side: Side, available: Int) -> Int {
        guard available > 0 else { return 0 }
        switch settings.strategy {
        case .random: return available
        case .hardest: return min(wanted(side), available)
        // Float32, like the setting: 0.1 of 10 is 1 there, while the double of Float(0.1) is a little more than a tenth.
        case .semiHard: return max(1, min(available, Int((Float(available) * settings.pool).rounded(.down))))
        }
    }

    /// How many candidates an anchor gets; the pool whole where it holds fewer than K.
    func drawCount(_ side: Side, available: Int) -> Int { min(wanted(side), poolSize(side, available: available)) }

    /// Which of its pool's entries an anchor gets, by their rank in the pool's own order, ascending.
    ///
    /// - Parameter anchor: its key, `MiningInput.keys`.
    func draw(_ side: Side, anchor: Int, available: Int) -> [Int] {
        let pool = poolSize(side, available: available)
        let count = drawCount(side, available: available)
        // A draw of everything needs no random numbers.
        guard count < pool else { return Array(0..<pool) }
        var stream = KeyedRandom(seed: seed, purpose: "sample", step: side.rawValue, index: UInt64(anchor))
        return stream.sortedSample(count, of: pool)
    }

    /// Whether the draw needs similarities with all candidates.
    func needsSimilarities(_ side: Side, available: Int) -> Bool {
        let pool = poolSize(side, available: available)
        return pool > 0 && pool < available
    }

    private func wanted(_ side: Side) -> Int { side == .positives ? settings.positives : settings.negatives }
}
