/// What was drawn for each anchor of a batch on one side: rows of the memory, ascending, with their similarities and gradient
/// weights.
final class SampleTable {
    /// Of an entry: a row's number, a similarity, a weight.
    static let entryBytes = 12

    private let rows = Scratch<Int32>()
    private let similarities = Scratch<Float>()
    private let weights = Scratch<Float>()
    private(set) var samples = Samples(starts: [0], rows: nil, similarities: nil, weights: nil)

    /// - Parameter counts: how many each anchor draws.
    func reset(_ counts: some Sequence<Int>) {
        var starts = [0]
        for count in counts { starts.append(starts.last! + count) }
        let entries = starts.last!
        samples = Samples(
            starts: starts, rows: rows.take(entries), similarities: similarities.take(entries),
            weights: weights.take(entries))
    }
}

/// The table's memory, for threads that each work on anchors of their own.
///
/// `@unchecked Sendable` is sound because of that.
struct Samples: @unchecked Sendable {
    /// Where each anchor's entries begin, and the last one's end.
    private let starts: [Int]
    private let rowBase: UnsafeMutablePointer<Int32>?
    private let similarityBase: UnsafeMutablePointer<Float>?
    private let weightBase: UnsafeMutablePointer<Float>?

    init(
        starts: [Int], rows: UnsafeMutablePointer<Int32>?, similarities: UnsafeMutablePointer<Float>?,
        weights: UnsafeMutablePointer<Float>?
    ) {
        self.starts = starts
        rowBase = rows
        similarityBase = similarities
        weightBase = weights
    }

    func count(_ anchor: Int) -> Int { starts[anchor + 1] - starts[anchor] }
    func rows(_ anchor: Int) -> UnsafeMutableBufferPointer<Int32> {
        UnsafeMutableBufferPointer(start: rowBase! + starts[anchor], count: count(anchor))
    }
    func similarities(_ anchor: Int) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(start: similarityBase! + starts[anchor], count: count(anchor))
    }
    func weights(_ anchor: Int) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(start: weightBase! + starts[anchor], count: count(anchor))
    }

    /// Visits every entry of some anchors, each anchor's in ascending order, but block of rows by block: anchors share many
    /// rows, which stay in the cache that way.
    ///
    /// - Parameter body: gets an anchor, those of its entries that lie in a block, and where their rows lie.
    @inline(__always) func forEachBlock(
        of memory: MemoryRows, anchors: some RandomAccessCollection<Int>,
        _ body: (_ anchor: Int, _ entries: Range<Int>, _ vectors: UnsafePointer<UnsafePointer<Float>>) -> Void
    ) {
        guard let first = anchors.first, let last = anchors.last else { return }
        // 512 KiB of embeddings at D = 256, half an L2 cache; but where that holds few of an anchor's entries, few are shared.
        let each = (starts[last + 1] - starts[first]) / anchors.count
        let size = max(512, 8 * memory.count / max(each, 1))
        var next = anchors.map { starts[$0] }
        withUnsafeTemporaryAllocation(of: UnsafePointer<Float>.self, capacity: 2 * size) { vectors in
            let block = vectors.baseAddress!
            let found = block + size
            for start in stride(from: 0, to: memory.count, by: size) {
                let end = min(start + size, memory.count)
                memory.locate(start..<end, into: block)
                for (place, anchor) in anchors.enumerated() {
                    var entry = next[place]
                    var count = 0
                    while entry < starts[anchor + 1], Int(rowBase![entry]) < end {
                        found[count] = block[Int(rowBase![entry]) - start]
                        count += 1
                        entry += 1
                    }
                    guard count > 0 else { continue }
                    let from = next[place] - starts[anchor]
                    body(anchor, from..<from + count, found)
                    next[place] = entry
                }
            }
        }
    }
}
