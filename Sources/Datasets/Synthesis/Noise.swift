/// Smooth random textures that depend on position alone, in exact arithmetic: additions and multiplications only.
struct Noise {
    let seed: UInt64

    /// A random number in [0, 1) for a point of the lattice.
    @inline(__always)
    func at(_ x: Int, _ y: Int) -> Float {
        var z = seed &+ UInt64(bitPattern: Int64(x)) &* 0x9e37_79b9_7f4a_7c15
        z ^= UInt64(bitPattern: Int64(y)) &* 0xc2b2_ae3d_27d4_eb4f
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return Float((z ^ (z >> 31)) >> 40) * 0x1p-24
    }

    /// Value noise in [0, 1): lattice numbers, smoothly interpolated.
    @inline(__always)
    func smooth(_ x: Float, _ y: Float) -> Float {
        let left = x.rounded(.down)
        let top = y.rounded(.down)
        let u = ease(x - left)
        let v = ease(y - top)
        let i = Int(max(min(left, 1e9), -1e9))
        let j = Int(max(min(top, 1e9), -1e9))
        let upper = at(i, j) + (at(i + 1, j) - at(i, j)) * u
        let lower = at(i, j + 1) + (at(i + 1, j + 1) - at(i, j + 1)) * u
        return upper + (lower - upper) * v
    }

    /// Three octaves of value noise, in [0, 1).
    @inline(__always)
    func cloudy(_ x: Float, _ y: Float) -> Float {
        (4 * smooth(x, y) + 2 * smooth(2 * x + 17, 2 * y + 5) + smooth(4 * x + 41, 4 * y + 29)) * (1.0 / 7)
    }

    private func ease(_ t: Float) -> Float { t * t * (3 - 2 * t) }
}

/// A colour as three fractions, for shading.
typealias Tint = SIMD3<Float>
