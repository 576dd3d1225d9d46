import CTorch

extension Tensor {
    /// The summed cross-entropy of class scores that are resized bilinearly, `[N, C, h, w] -> [N, C, H, W]`.
    ///
    /// Equal, to rounding, to `interpolate` and `crossEntropy`; on the CPU in float32 without a tensor of the resized
    /// scores' size, which for many classes is most of a step's memory. There it is the same bits with any number of
    /// threads.
    ///
    /// - Parameters:
    ///   - labels: `[N, H', W']` int64 or uint8; resized scores beyond its rows and columns are left out.
    ///   - size: H and W.
    ///   - alignCorners: as of `interpolate`.
    ///   - ignoring: the label of pixels that do not count.
    public func upsampledCrossEntropy(_ labels: Tensor, size: Size2D, alignCorners: Bool, ignoring label: Int) throws
        -> Tensor
    {
        guard device == .cpu, dtype == .float32 else {
            let resized = try interpolate(size, .bilinear(alignCorners: alignCorners))
            let kept = try resized.narrow(dim: 2, start: 0, length: labels.size(1))
                .narrow(dim: 3, start: 0, length: labels.size(2))
            return try kept.crossEntropy(labels.to(.int64), ignoring: label, reduction: .sum)
        }
        var out: OpaquePointer?
        try check(
            ct_upsampled_cross_entropy(
                handle, labels.handle, Int64(size.height), Int64(size.width), alignCorners, Int64(label), &out),
            "upsampled cross-entropy", [description, labels.description, "\(size)"])
        return Tensor(owning: out!)
    }
}
