import CVectors

/// One anchor's share of a `MiningOutput`.
struct AnchorResult {
    var loss = 0.0
    var positiveSimilarity = 0.0
    var negativeSimilarity = 0.0
}

/// Evaluates anchors whose samples are drawn: synthesis, loss, weights. One per thread, for its working memory.
struct AnchorWork {
    let memory: MemoryRows
    let positives: Samples
    let negatives: Samples

    private let selection = ExtremeSelection()
    private let similarities = Scratch<Float>()
    private let weights = Scratch<Float>()
    private let vectors = Scratch<UnsafePointer<Float>>()

    init(memory: MemoryRows, positives: Samples, negatives: Samples) {
        self.memory = memory
        self.positives = positives
        self.negatives = negatives
    }

    /// Leaves the rows' weights in the tables, and what synthetic rows take of the anchor itself in `gradient`.
    ///
    /// A synthetic row's similarity and its share of the gradient are those of the two rows that it is mixed of, so it is
    /// never made.
    ///
    /// - Parameters:
    ///   - index: the anchor's place in the tables.
    ///   - key: what its draws are keyed by.
    func evaluate(
        _ index: Int, _ anchor: UnsafePointer<Float>, key: Int, synthesis: Synthesis, temperature: Float,
        gradient: UnsafeMutablePointer<Float>
    ) -> AnchorResult {
        let sampled = negatives.count(index)
        let all = similarities.take(sampled + synthesis.limit)
        let weights = self.weights.take(sampled + synthesis.limit)
        all.update(from: negatives.similarities(index).baseAddress!, count: sampled)
        var mixtures: [Synthesis.Mixture] = []
        if synthesis.limit > 0 {
            let vectors = self.vectors.take(sampled)
            memory.locate(negatives.rows(index).lazy.map { Int($0) }, into: vectors)
            mixtures = synthesis.mixtures(
                anchor: key, negatives: vectors, count: sampled, similarities: all, dimension: memory.dimension,
                selection: selection)
        }
        for (k, mixture) in mixtures.enumerated() {
            let first = mixture.first.map { all[$0] } ?? 1
            all[sampled + k] = mixture.firstWeight * first + mixture.secondWeight * all[mixture.second]
        }
        let positiveSimilarities = UnsafeBufferPointer(positives.similarities(index))
        let negativeSimilarities = UnsafeBufferPointer(start: UnsafePointer(all), count: sampled + mixtures.count)
        let loss = ContrastLoss.evaluate(
            positives: positiveSimilarities, negatives: negativeSimilarities, temperature: temperature,
            positiveWeights: positives.weights(index).baseAddress!, negativeWeights: weights)
        var anchorWeight: Float = 0
        for (k, mixture) in mixtures.enumerated() {
            let weight = weights[sampled + k]
            weights[mixture.second] += weight * mixture.secondWeight
            if let first = mixture.first {
                weights[first] += weight * mixture.firstWeight
            } else {
                anchorWeight += weight * mixture.firstWeight
            }
        }
        negatives.weights(index).baseAddress!.update(from: weights, count: sampled)
        withUnsafePointer(to: anchor) { cv_add_weighted($0, &anchorWeight, 1, memory.dimension, gradient) }
        func mean(_ values: UnsafeBufferPointer<Float>) -> Double {
            cv_sum(values.baseAddress!, values.count) / Double(values.count)
        }
        return AnchorResult(
            loss: loss, positiveSimilarity: mean(positiveSimilarities),
            negativeSimilarity: mean(negativeSimilarities))
    }
}
