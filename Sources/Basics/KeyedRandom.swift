/// A random stream addressed by what it is for: `(seed, purpose, step, index)`.
///
/// No generator state survives a step: whoever executes a unit of work derives the same stream from the same key, so
/// results depend neither on who did the work nor on what was done before. The stream is SplitMix64 (Steele, Lea &
/// Flood, "Fast Splittable Pseudorandom Number Generators", 2014) from a start that mixes all four parts of the key.
/// The drawing functions are our own rather than the standard library's because theirs may change between releases.
public struct KeyedRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// - Parameters:
    ///   - seed: the recipe's seed, or a seed that a ticket carries.
    ///   - purpose: what is drawn, for instance `"augment"`; different purposes never share a stream.
    ///   - step: the training step, or the position in the sample order.
    ///   - index: what within the step: a class, an image, a pixel.
    public init(seed: UInt64, purpose: StaticString, step: UInt64 = 0, index: UInt64 = 0) {
        self.init(seed: seed, purposeHash: purpose.withUTF8Buffer { Self.fnv1a($0) }, step: step, index: index)
    }

    /// The same with a purpose known only at run time, for instance a stage's name.
    public init(seed: UInt64, purposeName: String, step: UInt64 = 0, index: UInt64 = 0) {
        var name = purposeName
        self.init(seed: seed, purposeHash: name.withUTF8 { Self.fnv1a($0) }, step: step, index: index)
    }

    private init(seed: UInt64, purposeHash: UInt64, step: UInt64, index: UInt64) {
        var mixed = Self.mix(seed &+ 0x9e37_79b9_7f4a_7c15)
        for part in [purposeHash, step, index] {
            mixed = Self.mix(mixed ^ Self.mix(part &+ 0x9e37_79b9_7f4a_7c15))
        }
        state = mixed
    }

    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        return Self.mix(state)
    }

    /// A seed for a ticket: whoever receives it derives further streams from it.
    public static func seed(_ seed: UInt64, purpose: StaticString, step: UInt64, index: UInt64 = 0) -> UInt64 {
        var stream = KeyedRandom(seed: seed, purpose: purpose, step: step, index: index)
        return stream.next()
    }

    /// Uniform in [0, 1) with 24 random bits.
    public mutating func uniform() -> Float { Float(next() >> 40) * 0x1p-24 }

    /// Uniform in [low, high).
    public mutating func uniform(_ low: Float, _ high: Float) -> Float { low + (high - low) * uniform() }

    /// Uniform in 0 ..< bound without bias (Lemire, "Fast Random Integer Generation in an Interval", 2019).
    ///
    /// - Precondition: `bound > 0`.
    public mutating func below(_ bound: Int) -> Int {
        precondition(bound > 0, "a draw needs at least one outcome")
        let range = UInt64(bound)
        var product = next().multipliedFullWidth(by: range)
        if product.low < range {
            let threshold = (0 &- range) % range
            while product.low < threshold { product = next().multipliedFullWidth(by: range) }
        }
        return Int(product.high)
    }

    /// `min(count, population)` different numbers of `0 ..< population`, in random order.
    ///
    /// A partial Fisher–Yates shuffle; sparse when few of many are drawn, so that its cost is that of the draw.
    public mutating func sample(_ count: Int, of population: Int) -> [Int] {
        let wanted = min(count, population)
        guard wanted > 0 else { return [] }
        // Writing down all numbers in order takes far less time for each than a look into a dictionary.
        if wanted * 128 >= population, population <= Int(UInt32.max) {
            return withUnsafeTemporaryAllocation(of: UInt32.self, capacity: population) { all in
                for i in 0..<population { all[i] = UInt32(truncatingIfNeeded: i) }
                return (0..<wanted).map { i in
                    let j = i + below(population - i)
                    let drawn = all[j]
                    all[j] = all[i]
                    return Int(drawn)
                }
            }
        }
        var moved: [Int: Int] = [:]
        moved.reserveCapacity(wanted)
        var drawn: [Int] = []
        drawn.reserveCapacity(wanted)
        for i in 0..<wanted {
            let j = i + below(population - i)
            drawn.append(moved[j] ?? j)
            moved[j] = moved[i] ?? i
        }
        return drawn
    }

    /// The same numbers as `sample`, ascending.
    public mutating func sortedSample(_ count: Int, of population: Int) -> [Int] {
        var marks = [UInt64](repeating: 0, count: (population + 63) / 64)
        for i in sample(count, of: population) { marks[i / 64] |= 1 << (i % 64) }
        var drawn: [Int] = []
        drawn.reserveCapacity(min(count, population))
        for (word, bits) in marks.enumerated() {
            var left = bits
            while left != 0 {
                drawn.append(64 * word + left.trailingZeroBitCount)
                left &= left - 1
            }
        }
        return drawn
    }

    /// A random order of `0 ..< count`.
    public mutating func permutation(_ count: Int) -> [Int] { sample(count, of: count) }

    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    private static func fnv1a(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}
