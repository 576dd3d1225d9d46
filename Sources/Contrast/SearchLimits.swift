import CVectors

/// What a few candidates, spread evenly over all, tell of a search beforehand.
///
/// Limits are low enough for pools to lie above them but once in thousands, and rooms large enough for what lies above them.
struct SearchLimits {
    /// Per anchor: the pool's similarities are at least that.
    private(set) var least: [Float]
    /// Per anchor and share of the candidates, `[anchor * shares + share]`: how many of them reach the limit, at most.
    private(set) var room: [Int]

    /// - Parameters:
    ///   - anchors: `[count, D]`.
    ///   - wanted: size of a pool.
    ///   - shares: of the candidates; rooms are for each apart.
    init(
        anchors: UnsafePointer<Float>, count: Int, dimension: Int, candidates: CandidateSet, wanted: Int,
        shares: [Range<Int>], product: any SimilarityProduct, threads: Int
    ) {
        least = [Float](repeating: -.infinity, count: count)
        room = (0..<count).flatMap { _ in shares.map(\.count) }
        let looked = min(8192, max(1024, candidates.count / 32))
        let expected = Float(looked) * Float(wanted) / Float(candidates.count)
        // A binomial count's deviation is below the root of its mean; evenly spread candidates vary less.
        let taken = Int(expected + 3.5 * expected.squareRoot()) + 4
        guard candidates.count >= 4 * looked, taken < looked / 2 else { return }

        let chunk = min(256, product.tile)
        let stride = (looked + chunk - 1) / chunk * chunk
        func candidate(_ sample: Int) -> Int { sample * candidates.count / looked }
        let shareEnds = shares.map { share in (0..<looked).first { candidate($0) >= share.upperBound } ?? looked }
        let perSample = Float(candidates.count) / Float(looked)

        withUnsafeTemporaryAllocation(of: Float.self, capacity: count * stride) { similarities in
            withUnsafeTemporaryAllocation(of: UnsafePointer<Float>.self, capacity: looked) { rows in
                candidates.locate((0..<looked).lazy.map { candidate($0) }, into: rows.baseAddress!)
                let shared = Shared((anchors: anchors, rows: rows.baseAddress!, all: similarities.baseAddress!))
                inParallel(stride / chunk, threads: threads) { range in
                    let (anchors, rows, all) = shared.value
                    for start in range.map({ $0 * chunk }) {
                        product.compute(
                            anchors: anchors, count: count, dimension: dimension, rows: rows + start,
                            rowCount: min(chunk, looked - start), into: all + start, stride: stride)
                    }
                }
            }
            least.withUnsafeMutableBufferPointer { least in
                room.withUnsafeMutableBufferPointer { room in
                    let shared = Shared(
                        (all: similarities.baseAddress!, least: least.baseAddress!, room: room.baseAddress!))
                    inParallel(count, threads: threads) { range in
                        let (all, least, room) = shared.value
                        let selection = ExtremeSelection()
                        withUnsafeTemporaryAllocation(of: Int32.self, capacity: taken) { nearest in
                            for anchor in range {
                                let similarities = all + anchor * stride
                                selection.select(taken, of: similarities, count: looked, into: nearest.baseAddress!)
                                least[anchor] = nearest.reduce(.infinity) { min($0, similarities[Int($1)]) }
                                var seen = 0
                                for (share, end) in shareEnds.enumerated() {
                                    let before = seen
                                    while seen < taken, Int(nearest[seen]) < end { seen += 1 }
                                    let hits = Float(seen - before)
                                    let most = Int((hits + 4 * hits.squareRoot() + 8) * perSample)
                                    room[anchor * shares.count + share] = min(most, shares[share].count)
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
