import Configuration

/// One class's anchors of one step, with all that their loss depends on beside the memory.
public struct MiningInput: Sendable, Equatable {
    public var classID: ClassID
    /// `[A, D]`, row-major, unit rows.
    public var anchors: [Float]
    /// One per anchor; every draw is keyed by the ticket's seed and this. The anchor's pixel in the whole mini-batch:
    /// whichever ticket it comes in, alone or among others, it gets the same samples.
    public var keys: [Int]
    /// D.
    public var dimension: Int
    /// τ.
    public var temperature: Float
    public var sampler: SamplerSettings
    public var synthesis: SynthesisSettings
    /// The ticket's.
    public var seed: UInt64

    /// - Parameter keys: 0, 1, … if left out.
    public init(
        classID: ClassID, anchors: [Float], keys: [Int]? = nil, dimension: Int, temperature: Float,
        sampler: SamplerSettings, synthesis: SynthesisSettings, seed: UInt64
    ) {
        self.keys = keys ?? Array(0..<(dimension > 0 ? anchors.count / dimension : 0))
        self.classID = classID
        self.anchors = anchors
        self.dimension = dimension
        self.temperature = temperature
        self.sampler = sampler
        self.synthesis = synthesis
        self.seed = seed
    }

    public var anchorCount: Int { dimension > 0 ? anchors.count / dimension : 0 }
}

/// The summed loss of one class's anchors and its gradient. Means over all classes are the caller's: it divides the
/// sums by the sum of `contributing`.
public struct MiningOutput: Sendable, Equatable {
    /// Σ L_i over the contributing anchors.
    public var lossSum: Double
    /// `[A, D]`: the gradient of `lossSum` with respect to the normalised anchors, 0 for those skipped.
    public var gradient: [Float]
    /// Anchors that had a positive and a negative.
    public var contributing: Int
    /// The others.
    public var skipped: Int
    /// Sum over contributing anchors of the mean similarity with their sampled positives.
    public var positiveSimilarity: Double
    /// Sum over contributing anchors of the mean similarity with their negatives, synthetic ones included.
    public var negativeSimilarity: Double

    /// What a class without positives or negatives gives.
    static func nothing(anchors: Int, dimension: Int) -> MiningOutput {
        MiningOutput(
            lossSum: 0, gradient: Array(repeating: 0, count: anchors * dimension), contributing: 0, skipped: anchors,
            positiveSimilarity: 0, negativeSimilarity: 0)
    }
}
