/// What was drawn for each anchor of a ticket: candidates, ascending, with their vectors, similarities and gradient weights.
///
/// Every anchor of a class draws equally many, so the table is a rectangle.
final class SampleTable {
    private let positions = Scratch<Int32>()
    private let vectors = Scratch<UnsafePointer<Float>>()
    private let similarities = Scratch<Float>()
    private let weights = Scratch<Float>()
    private(set) var rows = SampleRows(perAnchor: 0, positions: nil, vectors: nil, similarities: nil, weights: nil)

    func reset(anchors: Int, perAnchor: Int) {
        let entries = anchors * perAnchor
        rows = SampleRows(
            perAnchor: perAnchor, positions: positions.take(entries), vectors: vectors.take(entries),
            similarities: similarities.take(entries), weights: weights.take(entries))
    }
}

/// The table's memory, for threads that each work on anchors of their own.
struct SampleRows {
    let perAnchor: Int
    private let positionBase: UnsafeMutablePointer<Int32>?
    private let vectorBase: UnsafeMutablePointer<UnsafePointer<Float>>?
    private let similarityBase: UnsafeMutablePointer<Float>?
    private let weightBase: UnsafeMutablePointer<Float>?

    init(
        perAnchor: Int, positions: UnsafeMutablePointer<Int32>?, vectors: UnsafeMutablePointer<UnsafePointer<Float>>?,
        similarities: UnsafeMutablePointer<Float>?, weights: UnsafeMutablePointer<Float>?
    ) {
        self.perAnchor = perAnchor
        positionBase = positions
        vectorBase = vectors
        similarityBase = similarities
        weightBase = weights
    }

    func positions(_ anchor: Int) -> UnsafeMutablePointer<Int32> { positionBase! + anchor * perAnchor }
    /// Where the candidates lie.
    func vectors(_ anchor: Int) -> UnsafeMutablePointer<UnsafePointer<Float>> { vectorBase! + anchor * perAnchor }
    func similarities(_ anchor: Int) -> UnsafeMutablePointer<Float> { similarityBase! + anchor * perAnchor }
    func weights(_ anchor: Int) -> UnsafeMutablePointer<Float> { weightBase! + anchor * perAnchor }

    /// Notes where an anchor's candidates lie, once their positions are known.
    func locate(_ anchor: Int, _ candidates: CandidateSet) {
        let positions = UnsafeBufferPointer(start: positions(anchor), count: perAnchor)
        candidates.locate(positions.lazy.map { Int($0) }, into: vectors(anchor))
    }

    /// Visits every entry of some anchors, each anchor's in ascending order, but block of candidates by block: anchors of
    /// one class share many candidates, which stay in the cache that way.
    ///
    /// - Parameters:
    ///   - candidates: how many there are.
    ///   - body: gets an anchor and those of its entries that lie in a block.
    @inline(__always) func forEachBlock(
        in anchors: Range<Int>, candidates: Int, _ body: (_ anchor: Int, _ entries: Range<Int>) -> Void
    ) {
        // 512 KiB of embeddings at D = 256, half an L2 cache; but where that holds few of an anchor's entries, few are shared.
        let block = max(512, 8 * candidates / max(perAnchor, 1))
        var next = [Int](repeating: 0, count: anchors.count)
        for end in stride(from: block, to: candidates + block, by: block) {
            for anchor in anchors {
                let positions = self.positions(anchor)
                let first = next[anchor - anchors.lowerBound]
                var entry = first
                while entry < perAnchor, Int(positions[entry]) < end { entry += 1 }
                next[anchor - anchors.lowerBound] = entry
                if entry > first { body(anchor, first..<entry) }
            }
        }
    }
}
