import CVectors

/// Anchors that follow one another and seek alike.
struct Seekers {
    var anchors: Range<Int>
    /// Size of each one's pool; at most as many as there are candidates for it, at least 1.
    var wanted: Int
    /// Positions of the candidates that are none of theirs.
    var excluded = 0..<0
}

/// Finds every anchor's pool: the candidates that are most similar to it, so many as are wanted, ties by position, exactly.
///
/// All candidates pass once, tile by tile, and their similarities are not kept: an anchor lists those that reach its limit,
/// which is a little more than its pool; of the list the pool is selected. Where the limit was wrong, so that a list is too
/// short or too long, that anchor looks at all candidates once more. So limits, like the number of threads and who seeks
/// together, decide how long it takes and nothing else.
final class PoolSearch {
    /// Most bytes of lists held at once. Where a memory is so large that the anchors exceed it, groups of them follow one
    /// another. A group looks at the whole memory, so fewer bytes cost more: half of them, half as much time again at
    /// Cityscapes' size.
    static let listLimit = 32 << 20
    var listLimit = PoolSearch.listLimit
    /// A position and a similarity.
    static let entryBytes = 8

    private let product: any SimilarityProduct
    private let positions = Scratch<Int32>()
    private let similarities = Scratch<Float>()

    init(product: any SimilarityProduct) { self.product = product }

    /// - Parameters:
    ///   - anchors: `[count, D]`, those of all seekers.
    ///   - seekers: their anchors follow one another from 0 on.
    ///   - found: gets an anchor, its pool's positions, ascending, and their similarities; on several threads at once.
    func search(
        anchors: UnsafePointer<Float>, dimension: Int, seekers: [Seekers], candidates: CandidateSet, threads: Int,
        found: @Sendable (_ anchor: Int, _ pool: Pool) -> Void
    ) {
        let count = seekers.last?.anchors.upperBound ?? 0
        let tile = product.tile(anchors: count)
        let tiles = (candidates.count + tile - 1) / tile
        let workers = max(1, min(threads, tiles))
        let shares = (0..<workers).map { worker in
            tiles * worker / workers * tile..<min(tiles * (worker + 1) / workers * tile, candidates.count)
        }
        let limits = SearchLimits(
            anchors: anchors, dimension: dimension, seekers: seekers, candidates: candidates, shares: shares,
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
                anchors: anchors, dimension: dimension, candidates: candidates, product: product, tile: tile,
                first: first, least: limits.least, shares: shares,
                seekers: seekers.map { seekers in
                    var part = seekers
                    part.anchors = seekers.anchors.clamped(to: first..<end)
                    return part
                }.filter { !$0.anchors.isEmpty },
                positions: positions.take(entries), similarities: similarities.take(entries))
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

    /// One anchor's pool.
    struct Pool {
        var positions: UnsafePointer<Int32>
        var similarities: UnsafePointer<Float>
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

/// One group of anchors and what they look at. Lists are given as `[(anchor - first) * shares + share]`.
private struct Pass {
    let anchors: UnsafePointer<Float>
    let dimension: Int
    let candidates: CandidateSet
    let product: any SimilarityProduct
    let tile: Int
    /// The group's first anchor.
    let first: Int
    /// Of all anchors.
    let least: [Float]
    let shares: [Range<Int>]
    /// The group's.
    let seekers: [Seekers]
    let positions: UnsafeMutablePointer<Int32>
    let similarities: UnsafeMutablePointer<Float>

    /// Lists what each anchor finds in a share.
    func fill(_ share: Int, _ lists: UnsafeMutablePointer<List>) {
        let count = (seekers.last?.anchors.upperBound ?? first) - first
        withUnsafeTemporaryAllocation(of: UnsafePointer<Float>.self, capacity: tile) { rows in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: count * tile) { found in
                for start in stride(from: shares[share].lowerBound, to: shares[share].upperBound, by: tile) {
                    let positions = start..<min(start + tile, shares[share].upperBound)
                    candidates.locate(positions, into: rows.baseAddress!)
                    for run in runs(lookingAt: positions) {
                        product.compute(
                            anchors: anchors + run.lowerBound * dimension, count: run.count, dimension: dimension,
                            rows: rows.baseAddress!, rowCount: positions.count,
                            into: found.baseAddress! + (run.lowerBound - first) * tile, stride: tile)
                    }
                    for seekers in seekers {
                        for part in seekers.parts(of: positions) {
                            list(part, of: positions, for: seekers, share, lists, found.baseAddress!)
                        }
                    }
                }
            }
        }
    }

    /// Anchors that follow one another and of which each may find something at some positions.
    private func runs(lookingAt positions: Range<Int>) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        for seekers in seekers where !seekers.parts(of: positions).isEmpty {
            if let last = runs.last, last.upperBound == seekers.anchors.lowerBound {
                runs[runs.count - 1] = last.lowerBound..<seekers.anchors.upperBound
            } else {
                runs.append(seekers.anchors)
            }
        }
        return runs
    }

    /// Lists what anchors find in a part of a tile.
    private func list(
        _ part: Range<Int>, of positions: Range<Int>, for seekers: Seekers, _ share: Int,
        _ lists: UnsafeMutablePointer<List>, _ found: UnsafePointer<Float>
    ) {
        for anchor in seekers.anchors {
            let list = lists + (anchor - first) * shares.count + share
            list.pointee.isComplete =
                list.pointee.isComplete && list.pointee.count + part.count + 16 <= list.pointee.room
            guard list.pointee.isComplete else { continue }
            let end = list.pointee.start + list.pointee.count
            list.pointee.count += cv_beyond(
                found + (anchor - first) * tile + (part.lowerBound - positions.lowerBound), part.count, least[anchor],
                0, Int32(part.lowerBound), self.positions + end, similarities + end)
        }
    }

    /// Selects an anchor's pool from its lists, or from all candidates where these do not hold it.
    func select(
        _ anchor: Int, _ seekers: Seekers, _ lists: UnsafeMutablePointer<List>, _ selection: ExtremeSelection,
        found: (PoolSearch.Pool) -> Void
    ) {
        let own = UnsafeBufferPointer(start: lists + (anchor - first) * shares.count, count: shares.count)
        let start = own[0].start
        let wanted = seekers.wanted
        var count = 0
        for list in own {
            // Shares follow one another in the lists' memory as among the candidates.
            if start + count != list.start {
                (positions + start + count).update(from: positions + list.start, count: list.count)
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
                        chosen[i] = positions[start + Int(chosen[i])]
                    }
                } else {
                    withSimilarities(of: anchor, seekers) { all in
                        selection.select(
                            wanted, of: all, count: candidates.count - seekers.excluded.count, into: chosen)
                        for i in 0..<wanted {
                            kept[i] = all[Int(chosen[i])]
                            if Int(chosen[i]) >= seekers.excluded.lowerBound {
                                chosen[i] += Int32(seekers.excluded.count)
                            }
                        }
                    }
                }
                found(PoolSearch.Pool(positions: chosen, similarities: kept))
            }
        }
    }

    /// An anchor's similarities with all candidates that are its own.
    private func withSimilarities(of anchor: Int, _ seekers: Seekers, _ body: (UnsafePointer<Float>) -> Void) {
        withUnsafeTemporaryAllocation(of: UnsafePointer<Float>.self, capacity: candidates.count) { rows in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: candidates.count + tile) { all in
                candidates.locate(0..<candidates.count, into: rows.baseAddress!)
                for start in stride(from: 0, to: candidates.count, by: tile) {
                    product.compute(
                        anchors: anchors + anchor * dimension, count: 1, dimension: dimension,
                        rows: rows.baseAddress! + start, rowCount: min(tile, candidates.count - start),
                        into: all.baseAddress! + start, stride: tile)
                }
                let excluded = seekers.excluded
                (all.baseAddress! + excluded.lowerBound).update(
                    from: all.baseAddress! + excluded.upperBound, count: candidates.count - excluded.upperBound)
                body(all.baseAddress!)
            }
        }
    }
}

extension Seekers {
    /// What of some positions is these anchors' own.
    fileprivate func parts(of positions: Range<Int>) -> [Range<Int>] {
        [
            positions.lowerBound..<max(positions.lowerBound, min(excluded.lowerBound, positions.upperBound)),
            min(positions.upperBound, max(excluded.upperBound, positions.lowerBound))..<positions.upperBound,
        ].filter { !$0.isEmpty }
    }
}
