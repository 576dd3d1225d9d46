import CVectors

/// Finds every anchor's pool: the `wanted` candidates that are most similar to it, ties by slot, exactly.
///
/// All candidates pass once, tile by tile, and their similarities are not kept: an anchor lists those that reach its limit,
/// which is a little more than its pool; of the list the pool is selected. Where the limit was wrong, so that a list is too
/// short or too long, that anchor looks at all candidates once more. So limits, like the number of threads, decide how long
/// it takes and nothing else.
final class PoolSearch {
    /// Most bytes of lists held at once. Where a memory is so large that a class's anchors exceed it, groups of them follow
    /// one another. A group looks at the whole memory, so fewer bytes cost more: half of them, half as much time again at
    /// Cityscapes' size.
    static let listLimit = 32 << 20
    var listLimit = PoolSearch.listLimit
    /// A slot and a similarity.
    static let entryBytes = 8

    private let product: any SimilarityProduct
    private let slots = Scratch<Int32>()
    private let similarities = Scratch<Float>()

    init(product: any SimilarityProduct) { self.product = product }

    /// - Parameters:
    ///   - anchors: `[count, D]`.
    ///   - wanted: at most as many as there are candidates.
    ///   - found: gets an anchor, its pool's slots, ascending, and their similarities; on several threads at once.
    func search(
        anchors: UnsafePointer<Float>, count: Int, dimension: Int, candidates: CandidateSet, wanted: Int,
        threads: Int,
        found: @Sendable (_ anchor: Int, _ slots: UnsafePointer<Int32>, _ similarities: UnsafePointer<Float>) -> Void
    ) {
        let tile = product.tile
        let tiles = (candidates.count + tile - 1) / tile
        let workers = max(1, min(threads, tiles))
        let shares = (0..<workers).map { worker in
            tiles * worker / workers * tile..<min(tiles * (worker + 1) / workers * tile, candidates.count)
        }
        let limits = SearchLimits(
            anchors: anchors, count: count, dimension: dimension, candidates: candidates, wanted: wanted,
            shares: shares,
            product: product, threads: threads)
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
                if end > first, entries * Self.entryBytes > listLimit { break }
                lists += next
                end += 1
            }
            let pass = Pass(
                anchors: anchors + first * dimension, dimension: dimension, candidates: candidates, product: product,
                least: Array(limits.least[first..<end]), shares: shares, wanted: wanted, slots: slots.take(entries),
                similarities: similarities.take(entries))
            let from = first
            lists.withUnsafeMutableBufferPointer { lists in
                let shared = Shared((pass: pass, lists: lists.baseAddress!))
                inParallel(workers, threads: threads) { range in
                    for share in range { shared.value.pass.fill(share, shared.value.lists) }
                }
                inParallel(end - from, threads: threads) { range in
                    let selection = ExtremeSelection()
                    for index in range {
                        shared.value.pass.select(index, shared.value.lists, selection) { found(from + index, $0, $1) }
                    }
                }
            }
            first = end
        }
    }
}

/// Where an anchor lists what it finds in a share of the candidates.
private struct List {
    /// In the lists' common memory.
    var start: Int
    var room: Int
    var count = 0
    var isComplete = true
}

/// One group of anchors and what they look at. Lists are given as `[anchor * shares + share]`.
private struct Pass {
    let anchors: UnsafePointer<Float>
    let dimension: Int
    let candidates: CandidateSet
    let product: any SimilarityProduct
    let least: [Float]
    let shares: [Range<Int>]
    let wanted: Int
    let slots: UnsafeMutablePointer<Int32>
    let similarities: UnsafeMutablePointer<Float>

    /// Lists what each anchor finds in a share.
    func fill(_ share: Int, _ lists: UnsafeMutablePointer<List>) {
        let tile = product.tile
        withUnsafeTemporaryAllocation(of: UnsafePointer<Float>.self, capacity: tile) { rows in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: least.count * tile) { found in
                for start in stride(from: shares[share].lowerBound, to: shares[share].upperBound, by: tile) {
                    let positions = start..<min(start + tile, shares[share].upperBound)
                    candidates.locate(positions, into: rows.baseAddress!)
                    product.compute(
                        anchors: anchors, count: least.count, dimension: dimension, rows: rows.baseAddress!,
                        rowCount: positions.count, into: found.baseAddress!, stride: tile)
                    for anchor in least.indices {
                        let list = lists + anchor * shares.count + share
                        list.pointee.isComplete =
                            list.pointee.isComplete
                            && list.pointee.count + positions.count + 16 <= list.pointee.room
                        guard list.pointee.isComplete else { continue }
                        let end = list.pointee.start + list.pointee.count
                        list.pointee.count += cv_beyond(
                            found.baseAddress! + anchor * tile, positions.count, least[anchor], 0, Int32(start),
                            slots + end, similarities + end)
                    }
                }
            }
        }
    }

    /// Selects an anchor's pool from its lists, or from all candidates where these do not hold it.
    func select(
        _ anchor: Int, _ lists: UnsafeMutablePointer<List>, _ selection: ExtremeSelection,
        found: (UnsafePointer<Int32>, UnsafePointer<Float>) -> Void
    ) {
        let own = UnsafeBufferPointer(start: lists + anchor * shares.count, count: shares.count)
        let start = own[0].start
        var count = 0
        for list in own {
            // Shares follow one another in the lists' memory as among the candidates.
            if start + count != list.start {
                (slots + start + count).update(from: slots + list.start, count: list.count)
                (similarities + start + count).update(from: similarities + list.start, count: list.count)
            }
            count += list.count
        }
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: wanted) { chosen in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: wanted) { kept in
                let chosen = chosen.baseAddress!
                let kept = kept.baseAddress!
                if own.allSatisfy(\.isComplete), count >= wanted {
                    let similarities = similarities + start
                    selection.select(wanted, of: similarities, count: count, into: chosen)
                    for i in 0..<wanted {
                        kept[i] = similarities[Int(chosen[i])]
                        chosen[i] = slots[start + Int(chosen[i])]
                    }
                } else {
                    withSimilarities(of: anchor) { all in
                        selection.select(wanted, of: all, count: candidates.count, into: chosen)
                        for i in 0..<wanted { kept[i] = all[Int(chosen[i])] }
                    }
                }
                found(chosen, kept)
            }
        }
    }

    /// An anchor's similarities with all candidates.
    private func withSimilarities(of anchor: Int, _ body: (UnsafePointer<Float>) -> Void) {
        withUnsafeTemporaryAllocation(of: UnsafePointer<Float>.self, capacity: candidates.count) { rows in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: candidates.count + product.tile) { all in
                candidates.locate(0..<candidates.count, into: rows.baseAddress!)
                for start in stride(from: 0, to: candidates.count, by: product.tile) {
                    product.compute(
                        anchors: anchors + anchor * dimension, count: 1, dimension: dimension,
                        rows: rows.baseAddress! + start, rowCount: min(product.tile, candidates.count - start),
                        into: all.baseAddress! + start, stride: product.tile)
                }
                body(all.baseAddress!)
            }
        }
    }
}
