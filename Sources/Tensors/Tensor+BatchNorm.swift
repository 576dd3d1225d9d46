import CTorch

extension Tensor {
    /// Batch normalisation in training and the activation behind it as one operation: on the CPU in channels last, where
    /// memory bounds both, it reads and writes half as much as the two.
    ///
    /// The same bits with any number of threads.
    ///
    /// - Parameters:
    ///   - runningMean, runningVariance: `[C]`; updated in place.
    ///   - momentum: the batch's share in them.
    ///   - least, most: what the result is brought between; infinite for no bound.
    /// - Returns: nil for tensors that it does not take; see `ct_batch_norm_activation_fits`.
    public func batchNormInTraining(
        weight: Tensor, bias: Tensor, runningMean: Tensor, runningVariance: Tensor, momentum: Double, eps: Double,
        least: Double, most: Double
    ) throws -> Tensor? {
        guard ct_batch_norm_activation_fits(handle, weight.handle) else { return nil }
        var out: OpaquePointer?
        try check(
            ct_batch_norm_activation(
                handle, weight.handle, bias.handle, runningMean.handle, runningVariance.handle, momentum, eps, least,
                most, &out),
            "batch norm", [description, weight.description, bias.description])
        return Tensor(owning: out!)
    }
}
