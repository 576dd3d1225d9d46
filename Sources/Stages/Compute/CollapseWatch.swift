import Foundation

/// Notices when contrast has drawn the embeddings of all classes together: then the farthest positives and the nearest
/// negatives are all as near to their anchors as can be, L_NCE stays at log(1 + negatives), and it teaches nothing. Mining
/// hard positives and hard negatives of classes that are not apart yet does that: pulling everything together is the
/// steepest way down where negatives are nearer than positives.
struct CollapseWatch {
    /// Both similarities beyond this, 1 being all alike. Classes that are apart have negatives below it, and classes that
    /// are learned have hard negatives, or hard positives, below it.
    static let limit = 0.9
    /// Steps with contrast whose mean counts.
    static let stretch = 100

    private var positives = 0.0
    private var negatives = 0.0
    private var steps = 0
    private var hasSpoken = false

    /// One more step with contrast: mean cosines of its anchors with their sampled positives and negatives.
    ///
    /// - Returns: what to tell the user, once until they are apart again.
    mutating func add(_ means: (positive: Double, negative: Double)) -> String? {
        positives += means.positive
        negatives += means.negative
        steps += 1
        guard steps == Self.stretch else { return nil }
        let (positive, negative) = (positives / Double(steps), negatives / Double(steps))
        (positives, negatives, steps) = (0, 0, 0)
        guard positive > Self.limit, negative > Self.limit else {
            hasSpoken = false
            return nil
        }
        guard !hasSpoken else { return nil }
        hasSpoken = true
        func text(_ cosine: Double) -> String { String(format: "%.2f", cosine) }
        return "the embeddings of all classes are alike: over \(Self.stretch) steps, the anchors' cosines with their "
            + "positives are \(text(positive)) and with their negatives \(text(negative)), so contrast teaches nothing; an "
            + "easier start may help: sampler.strategy=random (also by 'picoflow swap miner'), a larger sampler.pool or "
            + "schedule.warmup, or pretrained weights"
    }
}
