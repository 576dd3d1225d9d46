import CVectors

/// Samples, synthesises, and returns loss and gradient for one class's anchors at a time.
///
/// Equal inputs give equal bytes, however many threads share the work. Keeps its working memory between calls, so one owner
/// calls it.
public final class Miner {
    let poolSearch: PoolSearch

    private let turnedAround = Scratch<Float>()
    private let positives = SampleTable()
    private let negatives = SampleTable()

    /// - Parameter product: computes the similarities that a search looks at.
    public init(product: any SimilarityProduct = VectorProduct()) {
        poolSearch = PoolSearch(product: product)
    }

    /// - Parameter threads: that share the work; each of its phases ends for all of them together, so two tickets side by
    ///   side on a thread each (`MinerCrew`) are done sooner than one after the other on two.
    /// - Throws: `ContrastError` for settings out of range, anchors that are no unit vectors or do not fill rows;
    ///   `MemoryError` for a class or dimension that the memory does not have.
    public func mine(_ input: MiningInput, memory: Memory, threads: Int = 1) throws -> MiningOutput {
        let dimension = input.dimension
        guard dimension == memory.shape.dimension else {
            throw MemoryError.dimensionMismatch(memory: memory.shape.dimension, given: dimension)
        }
        guard input.classID.index < memory.shape.classes else {
            throw MemoryError.classOutOfRange(input.classID, classes: memory.shape.classes)
        }
        guard input.anchors.count % dimension == 0 else {
            throw ContrastError.shape("\(input.anchors.count) numbers are no whole number of anchors of \(dimension)")
        }
        guard input.keys.count == input.anchorCount else {
            throw ContrastError.shape("\(input.keys.count) keys for \(input.anchorCount) anchors")
        }
        guard input.temperature > 0, input.temperature.isFinite else {
            throw ContrastError.setting("contrast.temperature \(input.temperature) must be positive")
        }
        if let bad = input.anchors.withUnsafeBufferPointer({ firstRowOffUnitLength($0, dimension: dimension) }) {
            throw ContrastError.notUnit(what: "anchor", row: bad.row, squaredLength: bad.squaredLength)
        }
        let sampler = try Sampler(input.sampler, seed: input.seed)
        let synthesis = try Synthesis(input.synthesis, seed: input.seed)

        return withExtendedLifetime(memory) {
            let all = (0..<memory.shape.classes).map { ClassID($0) }
            let limit = input.sampler.candidates
            let own = CandidateSet(memory: memory, classes: [input.classID], limit: limit, seed: input.seed)
            let others = CandidateSet(
                memory: memory, classes: all.filter { $0 != input.classID }, limit: limit, seed: input.seed)
            var output = MiningOutput.nothing(anchors: input.anchorCount, dimension: dimension)
            guard sampler.drawCount(.positives, available: own.count) > 0,
                sampler.drawCount(.negatives, available: others.count) > 0, input.anchorCount > 0
            else { return output }
            sample(input, sampler, own, others, threads)
            evaluate(input, synthesis, own.count, others.count, threads, &output)
            return output
        }
    }

    /// About how many bytes of lists a ticket's search holds: those of its negatives' pools, which are the largest.
    static func listedBytes(_ input: MiningInput, memory: Memory) -> Int {
        guard let sampler = try? Sampler(input.sampler, seed: input.seed) else { return 0 }
        let available = (0..<memory.shape.classes).filter { $0 != input.classID.index }.reduce(0) { sum, index in
            let filled = MemoryPart.allCases.reduce(0) { $0 + memory.filled(ClassID(index), $1) }
            return sum + min(filled, input.sampler.candidates ?? filled)
        }
        guard sampler.needsSimilarities(.negatives, available: available) else { return 0 }
        let entries = input.anchorCount * sampler.poolSize(.negatives, available: available)
        return min(entries * PoolSearch.entryBytes, PoolSearch.listLimit)
    }

    /// Fills both tables: who is sampled, and with what similarity.
    private func sample(
        _ input: MiningInput, _ sampler: Sampler, _ own: CandidateSet, _ others: CandidateSet, _ threads: Int
    ) {
        input.anchors.withUnsafeBufferPointer { anchors in
            for (side, candidates, table) in [
                (Sampler.Side.positives, own, positives), (.negatives, others, negatives),
            ] {
                table.reset(anchors: input.anchorCount, perAnchor: sampler.drawCount(side, available: candidates.count))
                if sampler.needsSimilarities(side, available: candidates.count) {
                    sampleBySimilarity(anchors.baseAddress!, input, sampler, side, candidates, table, threads)
                } else {
                    sampleBlindly(anchors.baseAddress!, input, sampler, side, candidates, table, threads)
                }
            }
        }
    }

    private func sampleBySimilarity(
        _ anchors: UnsafePointer<Float>, _ input: MiningInput, _ sampler: Sampler, _ side: Sampler.Side,
        _ candidates: CandidateSet, _ table: SampleTable, _ threads: Int
    ) {
        let count = input.anchorCount
        let dimension = input.dimension
        // The farthest of all are the nearest to the anchor's opposite, and their similarities differ in sign alone.
        let sign: Float = side == .negatives ? 1 : -1
        let searched = turnedAround.take(count * dimension)
        for i in 0..<count * dimension { searched[i] = sign * anchors[i] }
        let rows = Shared(table.rows)
        poolSearch.search(
            anchors: searched, count: count, dimension: dimension, candidates: candidates,
            wanted: sampler.poolSize(side, available: candidates.count), threads: threads
        ) { anchor, slots, similarities in
            let rows = rows.value
            let positions = rows.positions(anchor)
            let kept = rows.similarities(anchor)
            let drawn = sampler.draw(side, anchor: input.keys[anchor], available: candidates.count)
            for (i, rank) in drawn.enumerated() {
                positions[i] = slots[rank]
                kept[i] = sign * similarities[rank]
            }
            rows.locate(anchor, candidates)
        }
    }

    /// Where the pool is everything, similarities are needed with what was drawn only.
    private func sampleBlindly(
        _ anchors: UnsafePointer<Float>, _ input: MiningInput, _ sampler: Sampler, _ side: Sampler.Side,
        _ candidates: CandidateSet, _ table: SampleTable, _ threads: Int
    ) {
        let shared = Shared((anchors: anchors, rows: table.rows))
        let dimension = input.dimension
        inParallel(input.anchorCount, threads: threads) { range in
            let (anchors, rows) = shared.value
            for anchor in range {
                let drawn = sampler.draw(side, anchor: input.keys[anchor], available: candidates.count)
                for (i, slot) in drawn.enumerated() { rows.positions(anchor)[i] = Int32(truncatingIfNeeded: slot) }
                rows.locate(anchor, candidates)
            }
            rows.forEachBlock(in: range, candidates: candidates.count) { anchor, entries in
                cv_dots(
                    anchors + anchor * dimension, rows.vectors(anchor) + entries.lowerBound, entries.count, dimension,
                    rows.similarities(anchor) + entries.lowerBound)
            }
        }
    }

    /// Loss and gradient from the filled tables.
    private func evaluate(
        _ input: MiningInput, _ synthesis: Synthesis, _ own: Int, _ others: Int, _ threads: Int,
        _ output: inout MiningOutput
    ) {
        let dimension = input.dimension
        let count = input.anchorCount
        var perAnchor = [AnchorResult](repeating: AnchorResult(), count: count)
        input.anchors.withUnsafeBufferPointer { anchors in
            output.gradient.withUnsafeMutableBufferPointer { gradient in
                perAnchor.withUnsafeMutableBufferPointer { results in
                    let shared = Shared(
                        (
                            anchors: anchors.baseAddress!, gradient: gradient.baseAddress!,
                            results: results.baseAddress!,
                            positives: positives.rows, negatives: negatives.rows
                        ))
                    let temperature = input.temperature
                    inParallel(count, threads: threads) { range in
                        let (anchors, gradient, results, positives, negatives) = shared.value
                        let work = AnchorWork(
                            synthesis: synthesis, dimension: dimension, temperature: temperature,
                            positives: positives, negatives: negatives)
                        for anchor in range {
                            results[anchor] = work.evaluate(
                                anchor, anchors + anchor * dimension, key: input.keys[anchor],
                                gradient: gradient + anchor * dimension)
                        }
                        for (rows, candidates) in [(positives, own), (negatives, others)] {
                            rows.forEachBlock(in: range, candidates: candidates) { anchor, entries in
                                cv_add_weighted(
                                    rows.vectors(anchor) + entries.lowerBound,
                                    rows.weights(anchor) + entries.lowerBound, entries.count, dimension,
                                    gradient + anchor * dimension)
                            }
                        }
                    }
                }
            }
        }
        for result in perAnchor {
            output.lossSum += result.loss
            output.positiveSimilarity += result.positiveSimilarity
            output.negativeSimilarity += result.negativeSimilarity
        }
        output.contributing = count
        output.skipped = 0
    }
}
