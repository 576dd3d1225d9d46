import CVectors

/// Anchors that follow one another and seek alike.
struct Seekers {
    var anchors: Range<Int>
    /// Size of each one's pool; at most as many as there are candidates for it, at least 1.
    var wanted: Int
    /// How many of its pool will be asked for.
    var drawn: Int
    /// Positions of the candidates that are none of theirs.
    var excluded = 0..<0
}

/// Finds every anchor's pool: the candidates that are most similar to it, so many as are wanted, ties by position, exactly.
///
/// All candidates pass once, tile by tile, and their similarities are not kept: an anchor lists those that reach its limit,
/// which is a little more than its pool; of the list the pool is selected. Where lists of all anchors are far too long, an
/// anchor has a second limit, above which all is in its pool: such candidates get a bit each, and only what lies between the
/// limits is listed; similarities of what is drawn are then computed once more. Where a limit was wrong, so that a list is too
/// short or too long, that anchor looks at all candidates once more. So limits, like the number of threads and who seeks
/// together, decide how long it takes and nothing else.
final class PoolSearch {
    /// Most bytes of lists held at once. Where anchors exceed it, groups of them follow one another, each of which looks at the
    /// whole memory.
    var listLimit = 28 << 20
    /// From so many groups on, anchors have the second limit: one more group costs about a thirtieth of the products, the second
    /// limit costs measuring what is drawn anchor by anchor. Both took the same time at six to eight.
    private static let mostPasses = 6
    /// A position and a similarity.
    static let entryBytes = 8

    private let product: any SimilarityProduct
    private let positions = Scratch<Int32>()
    private let similarities = Scratch<Float>()
    private let bits = Scratch<UInt32>()

    init(product: any SimilarityProduct) { self.product = product }

    /// - Parameters:
    ///   - anchors: `[count, D]`, those of all seekers.
    ///   - seekers: their anchors follow one another from 0 on.
    ///   - found: gets an anchor and its pool; on several threads at once.
    func search(
        anchors: UnsafePointer<Float>, dimension: Int, seekers: [Seekers], candidates: CandidateSet, threads: Int,
        found: @Sendable (_ anchor: Int, _ pool: FoundPool) -> Void
    ) {
        let count = seekers.last?.anchors.upperBound ?? 0
        // Lists are about so much longer than pools.
        let listed = seekers.reduce(0) { $0 + $1.anchors.count * $1.wanted } * Self.entryBytes * 3 / 2
        let listLimit = max(listLimit, 1)
        let usesBits =
            listed / listLimit >= Self.mostPasses && seekers.allSatisfy { 16 * $0.drawn <= candidates.count }
        let words = usesBits ? (candidates.count + 31) / 32 : 0
        let passes = (usesBits ? listed / 4 + count * words * 4 : listed) / listLimit + 1
        let tile = product.tile(anchors: (count + passes - 1) / passes)
        let tiles = (candidates.count + tile - 1) / tile
        let workers = max(1, min(threads, tiles))
        let shares = (0..<workers).map { worker in
            tiles * worker / workers * tile..<min(tiles * (worker + 1) / workers * tile, candidates.count)
        }
        let limits = SearchLimits(
            anchors: anchors, dimension: dimension, seekers: seekers, candidates: candidates, shares: shares,
            bothSides: usesBits, product: product, threads: threads)
        var first = 0
        while first < count {
            var lists: [List] = []
            var entries = 0
            var end = first
            while end < count {
                var next: [List] = []
                for share in 0..<workers {
                    // A tile goes in only where there is room for all of it.
                    let room = limits.room[end * workers + share] + tile + 16
                    next.append(List(start: entries, room: room))
                    entries += room
                }
                let bytes = entries * Self.entryBytes + (end + 1 - first) * words * 4
                if end > first, bytes > listLimit { break }
                lists += next
                end += 1
            }
            let pass = SearchPass(
                anchors: anchors, dimension: dimension, candidates: candidates, product: product, tile: tile,
                first: first, limits: limits, shares: shares,
                seekers: seekers.map { seekers in
                    var part = seekers
                    part.anchors = seekers.anchors.clamped(to: first..<end)
                    return part
                }.filter { !$0.anchors.isEmpty },
                positions: positions.take(entries), similarities: similarities.take(entries), words: words,
                bits: usesBits ? bits.take((end - first) * words) : nil)
            lists.withUnsafeMutableBufferPointer { lists in
                let shared = Shared((pass: pass, lists: lists.baseAddress!))
                inParallel(workers, threads: threads) { range in
                    for share in range { shared.value.pass.fill(share, shared.value.lists) }
                }
                inParallel(end - first, threads: threads) { range in
                    let (pass, lists) = shared.value
                    let range = pass.first + range.lowerBound..<pass.first + range.upperBound
                    let selection = ExtremeSelection()
                    for seekers in pass.seekers {
                        for anchor in seekers.anchors.clamped(to: range) {
                            pass.select(anchor, seekers, lists, selection) { found(anchor, $0) }
                        }
                    }
                }
            }
            first = end
        }
    }
}
