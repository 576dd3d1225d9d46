import NN
import Tensors

/// A network that labels every pixel: f_EXT, f_SEG and, in training, f_PROJ of pixel contrast.
///
/// It is cut where a trainer cuts it: `features` is what leaves the backbone, `decode` makes scores and the embedding's
/// input of that in one pass. A trainer detaches the features as leaves, lets the gradients of both losses add up on
/// them, and goes back through the backbone once.
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

    /// Channels of the per-pixel features that the projection head reads.
    var pixelChannels: Int { get }

    /// f_PROJ; nil outside training by contrast.
    var projection: ProjectionHead? { get set }

    /// f_EXT: normalised images `[B, 3, H, W]` to the feature maps that leave the backbone.
    func features(_ images: Tensor) throws -> [Tensor]

    /// f_SEG: feature maps to class scores, still at the network's own resolution, and what the embedding is made of.
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
    /// `[B, C, h, w]`: the per-pixel features before classification or mask prediction, which f_PROJ reads too.
    public let pixels: Tensor
    /// Of networks that classify masks instead of pixels: what is said of them, the last and the best one last.
    public let masks: [MaskPrediction]

    public init(scores: Scores, pixels: Tensor, masks: [MaskPrediction] = []) {
        self.scores = scores
        self.pixels = pixels
        self.masks = masks
    }
}

extension SegmentationNetwork {
    /// f_SEG alone.
    public func scores(_ features: [Tensor]) throws -> Scores { try decode(features).scores }

    /// Embeddings of the features' pixels, `[B, D, h, w]`, unit vectors along the channels.
    ///
    /// - Throws: `TensorError` if the network has no projection head.
    public func embedding(_ features: [Tensor]) throws -> Tensor { try embedding(of: decode(features)) }

    /// The same from a pass through the head that was made for the scores.
    public func embedding(of decoded: Decoded) throws -> Tensor {
        guard let projection else {
            throw TensorError(operation: "embedding", reason: "this network was made without a projection head")
        }
        return try projection(decoded.pixels)
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
