/// How a loss per element becomes the result; the raw values are at::Reduction's.
public enum LossReduction: Int, Sendable, OperatorArgument {
    case none = 0
    /// The mean over the elements that count; with weights, the weighted one.
    case mean = 1
    case sum = 2

    public var argument: Argument { .int(rawValue) }
}

extension Tensor {
    /// Cross-entropy of class scores, `[N, C, …]`, against class indices, `[N, …]` int64.
    ///
    /// - Parameters:
    ///   - weight: one factor per class, `[C]`.
    ///   - ignoring: the label whose elements count neither above nor below the line. If no other occurs, the mean is NaN
    ///     (0 / 0), as in PyTorch.
    public func crossEntropy(
        _ labels: Tensor, weight: Tensor? = nil, ignoring label: Int = -100, reduction: LossReduction = .mean
    ) throws -> Tensor {
        try Operator.call("aten::cross_entropy_loss", self, labels, weight, reduction, label, 0.0)
    }

    /// The binary cross-entropy of scores before the sigmoid.
    public func binaryCrossEntropyWithLogits(_ targets: Tensor, reduction: LossReduction = .mean) throws -> Tensor {
        try Operator.call(
            "aten::binary_cross_entropy_with_logits", self, targets, Argument.none, Argument.none, reduction)
    }
}
