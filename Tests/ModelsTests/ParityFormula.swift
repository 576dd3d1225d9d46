/// The parity kit's numbers: every parameter, buffer, input and label from its name and shape alone.
///
/// The kit's README states the formula; `ParityFormulaTests` checks it against worked values from there.
enum ParityFormula {
    /// SplitMix64 seeded with the FNV-1a hash of a name.
    struct Stream {
        private(set) var state: UInt64

        init(_ name: String) {
            state = name.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        }

        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }

        /// Uniform in [0, 1), a multiple of 2^-24.
        mutating func uniform() -> Double { Double(next() >> 40) * 0x1p-24 }
    }

    /// A state entry's elements, row-major, rounded to Float.
    static func values(_ name: String, shape: [Int]) -> [Float] {
        let count = shape.reduce(1, *)
        let last = name.split(separator: ".").last.map(String.init) ?? name
        var stream = Stream(name)
        switch (last, shape.count) {
        case ("num_batches_tracked", _):
            return [Float](repeating: 0, count: count)
        case ("running_var", 1), ("weight", 1):
            return (0..<count).map { _ in Float(0.75 + 0.5 * stream.uniform()) }
        case ("running_mean", _), ("bias", _):
            return (0..<count).map { _ in Float(0.1 * (2 * stream.uniform() - 1)) }
        case ("weight", 2...4):
            let fanIn = Double(count / shape[0])
            let bound = (3.0 * gain(shape) / fanIn).squareRoot()
            return (0..<count).map { _ in Float((2 * stream.uniform() - 1) * bound) }
        default:
            return (0..<count).map { _ in Float(0.5 * (2 * stream.uniform() - 1)) }
        }
    }

    /// The squared gain: depthwise 3, pointwise 1.5, other convolutions 0.4, matrices 1.
    private static func gain(_ shape: [Int]) -> Double {
        guard shape.count == 4 else { return 1 }
        if shape[1] == 1 { return 3 }
        return shape[2] == 1 && shape[3] == 1 ? 1.5 : 0.4
    }

    /// The input image: 4u - 2.
    static func input(_ name: String, shape: [Int]) -> [Float] {
        var stream = Stream(name)
        return (0..<shape.reduce(1, *)).map { _ in Float(4 * stream.uniform() - 2) }
    }

    /// Labels over [N, H, W] in row-major order.
    static func labels(count: Int, classes: Int) -> [Int64] {
        (0..<count).map { Int64((($0 * 7919) >> 3) % classes) }
    }
}
