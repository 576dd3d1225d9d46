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
    let product: any SimilarityProduct

    private let selection = ExtremeSelection()
    private let synthetic = Scratch<Float>()
    private let similarities = Scratch<Float>()
    private let weights = Scratch<Float>()
    private let syntheticRows = Scratch<UnsafePointer<Float>>()

    init(
        synthesis: Synthesis, dimension: Int, temperature: Float, positives: SampleRows, negatives: SampleRows,
        product: any SimilarityProduct
    ) {
        self.synthesis = synthesis
        self.dimension = dimension
        self.temperature = temperature
        self.positives = positives
        self.negatives = negatives
        self.product = product
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
        let room = sampled + synthesis.limit + product.tile
        let all = similarities.take(room)
        let weights = self.weights.take(room)
        all.update(from: negatives.similarities(index), count: sampled)
        var made = 0
        let vectors = syntheticRows.take(synthesis.limit)
        if synthesis.limit > 0 {
            let rows = synthetic.take(synthesis.limit * dimension)
            made = synthesis.synthesise(
                anchor: anchor, index: key, negatives: negatives.vectors(index), count: sampled, similarities: all,
                dimension: dimension, selection: selection, into: rows)
            for i in 0..<made { vectors[i] = UnsafePointer(rows + i * dimension) }
            product.compute(anchor: anchor, dimension: dimension, rows: vectors, count: made, into: all + sampled)
        }
        let positiveSimilarities = UnsafeBufferPointer(
            start: UnsafePointer(positives.similarities(index)), count: positives.perAnchor)
        let negativeSimilarities = UnsafeBufferPointer(start: UnsafePointer(all), count: sampled + made)
        let loss = ContrastLoss.evaluate(
            positives: positiveSimilarities, negatives: negativeSimilarities, temperature: temperature,
            positiveWeights: positives.weights(index), negativeWeights: weights)
        negatives.weights(index).update(from: weights, count: sampled)
        cv_add_weighted(vectors, weights + sampled, made, dimension, gradient)
        func mean(_ values: UnsafeBufferPointer<Float>) -> Double {
            cv_sum(values.baseAddress!, values.count) / Double(values.count)
        }
        return AnchorResult(
            loss: loss, positiveSimilarity: mean(positiveSimilarities),
            negativeSimilarity: mean(negativeSimilarities))
    }
}
