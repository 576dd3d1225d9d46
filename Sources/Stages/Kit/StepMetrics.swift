import Wire

/// One training step's numbers: a line of `metrics.jsonl`, and what compute's heartbeats carry.
///
/// A number that is not finite (a diverged loss) is written as `null` and read back as NaN: JSON has no NaN.
public struct StepMetrics: Codable, Sendable, Equatable {
    /// From 1.
    public var step: UInt64
    public var lr: Double
    /// Cross-entropy.
    public var ce: Double
    /// What is trained beside the main scores, an auxiliary head for one, as it is weighed; absent where there is nothing.
    public var auxiliary: Double?
    /// Contrastive loss, mean over the contributing anchors; absent while the schedule warms up and in CE-only runs.
    public var nce: Double?
    /// Anchors that had a positive and a negative.
    public var contributing: Int
    /// Anchors that had not.
    public var skipped: Int
    /// Of both, the anchors that were mispredicted pixels; absent like `nce`.
    public var hard: Int?
    /// Mean similarity of contributing anchors with their positives and negatives, as far as miners tell.
    public var positiveSimilarity: Double?
    public var negativeSimilarity: Double?
    /// Wall time of the whole step, milliseconds.
    public var milliseconds: Double
    /// Of it, spent waiting for the loaders' samples.
    public var waitedForSamples: Double
    /// Of it, spent waiting for the miners' gradients.
    public var waitedForGradients: Double
    /// Over the last steps, as compute smooths it.
    public var imagesPerSecond: Double
    /// Milliseconds by phase, for instance `forward`, `backwardHead`, `optimizer`.
    public var phases: [String: Double]
    /// Which swap the step's mining is of; absent before the first.
    public var generation: Generation?

    public init(
        step: UInt64, lr: Double, ce: Double, auxiliary: Double? = nil, nce: Double? = nil, contributing: Int = 0,
        skipped: Int = 0, hard: Int? = nil, positiveSimilarity: Double? = nil, negativeSimilarity: Double? = nil,
        milliseconds: Double = 0, waitedForSamples: Double = 0, waitedForGradients: Double = 0,
        imagesPerSecond: Double = 0, phases: [String: Double] = [:], generation: Generation? = nil
    ) {
        self.step = step
        self.lr = lr
        self.ce = ce
        self.auxiliary = auxiliary
        self.nce = nce
        self.contributing = contributing
        self.skipped = skipped
        self.hard = hard
        self.positiveSimilarity = positiveSimilarity
        self.negativeSimilarity = negativeSimilarity
        self.milliseconds = milliseconds
        self.waitedForSamples = waitedForSamples
        self.waitedForGradients = waitedForGradients
        self.imagesPerSecond = imagesPerSecond
        self.phases = phases
        self.generation = generation
    }

    private enum CodingKeys: String, CodingKey {
        case step, lr, ce, auxiliary, nce, contributing, skipped, hard, positiveSimilarity, negativeSimilarity
        case milliseconds, waitedForSamples, waitedForGradients
        case imagesPerSecond, phases, generation
    }

    public init(from decoder: Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        func number(_ key: CodingKeys) throws -> Double { try values.decodeIfPresent(Double.self, forKey: key) ?? .nan }
        step = try values.decode(UInt64.self, forKey: .step)
        lr = try number(.lr)
        ce = try number(.ce)
        // Present but null is a loss that is not a number; absent is a step without that loss.
        auxiliary = values.contains(.auxiliary) ? try number(.auxiliary) : nil
        nce = values.contains(.nce) ? try number(.nce) : nil
        contributing = try values.decode(Int.self, forKey: .contributing)
        skipped = try values.decode(Int.self, forKey: .skipped)
        hard = try values.decodeIfPresent(Int.self, forKey: .hard)
        positiveSimilarity = try values.decodeIfPresent(Double.self, forKey: .positiveSimilarity)
        negativeSimilarity = try values.decodeIfPresent(Double.self, forKey: .negativeSimilarity)
        milliseconds = try number(.milliseconds)
        waitedForSamples = try number(.waitedForSamples)
        waitedForGradients = try number(.waitedForGradients)
        imagesPerSecond = try number(.imagesPerSecond)
        phases = try values.decode([String: Double].self, forKey: .phases)
        generation = try values.decodeIfPresent(Generation.self, forKey: .generation)
    }

    public func encode(to encoder: Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        func put(_ number: Double, _ key: CodingKeys) throws {
            if number.isFinite { try values.encode(number, forKey: key) } else { try values.encodeNil(forKey: key) }
        }
        try values.encode(step, forKey: .step)
        try put(lr, .lr)
        try put(ce, .ce)
        if let auxiliary { try put(auxiliary, .auxiliary) }
        if let nce { try put(nce, .nce) }
        try values.encode(contributing, forKey: .contributing)
        try values.encode(skipped, forKey: .skipped)
        try values.encodeIfPresent(hard, forKey: .hard)
        if let positiveSimilarity { try put(positiveSimilarity, .positiveSimilarity) }
        if let negativeSimilarity { try put(negativeSimilarity, .negativeSimilarity) }
        try put(milliseconds, .milliseconds)
        try put(waitedForSamples, .waitedForSamples)
        try put(waitedForGradients, .waitedForGradients)
        try put(imagesPerSecond, .imagesPerSecond)
        try values.encode(phases.filter { $0.value.isFinite }, forKey: .phases)
        try values.encodeIfPresent(generation, forKey: .generation)
    }
}
