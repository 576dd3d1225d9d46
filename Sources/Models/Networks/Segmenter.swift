import Basics
import NN
import Tensors

/// Segmenter (Strudel et al., "Segmenter: Transformer for Semantic Segmentation", 2021): a Vision Transformer and a
/// decoder over its patches, with the state keys of the paper's own code. Scores have one value per patch.
///
/// Images are padded with zeros at the bottom and right to whole patches; scores are resized to the padded size and
/// cropped.
public final class Segmenter: Module, SegmentationNetwork {
    @Child var encoder: VisionTransformer
    @Child var decoder: any SegmenterDecoder
    @Child public var projection: ProjectionHead?

    public let classes: Int
    public let alignCorners = false
    public var inputNormalization: InputNormalization { encoder.inputNormalization }
    /// The encoder's patches: what the decoder reads, the projection head reads too.
    public var pixelChannels: Int { encoder.config.width }

    /// - Parameter embedding: dimension of the projection head's embeddings; nil for a network without one.
    public init(
        encoder: VisionTransformer, decoder: any SegmenterDecoder, classes: Int, embedding: Int? = nil
    ) throws {
        self.classes = classes
        super.init()
        self.encoder = encoder
        self.decoder = decoder
        if let embedding { projection = try ProjectionHead(channels: pixelChannels, dimension: embedding) }
    }

    /// With the published mask transformer: two blocks as wide as the encoder.
    public convenience init(
        encoder: VisionTransformer, classes: Int, dropout: Double = 0.1, embedding: Int? = nil
    ) throws {
        let width = encoder.config.width
        let decoder = try MaskTransformer(
            channels: width, classes: classes, width: width, heads: encoder.config.heads, dropout: dropout)
        try self.init(encoder: encoder, decoder: decoder, classes: classes, embedding: embedding)
    }

    /// `[B, 3, H, W] -> [[B, D, H/16, W/16]]`, sizes rounded up.
    public func features(_ images: Tensor) throws -> [Tensor] {
        let size = Size2D(images.size(2), images.size(3))
        let padded = scoredSize(of: size)
        let whole =
            size == padded
            ? images
            : try images.pad2d(
                left: 0, right: padded.width - size.width, top: 0, bottom: padded.height - size.height)
        return try encoder.features(whole.channelsLast())
    }

    /// `-> [B, classes, H/16, W/16]`
    public func decode(_ features: [Tensor]) throws -> Decoded {
        Decoded(scores: Scores(main: try decoder(features[0])))
    }

    public func resized(_ scores: Tensor, from images: Size2D, to size: Size2D) throws -> Tensor {
        let whole = try scores.interpolate(scoredSize(of: images), .bilinear(alignCorners: false))
        let cropped = try whole.narrow(dim: 2, start: 0, length: images.height)
            .narrow(dim: 3, start: 0, length: images.width)
        return images == size ? cropped : try cropped.interpolate(size, .bilinear(alignCorners: false))
    }

    /// The size in whole patches.
    public func scoredSize(of images: Size2D) -> Size2D {
        let patch = encoder.config.patch
        return Size2D((images.height + patch - 1) / patch * patch, (images.width + patch - 1) / patch * patch)
    }

    public func initializeWeights(seed: UInt64) throws {
        try encoder.initialize(seed: seed, encoder.initialization, prefix: "encoder")
        try decoder.initialize(seed: seed, decoder.initialization, prefix: "decoder")
        try projection?.initialize(seed: seed, prefix: "projection")
    }

    /// The classifier on ImageNet is not used: a file with another one or none is as good.
    public var publishedBackbone: PublishedBackbone? {
        PublishedBackbone(prefix: "encoder.", encoder, unused: "head.")
    }
}
