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
        var top = negatives[0]
        for s in negatives where s > top { top = s }
        var sum = 0.0
        for i in 0..<negatives.count {
            let e = exp((Double(negatives[i]) - Double(top)) * inverse)
            negativeWeights[i] = Float(e)
            sum += e
        }
        let normaliser = Double(top) * inverse + log(sum)

        let share = 1 / Double(positives.count)
        var loss = 0.0
        var pull = 0.0
        for i in 0..<positives.count {
            let margin = normaliser - Double(positives[i]) * inverse
            let e = exp(-abs(margin))
            loss += max(margin, 0) + log1p(e)
            let sigmoid = margin >= 0 ? 1 / (1 + e) : e / (1 + e)
            pull += sigmoid
            positiveWeights[i] = Float(-sigmoid * share * inverse)
        }
        let scale = Float(pull * share * inverse / sum)
        for i in 0..<negatives.count { negativeWeights[i] *= scale }
        return loss * share
    }
}
