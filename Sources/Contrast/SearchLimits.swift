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

        func candidate(_ sample: Int) -> Int { sample * candidates.count / looked }
        let rows = [UnsafePointer<Float>](unsafeUninitializedCapacity: looked) { rows, filled in
            candidates.locate((0..<looked).lazy.map { candidate($0) }, into: rows.baseAddress!)
            filled = looked
        }
        let look = Look(
            rows: rows, taken: taken, perSample: Float(candidates.count) / Float(looked),
            shareEnds: shares.map { share in (0..<looked).first { candidate($0) >= share.upperBound } ?? looked })
        var similarities = [Float](repeating: 0, count: count * look.stride)
        similarities.withUnsafeMutableBufferPointer { similarities in
            let all = Shared(similarities.baseAddress!)
            look.measure(anchors, count, dimension, product, threads: threads, into: all)
            least.withUnsafeMutableBufferPointer { least in
                room.withUnsafeMutableBufferPointer { room in
                    let limits = Shared((least: least.baseAddress!, room: room.baseAddress!))
                    inParallel(count, threads: threads) { anchors in
                        let selection = ExtremeSelection()
                        for anchor in anchors {
                            limits.value.least[anchor] = look.limit(
                                all.value + anchor * look.stride, selection,
                                room: limits.value.room + anchor * shares.count, shares)
                        }
                    }
                }
            }
        }
    }
}

/// The candidates that are looked at.
///
/// `@unchecked Sendable` is sound because the pointed-to rows are only read.
private struct Look: @unchecked Sendable {
    private static let chunk = 256

    let rows: [UnsafePointer<Float>]
    /// So many of the nearest are taken for the pool's.
    let taken: Int
    /// How many candidates one that is looked at stands for.
    let perSample: Float
    /// Where each share ends among those that are looked at.
    let shareEnds: [Int]

    /// Floats per anchor of their similarities.
    var stride: Int { (rows.count + Self.chunk - 1) / Self.chunk * Self.chunk }

    /// - Parameter all: `[count, stride]`
    func measure(
        _ anchors: UnsafePointer<Float>, _ count: Int, _ dimension: Int, _ product: any SimilarityProduct, threads: Int,
        into all: Shared<UnsafeMutablePointer<Float>>
    ) {
        let chunk = min(Self.chunk, product.tile)
        let anchors = Shared(anchors)
        rows.withUnsafeBufferPointer { rows in
            let rows = Shared(rows)
            inParallel((rows.value.count + chunk - 1) / chunk, threads: threads) { chunks in
                for start in chunks.map({ $0 * chunk }) {
                    product.compute(
                        anchors: anchors.value, count: count, dimension: dimension,
                        rows: rows.value.baseAddress! + start, rowCount: min(chunk, rows.value.count - start),
                        into: all.value + start, stride: stride)
                }
            }
        }
    }

    /// What an anchor's pool reaches, likely, by its similarities with those that are looked at.
    ///
    /// - Parameter room: gets how many of each share will reach it, at most.
    func limit(
        _ similarities: UnsafePointer<Float>, _ selection: ExtremeSelection, room: UnsafeMutablePointer<Int>,
        _ shares: [Range<Int>]
    ) -> Float {
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: taken) { nearest in
            selection.select(taken, of: similarities, count: rows.count, into: nearest.baseAddress!)
            var seen = 0
            for (share, end) in shareEnds.enumerated() {
                let before = seen
                while seen < taken, Int(nearest[seen]) < end { seen += 1 }
                let hits = Float(seen - before)
                room[share] = min(Int((hits + 4 * hits.squareRoot() + 8) * perSample), shares[share].count)
            }
            return nearest.reduce(.infinity) { min($0, similarities[Int($1)]) }
        }
    }
}
