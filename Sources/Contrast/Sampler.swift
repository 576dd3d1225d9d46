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

    /// Draws one anchor's candidates.
    ///
    /// - Parameters:
    ///   - anchor: its key, `MiningInput.keys`.
    ///   - similarities: with all candidates; nil where the pool is all of them anyway.
    ///   - result: room for `drawCount` positions, written in ascending order.
    func draw(
        _ side: Side, anchor: Int, available: Int, similarities: UnsafePointer<Float>?, selection: ExtremeSelection,
        into result: UnsafeMutablePointer<Int32>
    ) {
        let pool = poolSize(side, available: available)
        let count = drawCount(side, available: available)
        guard count > 0 else { return }
        // A draw of everything needs no random numbers.
        var drawn: [Bool]?
        if count < pool {
            var stream = KeyedRandom(seed: seed, purpose: "sample", step: side.rawValue, index: UInt64(anchor))
            var marks = [Bool](repeating: false, count: pool)
            for i in stream.sample(count, of: pool) { marks[i] = true }
            drawn = marks
        }
        func keep(_ position: (Int) -> Int32) {
            var kept = 0
            for i in 0..<pool where drawn?[i] ?? true {
                result[kept] = position(i)
                kept += 1
            }
        }
        guard pool < available, let similarities else { return keep { Int32(truncatingIfNeeded: $0) } }
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: pool) { positions in
            selection.select(
                pool, at: side == .negatives ? .largest : .smallest, of: similarities, count: available,
                into: positions.baseAddress!)
            keep { positions[$0] }
        }
    }

    /// Whether the draw needs similarities with all candidates.
    func needsSimilarities(_ side: Side, available: Int) -> Bool {
        let pool = poolSize(side, available: available)
        return pool > 0 && pool < available
    }

    private func wanted(_ side: Side) -> Int { side == .positives ? settings.positives : settings.negatives }
}
