import CVectors

/// What a few candidates, spread evenly over all, tell of a search beforehand.
///
/// Limits are low enough for pools to lie above them but once in thousands, and rooms large enough for what lies above them.
struct SearchLimits {
    /// Per anchor: the pool's similarities are at least that.
    private(set) var least: [Float]
    /// Per anchor: similarities that reach that are in the pool; infinity where a search does not ask.
    private(set) var above: [Float]
    /// Per anchor and share of the candidates, `[anchor * shares + share]`: how many of them lie between the two, at most.
    private(set) var room: [Int]

    /// Most bytes of similarities with what is looked at held at once.
    private static let lookedBytes = 4 << 20

    /// - Parameters:
    ///   - anchors: `[count, D]`, those of all seekers.
    ///   - shares: of the candidates; rooms are for each apart.
    ///   - bothSides: whether what lies above all doubt is told, too.
    init(
        anchors: UnsafePointer<Float>, dimension: Int, seekers: [Seekers], candidates: CandidateSet,
        shares: [Range<Int>], bothSides: Bool, product: any SimilarityProduct, threads: Int
    ) {
        let count = seekers.last?.anchors.upperBound ?? 0
        least = [Float](repeating: -.infinity, count: count)
        above = [Float](repeating: .infinity, count: count)
        room = (0..<count).flatMap { _ in shares.map(\.count) }
        let looked = min(32768, max(1024, candidates.count / 32))
        guard candidates.count >= 4 * looked else { return }

        func candidate(_ sample: Int) -> Int { sample * candidates.count / looked }
        /// The first sample at a position or beyond it.
        func sample(at position: Int) -> Int { (position * looked + candidates.count - 1) / candidates.count }
        let rows = [UnsafePointer<Float>](unsafeUninitializedCapacity: looked) { rows, filled in
            withUnsafeTemporaryAllocation(of: Int32.self, capacity: looked) { numbers in
                candidates.rows(at: (0..<looked).lazy.map { candidate($0) }, into: numbers.baseAddress!)
                candidates.memory.locate(numbers.lazy.map { Int($0) }, into: rows.baseAddress!)
            }
            filled = looked
        }
        let looks = seekers.compactMap { seekers in
            Look(
                for: seekers, of: candidates.count, looked: looked, bothSides: bothSides,
                excluded: sample(at: seekers.excluded.lowerBound)..<sample(at: seekers.excluded.upperBound),
                shareEnds: shares.map { sample(at: $0.upperBound) })
        }
        let measure = Measure(rows: rows, dimension: dimension, product: product)
        let group = max(1, Self.lookedBytes / (measure.stride * MemoryLayout<Float>.stride))
        let similarities = Scratch<Float>()
        let all = Shared(similarities.take(min(group, count) * measure.stride))
        var both = [Look.Limits](repeating: Look.Limits(), count: count)
        both.withUnsafeMutableBufferPointer { both in
            room.withUnsafeMutableBufferPointer { room in
                let limits = Shared((both: both.baseAddress!, room: room.baseAddress!))
                for first in stride(from: 0, to: count, by: group) {
                    let anchorsNow = first..<min(first + group, count)
                    measure.measure(
                        anchors + first * dimension, anchorsNow.count, threads: threads, into: all)
                    inParallel(anchorsNow.count, threads: threads) { range in
                        let selection = ExtremeSelection()
                        let range = first + range.lowerBound..<first + range.upperBound
                        for look in looks {
                            for anchor in look.anchors.clamped(to: range) {
                                limits.value.both[anchor] = look.limits(
                                    all.value + (anchor - first) * measure.stride, selection,
                                    room: limits.value.room + anchor * shares.count, shares)
                            }
                        }
                    }
                }
            }
        }
        least = both.map(\.least)
        above = both.map(\.above)
    }
}

/// Similarities with the candidates that are looked at.
///
/// `@unchecked Sendable` is sound because the pointed-to rows are only read.
private struct Measure: @unchecked Sendable {
    private static let chunk = 256

    let rows: [UnsafePointer<Float>]
    let dimension: Int
    let product: any SimilarityProduct

    /// Floats per anchor of their similarities.
    var stride: Int { (rows.count + Self.chunk - 1) / Self.chunk * Self.chunk }

    /// - Parameter all: `[count, stride]`
    func measure(
        _ anchors: UnsafePointer<Float>, _ count: Int, threads: Int, into all: Shared<UnsafeMutablePointer<Float>>
    ) {
        let chunk = min(Self.chunk, product.tile(anchors: count))
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
}

/// What is looked at for some anchors.
private struct Look {
    let anchors: Range<Int>
    /// So many candidates are looked at.
    private let count: Int
    /// Those that are none of these anchors', among all that are looked at.
    private let excluded: Range<Int>
    /// So many of the nearest are taken for the pool's, and so many of these lie above all doubt.
    private let taken: Int
    private let sure: Int
    /// How many candidates one that is looked at stands for.
    private let perSample: Float
    /// Where each share ends among those that are looked at.
    private let shareEnds: [Int]

    /// - Parameters:
    ///   - looked: of so many candidates, for all seekers together.
    ///   - excluded: those of them that are none of these seekers'.
    /// - Returns: nil where pools are too large a part of all candidates for a look to tell anything.
    init?(
        for seekers: Seekers, of candidates: Int, looked: Int, bothSides: Bool, excluded: Range<Int>, shareEnds: [Int]
    ) {
        count = looked - excluded.count
        let expected = Float(count) * Float(seekers.wanted) / Float(max(candidates - seekers.excluded.count, 1))
        // A binomial count's deviation is below the root of its mean; evenly spread candidates vary less.
        taken = Int(expected + 3.5 * expected.squareRoot()) + 4
        sure = bothSides ? max(0, Int(expected - 3.5 * expected.squareRoot()) - 4) : 0
        guard taken < count / 2 else { return nil }
        anchors = seekers.anchors
        perSample = Float(candidates) / Float(looked)
        self.excluded = excluded
        self.shareEnds = shareEnds.map { $0 - excluded.clamped(to: 0..<$0).count }
    }

    struct Limits {
        var least = -Float.infinity
        var above = Float.infinity
    }

    /// What an anchor's pool reaches, likely, by its similarities with those that are looked at.
    ///
    /// - Parameters:
    ///   - similarities: with all that are looked at; those with excluded ones are overwritten.
    ///   - room: gets how many of each share will lie between the limits, at most.
    func limits(
        _ similarities: UnsafeMutablePointer<Float>, _ selection: ExtremeSelection, room: UnsafeMutablePointer<Int>,
        _ shares: [Range<Int>]
    ) -> Limits {
        (similarities + excluded.lowerBound).update(
            from: similarities + excluded.upperBound, count: count - excluded.lowerBound)
        return withUnsafeTemporaryAllocation(of: Int32.self, capacity: taken) { nearest in
            func least(_ number: Int) -> Float {
                selection.select(number, of: similarities, count: count, into: nearest.baseAddress!)
                return nearest[..<number].reduce(.infinity) { min($0, similarities[Int($1)]) }
            }
            var limits = Limits()
            if sure > 0 { limits.above = least(sure) }
            limits.least = least(taken)
            var seen = 0
            for (share, end) in shareEnds.enumerated() {
                var hits: Float = 0
                while seen < taken, Int(nearest[seen]) < end {
                    if similarities[Int(nearest[seen])] < limits.above { hits += 1 }
                    seen += 1
                }
                room[share] = min(Int((hits + 4 * hits.squareRoot() + 8) * perSample), shares[share].count)
            }
            return limits
        }
    }
}
