import Tensors

/// What a network that classifies masks says of a batch: per query a mask and the class of what it covers.
public struct MaskPrediction {
    /// `[B, queries, classes + 1]` before the softmax; the last one is "nothing".
    public let classes: Tensor
    /// `[B, queries, h, w]` before the sigmoid.
    public let masks: Tensor

    public init(classes: Tensor, masks: Tensor) {
        self.classes = classes
        self.masks = masks
    }

    /// Semantic inference: for each pixel and class, the sum over queries of both probabilities' product,
    /// `[B, classes, h, w]`.
    public func semantic() throws -> Tensor {
        let labelled = classes.size(2) - 1
        let probabilities = try classes.softmax(dim: 2).narrow(dim: 2, start: 0, length: labelled)  // [B, Q, classes]
        let covered = try masks.sigmoid().flatten(from: 2)  // [B, Q, h·w]
        // Not cast where the network is: sums over many queries are compared between classes.
        let sums = try withAutocast(nil, on: masks.device) { try probabilities.transpose(1, 2).matmul(covered) }
        return try sums.unflatten(dim: 2, [masks.size(2), masks.size(3)])
    }

    /// In float32 at least, for losses.
    func widened() throws -> MaskPrediction {
        MaskPrediction(classes: try classes.widened(), masks: try masks.widened())
    }
}

/// What an image holds: one mask per class that occurs in it.
public struct MaskTarget {
    public let classes: [Int]
    /// `[classes.count, H, W]`, 1 where the class is and 0 elsewhere.
    public let masks: Tensor

    public init(classes: [Int], masks: Tensor) {
        self.classes = classes
        self.masks = masks
    }

    /// The masks of each of a batch's images; pixels of no class are in none.
    static func all(in targets: SegmentationTargets, classes: Int, dtype: DType) throws -> [MaskTarget] {
        try targets.labels.unbind().map { labels in
            let counts: [Int64] = try labels.bincount(minLength: classes).array()
            let present = counts.prefix(classes).indices.filter { $0 != SegmentationTargets.ignored && counts[$0] > 0 }
            let values = try Tensor(present, shape: [present.count, 1, 1], device: labels.device)
            return MaskTarget(classes: Array(present), masks: try labels.unsqueeze(0).eq(values).to(dtype))
        }
    }
}
