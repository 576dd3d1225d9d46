import CVectors

/// One anchor's share of a `MiningOutput`.
struct AnchorResult {
    var loss = 0.0
    var positiveSimilarity = 0.0
    var negativeSimilarity = 0.0
}

/// Evaluates anchors whose samples are drawn: synthesis, loss, weights. One per thread, for its working memory.
struct AnchorWork {
    let synthesis: Synthesis
    let dimension: Int
    let temperature: Float
    let positives: SampleRows
    let negatives: SampleRows

    private let selection = ExtremeSelection()
    private let similarities = Scratch<Float>()
    private let weights = Scratch<Float>()

    init(
        synthesis: Synthesis, dimension: Int, temperature: Float, positives: SampleRows, negatives: SampleRows
    ) {
        self.synthesis = synthesis
        self.dimension = dimension
        self.temperature = temperature
        self.positives = positives
        self.negatives = negatives
    }

    /// Leaves the rows' weights in the tables, and what synthetic rows take of the anchor itself in `gradient`.
    ///
    /// A synthetic row's similarity and its share of the gradient are those of the two rows that it is mixed of, so it is
    /// never made.
    ///
    /// - Parameters:
    ///   - index: the anchor's row in the tables.
    ///   - key: what its draws are keyed by.
    func evaluate(
        _ index: Int, _ anchor: UnsafePointer<Float>, key: Int, gradient: UnsafeMutablePointer<Float>
    ) -> AnchorResult {
        let sampled = negatives.perAnchor
        let all = similarities.take(sampled + synthesis.limit)
        let weights = self.weights.take(sampled + synthesis.limit)
        all.update(from: negatives.similarities(index), count: sampled)
        let mixtures = synthesis.mixtures(
            anchor: key, negatives: negatives.vectors(index), count: sampled, similarities: all, dimension: dimension,
            selection: selection)
        for (k, mixture) in mixtures.enumerated() {
            let first = mixture.first.map { all[$0] } ?? 1
            all[sampled + k] = mixture.firstWeight * first + mixture.secondWeight * all[mixture.second]
        }
        let positiveSimilarities = UnsafeBufferPointer(
            start: UnsafePointer(positives.similarities(index)), count: positives.perAnchor)
        let negativeSimilarities = UnsafeBufferPointer(start: UnsafePointer(all), count: sampled + mixtures.count)
        let loss = ContrastLoss.evaluate(
            positives: positiveSimilarities, negatives: negativeSimilarities, temperature: temperature,
            positiveWeights: positives.weights(index), negativeWeights: weights)
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
        negatives.weights(index).update(from: weights, count: sampled)
        withUnsafePointer(to: anchor) { cv_add_weighted($0, &anchorWeight, 1, dimension, gradient) }
        func mean(_ values: UnsafeBufferPointer<Float>) -> Double {
            cv_sum(values.baseAddress!, values.count) / Double(values.count)
        }
        return AnchorResult(
            loss: loss, positiveSimilarity: mean(positiveSimilarities),
            negativeSimilarity: mean(negativeSimilarities))
    }
}
