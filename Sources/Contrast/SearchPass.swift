import CVectors

/// Where an anchor lists what it finds in a share of the candidates.
struct List {
    /// In the lists' common memory.
    var start: Int
    var room: Int
    var count = 0
    var isComplete = true
}

/// One anchor's pool, as far as it is needed.
struct FoundPool {
    fileprivate enum Kind {
        /// Positions, ascending, and their similarities.
        case listed(UnsafePointer<Int32>, UnsafePointer<Float>)
        /// A bit for each candidate.
        case marked(UnsafePointer<UInt32>)
    }

    fileprivate let kind: Kind
    fileprivate let pass: SearchPass
    fileprivate let anchor: Int

    /// Writes those of some ranks in the pool's own order, which is that of positions, and their similarities.
    ///
    /// - Parameters:
    ///   - ranks: ascending.
    ///   - positions, similarities: room for as many.
    func take(
        _ ranks: [Int], positions: UnsafeMutablePointer<Int32>, similarities: UnsafeMutablePointer<Float>
    ) {
        switch kind {
        case .listed(let all, let values):
            for (i, rank) in ranks.enumerated() {
                positions[i] = all[rank]
                similarities[i] = values[rank]
            }
        case .marked(let bits):
            var word = 0
            var before = 0
            for (i, rank) in ranks.enumerated() {
                while before + bits[word].nonzeroBitCount <= rank {
                    before += bits[word].nonzeroBitCount
                    word += 1
                }
                var left = bits[word]
                for _ in 0..<rank - before { left &= left - 1 }
                positions[i] = Int32(truncatingIfNeeded: 32 * word + left.trailingZeroBitCount)
            }
            pass.measure(anchor, positions, ranks.count, into: similarities)
        }
    }
}

/// One group of anchors and what they look at. Lists are given as `[(anchor - first) * shares + share]`.
struct SearchPass {
    let anchors: UnsafePointer<Float>
    let dimension: Int
    let candidates: CandidateSet
    let product: any SimilarityProduct
    let tile: Int
    /// The group's first anchor.
    let first: Int
    /// Of all anchors.
    let limits: SearchLimits
    let shares: [Range<Int>]
    /// The group's.
    let seekers: [Seekers]
    let positions: UnsafeMutablePointer<Int32>
    let similarities: UnsafeMutablePointer<Float>
    /// Of an anchor's bits.
    let words: Int
    /// What is in each anchor's pool for sure, `[anchor - first, words]`; nil where all is listed.
    let bits: UnsafeMutablePointer<UInt32>?

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
                        list(positions, for: seekers, share, lists, found.baseAddress!)
                    }
                }
            }
        }
    }

    /// Anchors that follow one another and of which each may find something at some positions.
    private func runs(lookingAt positions: Range<Int>) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        for seekers in seekers where seekers.excluded.clamped(to: positions) != positions {
            if let last = runs.last, last.upperBound == seekers.anchors.lowerBound {
                runs[runs.count - 1] = last.lowerBound..<seekers.anchors.upperBound
            } else {
                runs.append(seekers.anchors)
            }
        }
        return runs
    }

    /// Lists what anchors find in a tile.
    private func list(
        _ positions: Range<Int>, for seekers: Seekers, _ share: Int, _ lists: UnsafeMutablePointer<List>,
        _ found: UnsafeMutablePointer<Float>
    ) {
        let excluded = seekers.excluded.clamped(to: positions)
        for anchor in seekers.anchors {
            let list = lists + (anchor - first) * shares.count + share
            list.pointee.isComplete =
                list.pointee.isComplete && list.pointee.count + positions.count + 16 <= list.pointee.room
            guard list.pointee.isComplete else { continue }
            let values = found + (anchor - first) * tile
            // No number reaches any limit.
            (values + (excluded.lowerBound - positions.lowerBound)).update(repeating: .nan, count: excluded.count)
            let end = list.pointee.start + list.pointee.count
            let least = limits.least[anchor]
            let first = Int32(truncatingIfNeeded: positions.lowerBound)
            if let bits {
                list.pointee.count += cv_split(
                    values, positions.count, least, limits.above[anchor], first,
                    bits + (anchor - self.first) * words + positions.lowerBound / 32, self.positions + end,
                    similarities + end)
            } else {
                list.pointee.count += cv_beyond(
                    values, positions.count, least, 0, first, self.positions + end, similarities + end)
            }
        }
    }

    /// Selects an anchor's pool from its lists, or from all candidates where these do not hold it.
    func select(
        _ anchor: Int, _ seekers: Seekers, _ lists: UnsafeMutablePointer<List>, _ selection: ExtremeSelection,
        found: (FoundPool) -> Void
    ) {
        let own = UnsafeBufferPointer(start: lists + (anchor - first) * shares.count, count: shares.count)
        let start = own[0].start
        var count = 0
        for list in own {
            // Shares follow one another in the lists' memory as among the candidates.
            if start + count != list.start {
                (positions + start + count).update(from: positions + list.start, count: list.count)
                (similarities + start + count).update(from: similarities + list.start, count: list.count)
            }
            count += list.count
        }
        let positions = positions + start
        let similarities = similarities + start
        let marks = bits.map { $0 + (anchor - first) * words }
        let sure = marks.map { marks in (0..<words).reduce(0) { $0 + marks[$1].nonzeroBitCount } } ?? 0
        let wanted = seekers.wanted - sure
        let isThere = own.allSatisfy(\.isComplete) && 0...count ~= wanted
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: isThere ? wanted : seekers.wanted) { chosen in
            let chosen = chosen.baseAddress!
            if isThere {
                selection.select(wanted, of: similarities, count: count, into: chosen)
                if let marks {
                    for i in 0..<wanted {
                        let position = Int(positions[Int(chosen[i])])
                        marks[position / 32] |= 1 << UInt32(position % 32)
                    }
                    found(FoundPool(kind: .marked(marks), pass: self, anchor: anchor))
                } else {
                    // In place: what is chosen never lies before where it goes.
                    for i in 0..<wanted {
                        similarities[i] = similarities[Int(chosen[i])]
                        positions[i] = positions[Int(chosen[i])]
                    }
                    found(FoundPool(kind: .listed(positions, similarities), pass: self, anchor: anchor))
                }
            } else {
                withSimilarities(of: anchor, seekers) { all in
                    let available = candidates.count - seekers.excluded.count
                    selection.select(seekers.wanted, of: all, count: available, into: chosen)
                    for i in 0..<seekers.wanted {
                        all[i] = all[Int(chosen[i])]
                        if Int(chosen[i]) >= seekers.excluded.lowerBound {
                            chosen[i] += Int32(seekers.excluded.count)
                        }
                    }
                    found(FoundPool(kind: .listed(chosen, all), pass: self, anchor: anchor))
                }
            }
        }
    }

    /// An anchor's similarities with all candidates that are its own.
    private func withSimilarities(
        of anchor: Int, _ seekers: Seekers, _ body: (UnsafeMutablePointer<Float>) -> Void
    ) {
        withUnsafeTemporaryAllocation(of: UnsafePointer<Float>.self, capacity: candidates.count) { rows in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: candidates.count + tile) { all in
                candidates.locate(0..<candidates.count, into: rows.baseAddress!)
                measure(anchor, rows.baseAddress!, candidates.count, into: all.baseAddress!)
                let excluded = seekers.excluded
                (all.baseAddress! + excluded.lowerBound).update(
                    from: all.baseAddress! + excluded.upperBound, count: candidates.count - excluded.upperBound)
                body(all.baseAddress!)
            }
        }
    }

    /// An anchor's similarities with the candidates at some positions, ascending.
    fileprivate func measure(
        _ anchor: Int, _ positions: UnsafePointer<Int32>, _ count: Int, into result: UnsafeMutablePointer<Float>
    ) {
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: count) { numbers in
            withUnsafeTemporaryAllocation(of: UnsafePointer<Float>.self, capacity: count) { rows in
                withUnsafeTemporaryAllocation(of: Float.self, capacity: count + tile) { all in
                    candidates.rows(
                        at: UnsafeBufferPointer(start: positions, count: count).lazy.map { Int($0) },
                        into: numbers.baseAddress!)
                    candidates.memory.locate(numbers.lazy.map { Int($0) }, into: rows.baseAddress!)
                    measure(anchor, rows.baseAddress!, count, into: all.baseAddress!)
                    result.update(from: all.baseAddress!, count: count)
                }
            }
        }
    }

    /// - Parameter result: room for a tile more.
    private func measure(
        _ anchor: Int, _ rows: UnsafePointer<UnsafePointer<Float>>, _ count: Int,
        into result: UnsafeMutablePointer<Float>
    ) {
        for start in stride(from: 0, to: count, by: tile) {
            product.compute(
                anchors: anchors + anchor * dimension, count: 1, dimension: dimension, rows: rows + start,
                rowCount: min(tile, count - start), into: result + start, stride: tile)
        }
    }
}
