import CVectors
import Foundation

/// One anchor's contrastive loss and how its gradient weighs each row.
///
/// With s the similarities, τ the temperature and Z = log Σₙ exp(sₙ/τ), the loss of the paper is
/// `L = 1/|P| Σₚ softplus(Z - sₚ/τ)`, and its gradient with respect to the anchor is `Σₚ wₚ p + Σₙ wₙ n` with
/// `wₚ = -σ(Z - sₚ/τ) / (|P| τ)` and `wₙ = (Σₚ σ(Z - sₚ/τ)) / (|P| τ) * softmaxₙ`. In Float64 and with the maximum
/// taken out, so that no temperature and no similarity overflows.
enum ContrastLoss {
    /// - Parameters:
    ///   - positives: similarities with the anchor, at least one.
    ///   - negatives: the same, sampled and synthetic ones together, at least one.
    ///   - positiveWeights, negativeWeights: as many, overwritten.
    /// - Returns: L.
    static func evaluate(
        positives: UnsafeBufferPointer<Float>, negatives: UnsafeBufferPointer<Float>, temperature: Float,
        positiveWeights: UnsafeMutablePointer<Float>, negativeWeights: UnsafeMutablePointer<Float>
    ) -> Double {
        let inverse = 1 / Double(temperature)
        let top = cv_largest(negatives.baseAddress!, negatives.count)
        let sum = cv_exponentials(negatives.baseAddress!, negatives.count, top, inverse, negativeWeights)
        let normaliser = Double(top) * inverse + log(sum)

        let share = 1 / Double(positives.count)
        var pull = 0.0
        let loss = cv_logistic(
            positives.baseAddress!, positives.count, normaliser, inverse, -share * inverse, positiveWeights, &pull)
        let scale = Float(pull * share * inverse / sum)
        for i in 0..<negatives.count { negativeWeights[i] *= scale }
        return loss * share
    }
}
