import NN
import Tensors

/// A network that labels every pixel: f_EXT, f_SEG and, in training, f_PROJ of pixel contrast.
///
/// It is cut where a trainer cuts it: `features` is what leaves the backbone, `scores` and `embedding` are computed from
/// that. A trainer detaches the features as leaves, lets the gradients of both losses add up on them, and goes back
/// through the backbone once.
///
/// A conforming class is a `final class` over `Module` whose children have the keys of the published weights, plus
/// `@Child var projection: ProjectionHead?`.
public protocol SegmentationNetwork: Module {
    /// How the published weights want their input.
    var inputNormalization: InputNormalization { get }

    /// How scores are resized to labels, and to the embedding's grid: `align_corners` of torch's `interpolate`.
    var alignCorners: Bool { get }

    /// The number of classes that are scored.
    var classes: Int { get }

    /// Which of `features` the projection head reads, and how many channels that one has.
    var embeddingFeature: (index: Int, channels: Int) { get }

    /// f_PROJ; nil outside training by contrast.
    var projection: ProjectionHead? { get set }

    /// f_EXT: normalised images `[B, 3, H, W]` to the feature maps that leave the backbone.
    func features(_ images: Tensor) throws -> [Tensor]

    /// f_SEG: feature maps to class scores, still at the features' resolution.
    func scores(_ features: [Tensor]) throws -> Scores

    /// Gives every parameter its first value, as the published code does. The draws depend on the seed and each
    /// parameter's name only, so a network with a projection head starts from the same values as one without.
    func initializeWeights(seed: UInt64) throws

    /// Takes over published weights of the backbone.
    ///
    /// - Throws: `StateMismatch` where they are another network's.
    func loadBackbone(_ weights: NamedTensors) throws
}

/// Class scores at a network's own resolution.
public struct Scores {
    /// Scores that are trained beside the main ones and dropped afterwards.
    public struct Auxiliary {
        /// `[B, classes, h, w]`
        public let scores: Tensor
        /// Factor of its cross-entropy in the loss.
        public let weight: Double
    }

    /// `[B, classes, h, w]`, before the softmax.
    public let main: Tensor
    public let auxiliary: [Auxiliary]

    public init(main: Tensor, auxiliary: [Auxiliary] = []) {
        self.main = main
        self.auxiliary = auxiliary
    }
}

extension SegmentationNetwork {
    /// Embeddings of the features' pixels, `[B, D, h, w]`, unit vectors along the channels.
    ///
    /// - Throws: `TensorError` if the network has no projection head.
    public func embedding(_ features: [Tensor]) throws -> Tensor {
        guard let projection else {
            throw TensorError(operation: "embedding", reason: "this network was made without a projection head")
        }
        return try projection(features[embeddingFeature.index])
    }

    /// Scores at the images' own size: `[B, 3, H, W] -> [B, classes, H, W]`.
    public func callAsFunction(_ images: Tensor) throws -> Tensor {
        try resized(scores(features(images)).main, to: Size2D(images.size(2), images.size(3)))
    }

    /// Scores resized as the network's own code resizes them.
    public func resized(_ scores: Tensor, to size: Size2D) throws -> Tensor {
        try scores.interpolate(size, .bilinear(alignCorners: alignCorners))
    }
}
