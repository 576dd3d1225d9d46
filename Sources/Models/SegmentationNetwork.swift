import NN
import Tensors

/// A network that labels every pixel: f_EXT, f_SEG and, in training, f_PROJ of pixel contrast.
///
/// It is cut where a trainer cuts it: `features` ends where the ways to the scores and to the embedding part, `decode` and
/// `projection` go on from there. A trainer detaches the features as leaves, lets the gradients of both losses add up on
/// them, and goes back through what made them once.
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

    /// Channels of the last feature map, which the projection head reads.
    var pixelChannels: Int { get }

    /// f_PROJ; nil outside training by contrast.
    var projection: ProjectionHead? { get set }

    /// f_EXT: normalised images `[B, 3, H, W]` to feature maps: the backbone, and what of the head f_PROJ reads the result
    /// of. The last map is of the pixels that are embedded.
    func features(_ images: Tensor) throws -> [Tensor]

    /// f_SEG: feature maps to class scores, still at the network's own resolution.
    func decode(_ features: [Tensor]) throws -> Decoded

    /// What is trained beside the contrastive loss; cross-entropy where the network says nothing else.
    func loss(_ decoded: Decoded, _ targets: SegmentationTargets) throws -> SegmentationLoss

    /// The size to which scores of images are resized: the images' own, or that of what the network padded them to; its
    /// rows and columns beyond the images are left out.
    func scoredSize(of images: Size2D) -> Size2D

    /// Scores resized as the network's own code resizes them.
    ///
    /// - Parameter images: the size of what was given to `features`; networks that pad it crop what they padded.
    func resized(_ scores: Tensor, from images: Size2D, to size: Size2D) throws -> Tensor

    /// Probabilities of the classes, `[B, classes, h, w]`, from resized scores; their softmax where the network says
    /// nothing else.
    func probabilities(_ scores: Tensor) throws -> Tensor

    /// Gives every parameter its first value, as the published code does. The draws depend on the seed and each
    /// parameter's name only, so a network with a projection head starts from the same values as one without.
    func initializeWeights(seed: UInt64) throws

    /// What is published as weights of its own; nil for a network that has no such part.
    var publishedBackbone: PublishedBackbone? { get }
}

extension SegmentationNetwork {
    /// Leaves the backbone's batch norms as they are from now on: they normalise by their running statistics, which no batch
    /// moves, and their constants get no gradient.
    public func freezeBackboneNorms() throws {
        for (_, module) in publishedBackbone?.module.namedModules() ?? [] {
            if let norm = module as? BatchNorm2d { try norm.eval().requiresGrad(false) }
        }
    }
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

/// What a network's head makes of the feature maps.
public struct Decoded {
    public let scores: Scores
    /// Of networks that classify masks instead of pixels: what is said of them, the last and the best one last.
    public let masks: [MaskPrediction]

    public init(scores: Scores, masks: [MaskPrediction] = []) {
        self.scores = scores
        self.masks = masks
    }
}

extension SegmentationNetwork {
    /// f_SEG alone.
    public func scores(_ features: [Tensor]) throws -> Scores { try decode(features).scores }

    /// Embeddings of the features' pixels, `[B, D, h, w]`, unit vectors along the channels.
    ///
    /// - Throws: `TensorError` if the network has no projection head.
    public func embedding(_ features: [Tensor]) throws -> Tensor {
        guard let projection else {
            throw TensorError(operation: "embedding", reason: "this network was made without a projection head")
        }
        return try projection(features[features.count - 1])
    }

    /// Scores at the images' own size: `[B, 3, H, W] -> [B, classes, H, W]`.
    public func callAsFunction(_ images: Tensor) throws -> Tensor {
        try resized(scores(features(images)).main, to: Size2D(images.size(2), images.size(3)))
    }

    public func scoredSize(of images: Size2D) -> Size2D { images }

    /// Scores at the size of the images that they are of.
    public func resized(_ scores: Tensor, to size: Size2D) throws -> Tensor {
        try resized(scores, from: size, to: size)
    }

    public func resized(_ scores: Tensor, from images: Size2D, to size: Size2D) throws -> Tensor {
        try scores.interpolate(size, .bilinear(alignCorners: alignCorners))
    }

    public func probabilities(_ scores: Tensor) throws -> Tensor { try scores.softmax(dim: 1) }
}
