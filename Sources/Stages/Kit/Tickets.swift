import Basics
import Configuration
import Wire

/// One training sample: which image, and all that its bytes depend on.
///
/// Served by loaders, consumed by compute. Result: tensors `image` uint8 `[H, W, 3]` (RGB) and `label` uint8 `[H, W]`
/// (class, 255 = ignore), and a `SampleReport` body.
public struct SampleTicket: Codable, Sendable, Equatable {
    /// Place in the run's global sample order, from 0.
    public var position: UInt64
    /// Index of the image in the split's list; the memory's image id.
    public var image: Int
    public var seed: UInt64
    public var dataset: DatasetSettings
    public var augmentation: AugmentationSettings
    /// Red, green and blue of the pixels beyond the image's edge: the mean of the network's input.
    public var padding: [UInt8]
    /// Counts the swaps of the stage's settings.
    public var generation: Int

    public init(
        position: UInt64, image: Int, seed: UInt64, dataset: DatasetSettings, augmentation: AugmentationSettings,
        padding: [UInt8], generation: Int = 0
    ) {
        self.position = position
        self.image = image
        self.seed = seed
        self.dataset = dataset
        self.augmentation = augmentation
        self.padding = padding
        self.generation = generation
    }
}

extension SampleTicket {
    /// The step whose mini-batch of so many samples this one belongs to, from 1; whatever number a peer sends.
    public func step(ofBatch batch: UInt64) -> UInt64 { position / max(1, batch) &+ 1 }

    /// A result's tensors.
    ///
    /// - Parameters:
    ///   - image: `[height, width, 3]`, RGB.
    ///   - label: `[height, width]`.
    public static func tensors(image: SharedBytes, label: SharedBytes, height: Int, width: Int) throws -> [WireTensor] {
        [
            try WireTensor(name: "image", dtype: .uint8, shape: [height, width, 3], bytes: image),
            try WireTensor(name: "label", dtype: .uint8, shape: [height, width], bytes: label),
        ]
    }
}

public struct SampleReport: Codable, Sendable, Equatable {
    /// The image's name, for logs and for the message about a sample that cannot be read.
    public var name: String
    public init(name: String) { self.name = name }
}

/// One class's anchors of one step, to be mined against the memory as it was at `memory`.
///
/// Served by miners, consumed by compute. Ticket tensors: `anchors` float32 `[A, D]`, unit rows, and `pixels` int64
/// `[A]`, each anchor's place in the whole mini-batch, which keys its draws. Where there is no memory also the mini-batch's
/// own keys: `batchPixels` float32 `[P, D]`, `batchPixelClasses` int32 `[P]`, `batchRegions` float32 `[R, D]`,
/// `batchRegionClasses` int32 `[R]`. Result: `gradient` float32 `[A, D]`, the
/// gradient of the summed loss with respect to the anchors, and a `MiningReport` body.
public struct MiningTicket: Codable, Sendable, Equatable {
    public var step: UInt64
    public var `class`: Int
    /// The state of the memory to mine in: exactly this sequence. Nil for the keys that the ticket brings.
    public var memory: SequenceNumber?
    public var seed: UInt64
    public var temperature: Float
    public var sampler: SamplerSettings
    public var synthesis: SynthesisSettings
    /// Counts the run's swaps up to this step.
    public var generation: Generation

    public init(
        step: UInt64, class: Int, memory: SequenceNumber?, seed: UInt64, temperature: Float, sampler: SamplerSettings,
        synthesis: SynthesisSettings, generation: Generation = .first
    ) {
        self.step = step
        self.class = `class`
        self.memory = memory
        self.seed = seed
        self.temperature = temperature
        self.sampler = sampler
        self.synthesis = synthesis
        self.generation = generation
    }
}

public struct MiningReport: Codable, Sendable, Equatable {
    /// Sum of L_i over the contributing anchors.
    public var loss: Double
    /// Anchors with a positive and a negative.
    public var contributing: Int
    /// Anchors without one or the other.
    public var skipped: Int
    /// Mean similarity of contributing anchors to their sampled positives and negatives; absent where a miner does not tell.
    public var positiveSimilarity: Double?
    public var negativeSimilarity: Double?

    public init(
        loss: Double, contributing: Int, skipped: Int, positiveSimilarity: Double? = nil,
        negativeSimilarity: Double? = nil
    ) {
        self.loss = loss
        self.contributing = contributing
        self.skipped = skipped
        self.positiveSimilarity = positiveSimilarity
        self.negativeSimilarity = negativeSimilarity
    }
}

/// One image to evaluate with one checkpoint.
///
/// Served by evaluators, consumed by `picoflow`. Result, as far as asked for: tensor `confusion` int64
/// `[classes, classes]`, rows are labels and columns predictions, at the label map's own resolution; tensor `labels` uint8
/// `[H, W]`, the class of each of the image's pixels.
public struct EvaluationTicket: Codable, Sendable, Equatable {
    public var image: Int
    /// Split to read, `val` for instance.
    public var split: String
    /// Of the split's files in their order, as the consumer lists them (`DatasetIndex.digest`); nil where it does not say.
    public var digest: String?
    public var dataset: DatasetSettings
    public var model: ModelSettings
    public var evaluation: EvaluationSettings
    /// `[height, width]` of the sliding window; the whole image where nil.
    public var window: [Int]?
    /// The checkpoint folder that holds `model.safetensors`.
    public var checkpoint: String
    /// Whether predictions are counted against the labels; false for a split that has none.
    public var measures: Bool
    /// Whether the predictions themselves are wanted.
    public var returnsLabels: Bool

    public init(
        image: Int, split: String, digest: String? = nil, dataset: DatasetSettings, model: ModelSettings,
        evaluation: EvaluationSettings, window: [Int]? = nil, checkpoint: String, measures: Bool = true,
        returnsLabels: Bool = false
    ) {
        self.image = image
        self.split = split
        self.digest = digest
        self.dataset = dataset
        self.model = model
        self.evaluation = evaluation
        self.window = window
        self.checkpoint = checkpoint
        self.measures = measures
        self.returnsLabels = returnsLabels
    }
}
