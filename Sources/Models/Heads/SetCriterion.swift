import Basics
import NN
import Tensors

/// MaskFormer's loss: queries are matched with an image's masks one to one, then each is told its class, or that it is
/// nothing, and the matched ones their masks. As transformers' `MaskFormerLoss`, whose state key it carries.
public final class SetCriterion: Module {
    /// Factors of the loss's terms; in the costs of matching they are the same.
    public struct Weights: Sendable, Equatable {
        public var classification = 1.0
        public var mask = 20.0
        public var dice = 1.0
        /// Of "nothing" among the classes.
        public var nothing = 0.1

        public init() {}
    }

    /// The unweighted terms, one element each.
    struct Terms {
        let classification: Tensor
        let mask: Tensor
        let dice: Tensor
    }

    /// Factor of each class and of "nothing" in the cross-entropy, `[classes + 1]`.
    @Buffer("empty_weight") var classWeights: Tensor
    let weights: Weights
    private let classes: Int

    public init(classes: Int, weights: Weights = .init()) throws {
        self.weights = weights
        self.classes = classes
        super.init()
        classWeights = try Tensor([Float](repeating: 1, count: classes) + [Float(weights.nothing)])
    }

    /// What the terms are divided by, over a whole mini-batch.
    struct Counts {
        /// Masks of all images, so that one with many weighs more than one with few; at least 1.
        let masks: Double
        /// Weights of all queries' classes.
        let queries: Double
    }

    /// - Parameter sum: over ranks, of `SegmentationTargets`.
    func counts(_ targets: [MaskTarget], queries: Int, sum: (Double) throws -> Double = { $0 }) throws -> Counts {
        let masks = targets.reduce(0) { $0 + $1.classes.count }
        let matched = targets.reduce(0) { $0 + min(queries, $1.classes.count) }
        let unmatched = queries * targets.count - matched
        // As the weights are kept: in float32.
        let weight = Double(matched) + Double(unmatched) * Double(Float(weights.nothing))
        return Counts(masks: max(1, try sum(Double(masks))), queries: try sum(weight))
    }

    /// The weighted sum of the terms.
    func callAsFunction(_ prediction: MaskPrediction, _ targets: [MaskTarget], _ counts: Counts? = nil) throws
        -> Tensor
    {
        let terms = try terms(prediction, targets, counts)
        return try terms.classification * weights.classification + terms.mask * weights.mask + terms.dice * weights.dice
    }

    func terms(_ prediction: MaskPrediction, _ targets: [MaskTarget], _ given: Counts? = nil) throws -> Terms {
        let counts = try given ?? counts(targets, queries: prediction.classes.size(1))
        let pairs = try targets.indices.map { try match(prediction, image: $0, targets[$0]) }
        let device = prediction.classes.device
        let queries = prediction.classes.size(1)

        var labels = [Int64](repeating: Int64(classes), count: targets.count * queries)
        for (image, matched) in pairs.enumerated() {
            for (query, target) in matched { labels[image * queries + query] = Int64(targets[image].classes[target]) }
        }
        let classification = try prediction.classes.transpose(1, 2).crossEntropy(
            Tensor(labels, shape: [targets.count, queries], device: device), weight: classWeights, reduction: .sum)

        var mask = try Tensor.zeros([], dtype: prediction.masks.dtype, device: device)
        // Without any mask to learn the gradients are zeros, not missing: ranks add up the same parameters'.
        if pairs.allSatisfy(\.isEmpty) { mask = try prediction.masks.sum() * 0.0 }
        var dice = mask
        for (image, matched) in pairs.enumerated() where !matched.isEmpty {
            let (asked, given) = (matched.map { Int64($0.row) }, matched.map { Int64($0.column) })
            let truth = try targets[image].masks.indexSelect(dim: 0, Tensor(given, device: device))  // [n, H, W]
            let said = try prediction.masks.select(dim: 0, image).indexSelect(dim: 0, Tensor(asked, device: device))
            let size = Size2D(truth.size(1), truth.size(2))
            let logits = try said.unsqueeze(1).interpolate(size, .bilinear(alignCorners: false)).flatten(from: 1)
            mask = try mask + Self.focal(logits, truth.flatten(from: 1))
            dice = try dice + Self.dice(logits, truth.flatten(from: 1))
        }
        return Terms(
            classification: try classification / counts.queries, mask: try mask / counts.masks,
            dice: try dice / counts.masks)
    }

    // MARK: Matching

    /// Pairs of query (row) and target (column) that are cheapest together.
    func match(_ prediction: MaskPrediction, image: Int, _ target: MaskTarget) throws -> [(row: Int, column: Int)] {
        guard !target.classes.isEmpty else { return [] }
        let costs: [Double] = try costs(prediction, image: image, target).to(.float64).array()
        return Assignment.cheapest(costs, rows: prediction.classes.size(1), columns: target.classes.count)
    }

    /// What it costs to match each query with each target, `[queries, targets]`, at the predicted masks' resolution.
    func costs(_ prediction: MaskPrediction, image: Int, _ target: MaskTarget) throws -> Tensor {
        try withoutGradient {
            let logits = try prediction.masks.select(dim: 0, image)  // [Q, h, w]
            let size = Size2D(logits.size(1), logits.size(2))
            let truth = try target.masks.unsqueeze(1).interpolate(size, .nearest).flatten(from: 1)  // [n, h·w]
            let said = try logits.flatten(from: 1)  // [Q, h·w]
            let covered = try said.sigmoid()

            // Focal loss, had all pixels been in the mask, and had none.
            let inside =
                try (1.0 - covered).square()
                * said.binaryCrossEntropyWithLogits(
                    said.onesLike(), reduction: .none) * Self.focalShare
            let outside =
                try covered.square()
                * said.binaryCrossEntropyWithLogits(
                    said.zerosLike(), reduction: .none) * (1 - Self.focalShare)
            let mask =
                try (inside.matmul(truth.transpose(0, 1)) + outside.matmul((1.0 - truth).transpose(0, 1)))
                / Double(said.size(1))

            let overlap = try covered.matmul(truth.transpose(0, 1)) * 2.0
            let sizes = try covered.sum(dims: [1]).unsqueeze(1) + truth.sum(dims: [1]).unsqueeze(0)
            let dice = try 1.0 - (overlap + 1.0) / (sizes + 1.0)

            let indices = try Tensor(target.classes.map(Int64.init), device: said.device)
            let probability = try prediction.classes.select(dim: 0, image).softmax(dim: 1).indexSelect(dim: 1, indices)
            return try mask * weights.mask + dice * weights.dice - probability * weights.classification
        }
    }

    // MARK: Losses of matched masks, summed over them

    /// The share of a mask's pixels against those outside, α (Lin et al., "Focal Loss for Dense Object Detection",
    /// 2017); γ is 2.
    private static let focalShare = 0.25

    /// `[n, H·W]` each: the mean over pixels.
    private static func focal(_ logits: Tensor, _ truth: Tensor) throws -> Tensor {
        let p = try logits.sigmoid()
        let miss = try p + truth - p * truth * 2.0  // 1 - p where the mask is, p elsewhere
        let share = try truth * (2 * focalShare - 1) + (1 - focalShare)
        let loss = try logits.binaryCrossEntropyWithLogits(truth, reduction: .none) * miss.square() * share
        return try loss.mean(dims: [1]).sum()
    }

    /// One minus twice the overlap over the sum of both sizes.
    private static func dice(_ logits: Tensor, _ truth: Tensor) throws -> Tensor {
        let p = try logits.sigmoid()
        let overlap = try (p * truth).sum(dims: [1]) * 2.0
        return try (1.0 - (overlap + 1.0) / (p.sum(dims: [1]) + truth.sum(dims: [1]) + 1.0)).sum()
    }
}
