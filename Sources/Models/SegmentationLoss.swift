import Tensors

/// Labels that a network is trained against.
public struct SegmentationTargets {
    /// `[B, H, W]` int64: classes, or `ignored`.
    public let labels: Tensor
    /// How many pixels of the mini-batch have a class, on all ranks: the normaliser of a loss over pixels. Above 0.
    public let labelled: Int
    /// Adds up, over all ranks among which a mini-batch is dealt, what a loss is divided by; each rank calls it as often.
    public var sum: (Double) throws -> Double = { $0 }

    /// The label whose pixels belong to no class.
    public static let ignored = 255

    public init(labels: Tensor, labelled: Int) {
        self.labels = labels
        self.labelled = labelled
    }

    var size: Size2D { Size2D(labels.size(1), labels.size(2)) }
}

/// The loss of a network's scores, one element each.
public struct SegmentationLoss {
    /// What is reported: the main scores' loss.
    public let main: Tensor
    /// What is differentiated: with all that is trained beside them.
    public let total: Tensor

    public init(main: Tensor, total: Tensor) {
        self.main = main
        self.total = total
    }
}

extension SegmentationNetwork {
    /// Cross-entropy at the labels' resolution, mean over the labelled pixels, and the auxiliary scores' by their weights.
    public func loss(_ decoded: Decoded, _ targets: SegmentationTargets) throws -> SegmentationLoss {
        func crossEntropy(_ scores: Tensor) throws -> Tensor {
            // A sum over a count rather than the operator's mean, which is 0/0 without labelled pixels and whose
            // normaliser could not be shared between ranks.
            try scores.upsampledCrossEntropy(
                targets.labels, size: scoredSize(of: targets.size), alignCorners: alignCorners,
                ignoring: SegmentationTargets.ignored) / Double(targets.labelled)
        }
        let main = try crossEntropy(decoded.scores.main)
        let total = try decoded.scores.auxiliary.reduce(main) { try $0 + crossEntropy($1.scores) * $1.weight }
        return SegmentationLoss(main: main, total: total)
    }
}
