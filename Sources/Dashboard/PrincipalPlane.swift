/// The two directions in which points vary most, by subspace iteration on the covariance: a principal component analysis
/// in two dimensions.
struct PrincipalPlane {
    /// Place of each point in the plane.
    private(set) var places: [(x: Float, y: Float)]
    /// Which part of all variance each direction has, the larger first.
    private(set) var shares: (Float, Float) = (0, 0)

    /// Enough for pictures: directions of nearly equal variance may be mixed, which turns the picture and no more.
    private static let iterations = 60

    /// - Parameters:
    ///   - rows: `[n, dimension]`, row-major; changed on the way.
    ///   - dimension: at least 1.
    init(_ rows: [Float], dimension: Int) {
        let count = rows.count / dimension
        guard count > 0 else {
            places = []
            return
        }
        var centred = rows
        for d in 0..<dimension {
            var mean: Float = 0
            for row in 0..<count { mean += rows[row * dimension + d] }
            mean /= Float(count)
            for row in 0..<count { centred[row * dimension + d] -= mean }
        }
        let total = centred.reduce(0) { $0 + $1 * $1 }
        // A start that depends on nothing: two directions that no axis is orthogonal to.
        var first: [Float] = (0..<dimension).map { 1 / Float($0 + 1) }
        var second: [Float] = first.enumerated().map { $0 % 2 == 0 ? $1 : -$1 }
        /// The covariance times a direction, without forming it; also how far each point is along the direction.
        func along(_ direction: [Float]) -> (places: [Float], image: [Float]) {
            var places = [Float](repeating: 0, count: count)
            var image = [Float](repeating: 0, count: dimension)
            centred.withUnsafeBufferPointer { centred in
                for row in 0..<count {
                    let start = row * dimension
                    var place: Float = 0
                    for d in 0..<dimension { place += centred[start + d] * direction[d] }
                    places[row] = place
                    for d in 0..<dimension { image[d] += place * centred[start + d] }
                }
            }
            return (places, image)
        }
        Self.normalize(&first)
        Self.normalize(&second, against: first)
        for _ in 0..<Self.iterations {
            first = along(first).image
            second = along(second).image
            Self.normalize(&first)
            Self.normalize(&second, against: first)
        }
        for direction in [0, 1] {
            // A direction and its opposite are the same; the picture should not flip from one snapshot to the next.
            let largest = (direction == 0 ? first : second).max { abs($0) < abs($1) } ?? 0
            if largest < 0 {
                if direction == 0 { first = first.map { -$0 } } else { second = second.map { -$0 } }
            }
        }
        let (x, y) = (along(first).places, along(second).places)
        places = zip(x, y).map { ($0, $1) }
        if total > 0 {
            shares = (x.reduce(0) { $0 + $1 * $1 } / total, y.reduce(0) { $0 + $1 * $1 } / total)
        }
    }

    /// Makes a direction a unit vector, orthogonal to another; zero where nothing is left of it.
    private static func normalize(_ vector: inout [Float], against other: [Float]? = nil) {
        if let other {
            let overlap = zip(vector, other).reduce(0) { $0 + $1.0 * $1.1 }
            for d in vector.indices { vector[d] -= overlap * other[d] }
        }
        let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
        for d in vector.indices { vector[d] = length > 1e-12 ? vector[d] / length : 0 }
    }
}
