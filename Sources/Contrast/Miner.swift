import Basics
import CVectors

/// Samples, synthesises, and returns loss and gradient for tickets of one class's anchors each.
///
/// Tickets that are mined together pass over the memory together, so that what they share of it comes from the cache. Equal
/// inputs give equal bytes, whatever else is mined with them and however many threads share the work. Keeps its working memory
/// between calls, so one owner calls it.
public final class Miner {
    /// Most bytes of samples held at once; where tickets exceed it, groups of them follow one another.
    var sampleLimit = 20 << 20
    let poolSearch: PoolSearch

    private let anchors = Scratch<Float>()
    private let searched = Scratch<Float>()
    private let gradient = Scratch<Float>()
    private let positives = SampleTable()
    private let negatives = SampleTable()

    /// - Parameter product: computes the similarities that a search looks at.
    public init(product: any SimilarityProduct = VectorProduct()) {
        poolSearch = PoolSearch(product: product)
    }

    /// - Throws: `ContrastError` for settings out of range, anchors that are no unit vectors or do not fill rows;
    ///   `MemoryError` for a class or dimension that the memory does not have.
    public func mine(_ input: MiningInput, memory: Memory, threads: Int = 1) throws -> MiningOutput {
        try mine([input], memory: memory, threads: threads)[0].get()
    }

    /// - Parameter threads: that share the work.
    /// - Returns: what each ticket gives, or why it gives nothing: the same errors.
    public func mine(
        _ inputs: [MiningInput], memory: Memory, threads: Int = 1
    ) -> [Result<MiningOutput, any Error>] {
        withExtendedLifetime(memory) {
            let rows = MemoryRows(memory)
            var works = inputs.map { input in Result { try MiningWork(input, memory: rows) } }
            var group: [Int] = []
            var bytes = 0
            func finishGroup() {
                let mined = mine(group.compactMap { try? works[$0].get() }, rows, threads)
                for (index, work) in zip(group, mined) { works[index] = .success(work) }
                (group, bytes) = ([], 0)
            }
            for index in works.indices {
                guard case .success(let work) = works[index], work.contrasts else { continue }
                if bytes + work.sampleBytes > sampleLimit { finishGroup() }
                group.append(index)
                bytes += work.sampleBytes
            }
            finishGroup()
            return works.map { $0.map(\.output) }
        }
    }

    /// Fills in the outputs of tickets that contrast.
    private func mine(_ works: [MiningWork], _ memory: MemoryRows, _ threads: Int) -> [MiningWork] {
        var works = works
        var count = 0
        for index in works.indices {
            works[index].anchors = count..<count + works[index].input.anchorCount
            count = works[index].anchors.upperBound
        }
        guard count > 0 else { return works }
        let anchors = self.anchors.take(count * memory.dimension)
        for work in works {
            (anchors + work.anchors.lowerBound * memory.dimension).update(
                from: work.input.anchors, count: work.input.anchors.count)
        }
        for (side, table) in [(Sampler.Side.positives, positives), (.negatives, negatives)] {
            table.reset(works.flatMap { work in work.anchors.map { _ in work.drawCount(side) } })
            let searching = works.filter { $0.needsSimilarities(side) }
            let all = CandidateSet(memory, classes: (0..<memory.classes).map { ClassID($0) })
            let together = searching.filter { $0.seesAll(side) }
            sampleBySimilarity(side, together, all, anchors, table.samples, threads) { memory.range(of: $0) }
            for work in searching where !work.seesAll(side) {
                sampleBySimilarity(side, [work], work.candidates(side), anchors, table.samples, threads) { _ in 0..<0 }
            }
            sampleBlindly(
                side, works.filter { !$0.needsSimilarities(side) }, memory, anchors, table.samples, threads)
        }
        evaluate(&works, memory, anchors, threads)
        return works
    }

    /// - Parameters:
    ///   - candidates: what all of the tickets look at.
    ///   - excluded: positions among them that are none for a class's anchors.
    private func sampleBySimilarity(
        _ side: Sampler.Side, _ works: [MiningWork], _ candidates: CandidateSet, _ anchors: UnsafePointer<Float>,
        _ samples: Samples, _ threads: Int, excluded: (ClassID) -> Range<Int>
    ) {
        guard !works.isEmpty else { return }
        let dimension = candidates.memory.dimension
        let places = Place.all(of: works)
        // The farthest of all are the nearest to the anchor's opposite, and their similarities differ in sign alone.
        let sign: Float = side == .negatives ? 1 : -1
        let searched = self.searched.take(places.count * dimension)
        var seekers: [Seekers] = []
        for work in works {
            let first = seekers.last?.anchors.upperBound ?? 0
            seekers.append(
                Seekers(
                    anchors: first..<first + work.anchors.count, wanted: work.poolSize(side),
                    drawn: work.drawCount(side), excluded: excluded(work.input.classID)))
            for (i, number) in work.input.anchors.enumerated() { searched[first * dimension + i] = sign * number }
        }
        poolSearch.search(
            anchors: searched, dimension: dimension, seekers: seekers, candidates: candidates, threads: threads
        ) { index, pool in
            let place = places[index]
            let drawn = works[place.work].draw(side, anchor: place.anchor)
            let rows = samples.rows(place.anchor).baseAddress!
            let kept = samples.similarities(place.anchor)
            pool.take(drawn, positions: rows, similarities: kept.baseAddress!)
            candidates.rows(at: UnsafeBufferPointer(start: rows, count: drawn.count).lazy.map { Int($0) }, into: rows)
            for i in kept.indices { kept[i] *= sign }
        }
    }

    /// Where the pool is everything, similarities are needed with what was drawn only.
    private func sampleBlindly(
        _ side: Sampler.Side, _ works: [MiningWork], _ memory: MemoryRows, _ anchors: UnsafePointer<Float>,
        _ samples: Samples, _ threads: Int
    ) {
        let places = Place.all(of: works)
        let anchors = Shared(anchors)
        inParallel(places.count, threads: threads) { range in
            for place in places[range] {
                let work = works[place.work]
                work.candidates(side).rows(
                    at: work.draw(side, anchor: place.anchor), into: samples.rows(place.anchor).baseAddress!)
            }
            samples.forEachBlock(of: memory, anchors: places[range].map(\.anchor)) { anchor, entries, vectors in
                cv_dots(
                    anchors.value + anchor * memory.dimension, vectors, entries.count, memory.dimension,
                    samples.similarities(anchor).baseAddress! + entries.lowerBound)
            }
        }
    }

    /// Loss and gradient from the filled tables.
    private func evaluate(
        _ works: inout [MiningWork], _ memory: MemoryRows, _ anchors: UnsafePointer<Float>, _ threads: Int
    ) {
        let dimension = memory.dimension
        let places = Place.all(of: works)
        let gradient = self.gradient.take(places.count * dimension)
        gradient.update(repeating: 0, count: places.count * dimension)
        let (positives, negatives) = (self.positives.samples, self.negatives.samples)
        var results = [AnchorResult](repeating: AnchorResult(), count: places.count)
        results.withUnsafeMutableBufferPointer { results in
            let shared = Shared((anchors: anchors, gradient: gradient, results: results.baseAddress!, works: works))
            inParallel(places.count, threads: threads) { range in
                let (anchors, gradient, results, works) = shared.value
                let evaluation = AnchorWork(memory: memory, positives: positives, negatives: negatives)
                for place in places[range] {
                    let work = works[place.work]
                    results[place.anchor] = evaluation.evaluate(
                        place.anchor, anchors + place.anchor * dimension, key: work.key(of: place.anchor),
                        synthesis: work.synthesis, temperature: work.input.temperature,
                        gradient: gradient + place.anchor * dimension)
                }
                for samples in [positives, negatives] {
                    samples.forEachBlock(of: memory, anchors: range) { anchor, entries, vectors in
                        cv_add_weighted(
                            vectors, samples.weights(anchor).baseAddress! + entries.lowerBound, entries.count,
                            dimension, gradient + anchor * dimension)
                    }
                }
            }
        }
        for index in works.indices {
            let anchors = works[index].anchors
            var output = works[index].output
            output.gradient = Array(
                UnsafeBufferPointer(
                    start: gradient + anchors.lowerBound * dimension, count: anchors.count * dimension))
            for result in results[anchors] {
                output.lossSum += result.loss
                output.positiveSimilarity += result.positiveSimilarity
                output.negativeSimilarity += result.negativeSimilarity
            }
            output.contributing = anchors.count
            output.skipped = 0
            works[index].output = output
        }
    }
}

/// One anchor of tickets that are mined together.
private struct Place {
    /// Its ticket.
    var work: Int
    /// Its number among all tickets' anchors.
    var anchor: Int

    static func all(of works: [MiningWork]) -> [Place] {
        works.enumerated().flatMap { index, work in work.anchors.map { Place(work: index, anchor: $0) } }
    }
}
