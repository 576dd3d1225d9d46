import COpenBLAS

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
    let others: CandidateSet

    private let selection = ExtremeSelection()
    private let synthetic = Scratch<Float>()
    private let similarities = Scratch<Float>()
    private let weights = Scratch<Float>()

    init(
        synthesis: Synthesis, dimension: Int, temperature: Float, positives: SampleRows, negatives: SampleRows,
        others: CandidateSet
    ) {
        self.synthesis = synthesis
        self.dimension = dimension
        self.temperature = temperature
        self.positives = positives
        self.negatives = negatives
        self.others = others
    }

    /// Leaves the rows' weights in the tables and the synthetic rows' share in `gradient`.
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
        var made = 0
        let rows = synthetic.take(synthesis.limit * dimension)
        if synthesis.limit > 0 {
            let positions = negatives.positions(index)
            made = synthesis.synthesise(
                anchor: anchor, index: key, negatives: (0..<sampled).map { others.rows[Int(positions[$0])] },
                similarities: all, dimension: dimension, selection: selection, into: rows)
        }
        for i in 0..<made {
            all[sampled + i] = cblas_sdot(blasint(dimension), anchor, 1, rows + i * dimension, 1)
        }
        let positiveSimilarities = UnsafeBufferPointer(
            start: UnsafePointer(positives.similarities(index)), count: positives.perAnchor)
        let negativeSimilarities = UnsafeBufferPointer(start: UnsafePointer(all), count: sampled + made)
        let loss = ContrastLoss.evaluate(
            positives: positiveSimilarities, negatives: negativeSimilarities, temperature: temperature,
            positiveWeights: positives.weights(index), negativeWeights: weights)
        negatives.weights(index).update(from: weights, count: sampled)
        for i in 0..<made {
            cblas_saxpy(blasint(dimension), weights[sampled + i], rows + i * dimension, 1, gradient, 1)
        }
        func mean(_ values: UnsafeBufferPointer<Float>) -> Double {
            values.reduce(0) { $0 + Double($1) } / Double(values.count)
        }
        return AnchorResult(
            loss: loss, positiveSimilarity: mean(positiveSimilarities),
            negativeSimilarity: mean(negativeSimilarities))
    }
}
