import COpenBLAS
import CVectors

/// Samples, synthesises, and returns loss and gradient for one class's anchors at a time.
///
/// Equal inputs give equal bytes, whatever `threads` is. Keeps its working memory between calls, so one owner calls it.
public final class Miner {
    public let threads: Int
    /// Most similarities held at once (128 MiB). Where a memory is so large that a class's anchors exceed it, they are
    /// worked on in groups; how many depends on the sizes alone.
    var similarityLimit = 32 << 20

    private let similarities = Scratch<Float>()
    private let paddedAnchors = Scratch<Float>()
    private let positives = SampleTable()
    private let negatives = SampleTable()

    private let product: any SimilarityProduct

    /// - Parameter product: computes the similarities.
    public init(threads: Int = 1, product: any SimilarityProduct = BLASProduct()) {
        self.threads = max(threads, 1)
        self.product = product
    }

    /// - Throws: `ContrastError` for settings out of range, anchors that are no unit vectors or do not fill rows;
    ///   `MemoryError` for a class or dimension that the memory does not have.
    public func mine(_ input: MiningInput, memory: Memory) throws -> MiningOutput {
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
            // The number of threads is the process's; a stage that links OpenBLAS twice may have changed it since.
            openblas_set_num_threads(1)
            sample(input, sampler, own, others)
            evaluate(input, synthesis, own, others, &output)
            return output
        }
    }

    /// Fills both tables: who is sampled, and with what similarity.
    private func sample(_ input: MiningInput, _ sampler: Sampler, _ own: CandidateSet, _ others: CandidateSet) {
        input.anchors.withUnsafeBufferPointer { anchors in
            for (side, candidates, table) in [
                (Sampler.Side.positives, own, positives), (.negatives, others, negatives),
            ] {
                table.reset(anchors: input.anchorCount, perAnchor: sampler.drawCount(side, available: candidates.count))
                if sampler.needsSimilarities(side, available: candidates.count) {
                    sampleBySimilarity(anchors.baseAddress!, input, sampler, side, candidates, table)
                } else {
                    sampleBlindly(anchors.baseAddress!, input, sampler, side, candidates, table)
                }
            }
        }
    }

    private func sampleBySimilarity(
        _ anchors: UnsafePointer<Float>, _ input: MiningInput, _ sampler: Sampler, _ side: Sampler.Side,
        _ candidates: CandidateSet, _ table: SampleTable
    ) {
        let dimension = input.dimension
        let stride = Similarities.stride(candidates.count)
        let block = Similarities.anchorBlock
        let groupSize = min(
            Similarities.padded(input.anchorCount), max(block, similarityLimit / stride / block * block))
        let matrix = similarities.take(groupSize * stride)
        let padded = paddedAnchors.take(groupSize * dimension)
        for start in Swift.stride(from: 0, to: input.anchorCount, by: groupSize) {
            let count = min(groupSize, input.anchorCount - start)
            padded.update(from: anchors + start * dimension, count: count * dimension)
            (padded + count * dimension).update(repeating: 0, count: (groupSize - count) * dimension)
            product.compute(
                anchors: padded, count: groupSize, dimension: dimension, candidates: candidates, into: matrix,
                threads: threads)
            let shared = Shared((matrix: matrix, rows: table.rows))
            inParallel(count, threads: threads) { range in
                let selection = ExtremeSelection()
                for anchor in range {
                    let (matrix, rows) = shared.value
                    let similarities = matrix + anchor * stride
                    let positions = rows.positions(start + anchor)
                    sampler.draw(
                        side, anchor: input.keys[start + anchor], available: candidates.count,
                        similarities: similarities, selection: selection, into: positions)
                    let kept = rows.similarities(start + anchor)
                    for i in 0..<rows.perAnchor { kept[i] = similarities[Int(positions[i])] }
                }
            }
        }
    }

    /// Where the pool is everything, similarities are needed with what was drawn only.
    private func sampleBlindly(
        _ anchors: UnsafePointer<Float>, _ input: MiningInput, _ sampler: Sampler, _ side: Sampler.Side,
        _ candidates: CandidateSet, _ table: SampleTable
    ) {
        let shared = Shared((anchors: anchors, rows: table.rows))
        let dimension = input.dimension
        inParallel(input.anchorCount, threads: threads) { range in
            let (anchors, rows) = shared.value
            let selection = ExtremeSelection()
            for anchor in range {
                sampler.draw(
                    side, anchor: input.keys[anchor], available: candidates.count, similarities: nil,
                    selection: selection, into: rows.positions(anchor))
            }
            rows.forEachBlock(in: range, candidates: candidates) { anchor, entries in
                let positions = rows.positions(anchor)
                for i in entries {
                    rows.similarities(anchor)[i] = cblas_sdot(
                        blasint(dimension), anchors + anchor * dimension, 1, candidates.rows[Int(positions[i])], 1)
                }
            }
        }
    }

    /// Loss and gradient from the filled tables.
    private func evaluate(
        _ input: MiningInput, _ synthesis: Synthesis, _ own: CandidateSet, _ others: CandidateSet,
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
                            positives: positives, negatives: negatives, others: others)
                        for anchor in range {
                            results[anchor] = work.evaluate(
                                anchor, anchors + anchor * dimension, key: input.keys[anchor],
                                gradient: gradient + anchor * dimension)
                        }
                        for (rows, candidates) in [(positives, own), (negatives, others)] {
                            candidates.rows.withUnsafeBufferPointer { vectors in
                                rows.forEachBlock(in: range, candidates: candidates) { anchor, entries in
                                    cv_add_weighted(
                                        vectors.baseAddress, rows.positions(anchor) + entries.lowerBound,
                                        rows.weights(anchor) + entries.lowerBound, entries.count, dimension,
                                        gradient + anchor * dimension)
                                }
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
