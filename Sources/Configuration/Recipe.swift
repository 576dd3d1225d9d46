/// What is trained: dataset, model, loss and schedule. Where it runs is the topology's business; neither knows the other.
///
/// These structs are the one place where keys and defaults are written down. Tickets carry the very same structs, so
/// a worker needs no configuration beyond what its tickets say. Defaults are the paper's (Zhou & Wang, "Cross-Image
/// Pixel Contrasting for Semantic Segmentation") unless a comment names another source.
public struct Recipe: Codable, Sendable, Equatable {
    /// All draws of a run derive from it.
    public var seed: UInt64 = 0
    public var dataset = DatasetSettings()
    public var augmentation = AugmentationSettings()
    public var model = ModelSettings()
    public var contrast = ContrastSettings()
    public var sampler = SamplerSettings()
    public var synthesis = SynthesisSettings()
    public var schedule = ScheduleSettings()
    public var checkpoints = CheckpointSettings()
    public var evaluate = EvaluationSettings()
    /// `strict` refuses workers whose kernels or libraries differ from the run's; `relaxed` lets them in.
    public var determinism = Determinism.strict

    public init() {}

    /// Whether the network is evaluated after a step on the way; that of the last step always is.
    public func isEvaluated(after step: UInt64) -> Bool {
        guard let every = evaluate.every else { return false }
        return step > 0 && step % UInt64(every) == 0 && step < UInt64(schedule.iterations)
    }

    /// `[height, width]` of the window that slides over an image to evaluate; nil takes it whole.
    public var evaluationWindow: [Int]? {
        switch evaluate.window {
        case .crop: augmentation.crop
        case .whole: nil
        }
    }
}

public enum Determinism: String, Codable, Sendable, CaseIterable { case strict, relaxed }

public struct DatasetSettings: Codable, Sendable, Equatable {
    public enum Kind: String, Codable, Sendable, CaseIterable {
        case ade20k, camvid, cityscapes
        case cocoStuff = "coco-stuff"
        case folder
        case pascalContext = "pascal-context"
    }

    public var kind = Kind.camvid
    /// The folder the dataset was unpacked to; relative paths start at the working directory.
    public var root = ""
    /// The split to train on; `train+val` joins two.
    public var split = "train"
    /// The split that the final evaluation reads.
    public var evaluationSplit = "val"
    /// `folder` only: YAML with image and label folders per split, class names, palette, ignore value.
    public var description: String?
    public var unreadable = Unreadable.fail

    /// What becomes of a training image that cannot be read, or that loaders die of.
    public enum Unreadable: String, Codable, Sendable, CaseIterable {
        /// It ends the run.
        case fail
        /// Nothing is learned in its place (of MaskFormer's queries: that nothing is there), and the journal says so.
        case ignore
    }

    public init() {}
}

public struct AugmentationSettings: Codable, Sendable, Equatable {
    /// `[height, width]` of a training crop in pixels.
    public var crop = [360, 480]
    /// Uniform range of the random scale.
    public var scale: [Float] = [0.5, 2.0]
    /// Probability of a horizontal flip.
    public var flip: Float = 0.5
    /// Largest relative change of each: factors are uniform in `1 ± value`.
    public var brightness: Float = 0.5
    public var contrast: Float = 0.5
    public var saturation: Float = 0.5
    /// Largest shift of the hue, as a fraction of the colour circle.
    public var hue: Float = 18.0 / 255

    public init() {}
}

public struct ModelSettings: Codable, Sendable, Hashable {
    public enum Backbone: String, Codable, Sendable, CaseIterable {
        case hrnetv2w18, hrnetv2w48
        case mobilenetv1, mobilenetv2, mobilenetv3
        case resnet18, resnet34, resnet50, resnet101
        case mitb0, mitb1, mitb2, mitb3, mitb4, mitb5
        case vitt16, vits16, vitb16, vitl16
        case swint, swins, swinb, swinl
    }
    public enum Head: String, Codable, Sendable, CaseIterable {
        case deeplabv3
        case hrnet, ocrnet
        case segformer, segmenter, maskformer
    }

    public enum Precision: String, Codable, Sendable, CaseIterable { case float32, bf16 }

    public var backbone = Backbone.mobilenetv2
    public var head = Head.deeplabv3
    /// Factor of the backbone's channel counts; published weights are for 1.
    public var width: Float = 1
    /// Input pixels per feature pixel under deeplabv3: 8 or 16. The other heads' networks have a stride of their own.
    public var outputStride = 16
    /// Dilations of the three atrous branches; torchvision's at every output stride.
    public var atrousRates = [12, 24, 36]
    /// Width of the embedding that the projection head returns, D.
    public var embedding = 256
    /// Dropout in the head; the published one where nil.
    public var dropout: Float?
    /// How often a transformer's last block leaves out its branches; it rises to this from 0. The published one where nil.
    public var dropPath: Float?
    /// Trains deeplabv3 with a second head on an earlier feature map, its loss weighed 0.4.
    public var auxiliary = false
    /// Weights to start from, safetensors or of `torch.save`; random ones where nil.
    public var pretrained: String?
    /// `[height, width]` in pixels that segmenter's position embeddings are for. Where a recipe says nothing, its crop;
    /// other networks have none.
    public var imageSize: [Int]?
    /// Of convolutions and matrix products, in training and in use; weights, norms and losses are float32 in any case.
    public var precision = Precision.float32

    public init() {}
}

public struct ContrastSettings: Codable, Sendable, Equatable {
    public enum Memory: String, Codable, Sendable, CaseIterable { case both, pixels, regions, none }

    /// False trains by cross-entropy alone: no projection head, no memory, no miners.
    public var enabled = true
    /// Weight of the contrastive loss, lambda.
    public var lambda: Float = 1
    /// Temperature, tau.
    public var temperature: Float = 0.1
    /// Anchors per class and mini-batch.
    public var anchors = 50
    /// The part of them drawn from mispredicted pixels first: none of them is a random choice, all of them a hard one.
    public var hardAnchors = 25
    /// What the memory keeps of the images so far, pixels, regions or both; `none` keeps no memory: anchors meet the keys of
    /// their own mini-batch, V pixels per class and image and a region each, as constants.
    public var memory = Memory.both
    /// Pixels per class and image that enter the queue, V.
    public var pixelsPerImage = 10
    /// Length of each class's pixel queue, T; 10 times the number of training images where nil.
    public var pixelQueue: Int?
    /// Most region entries per class, the oldest dropped beyond; one per training image where nil.
    public var regionCap: Int?
    /// Mining at step s sees the records of all steps up to `s - lag`, and at least those up to the last checkpoint: a resumed
    /// run has no older memory. So with a lag above 1 the weights depend on where checkpoints are, that of a stop, too.
    public var lag = 1

    public init() {}

    /// Whether a bank keeps keys from one step to the next.
    public var usesMemory: Bool { enabled && memory != .none }
    /// Whether a step is mined in the memory of longer ago than the step before it.
    public var hasLongLag: Bool { usesMemory && lag > 1 }
}

public struct SamplerSettings: Codable, Sendable, Equatable {
    public enum Strategy: String, Codable, Sendable, CaseIterable {
        case random, hardest
        case semiHard = "semi-hard"
    }

    public var strategy = Strategy.semiHard
    /// Positives per anchor, Kp.
    public var positives = 1024
    /// Negatives per anchor, Kn.
    public var negatives = 2048
    /// `semi-hard`: the part of the nearest negatives and of the farthest positives that the draw is from.
    public var pool: Float = 0.1
    /// Searches a random subset of this many entries per class; all of them where nil.
    public var candidates: Int?

    public init() {}
}

public struct SynthesisSettings: Codable, Sendable, Equatable {
    /// Adds synthetic hard negatives: PiCo+.
    public var enabled = false
    /// The hardest of an anchor's sampled negatives that the mixtures are made from.
    public var hardest = 1024
    /// Mixtures of two negatives, (a).
    public var pairs = 256
    /// Mixtures of the anchor and a negative, (b).
    public var anchorMixes = 128

    public init() {}
}

public struct ScheduleSettings: Codable, Sendable, Equatable {
    public enum Optimizer: String, Codable, Sendable, CaseIterable { case sgd, adamw }

    public var iterations = 6000
    /// Images per mini-batch.
    public var batch = 16
    public var optimizer = Optimizer.sgd
    public var lr = 0.02
    public var momentum = 0.9
    public var weightDecay = 5e-4
    /// Weight decay of normalisations' parameters and of learned embeddings of positions and queries; `weightDecay` where nil.
    public var normWeightDecay: Double?
    /// Leaves the batch norms of a pretrained backbone as they are, statistics and constants; random ones are trained in any
    /// case.
    public var frozenNorms = false
    /// Factors of the learning rate in the backbone, and in all that is not the backbone.
    public var backboneLrFactor = 1.0
    public var headLrFactor = 1.0
    /// Longest gradient of all parameters together: a longer one is shortened to it. Any length where nil.
    public var clipNorm: Double?
    /// Exponent of the polynomial decay.
    public var power = 0.9
    /// What the learning rate falls to.
    public var minLr = 0.0
    /// First iterations by cross-entropy alone while the memory fills.
    public var warmup = 5000
    /// First iterations with a linearly rising learning rate.
    public var lrWarmup = 0
    /// The part of the learning rate that the rise begins with; one step's share of the rise where nil.
    public var lrWarmupRatio: Double?

    public init() {}
}

public struct CheckpointSettings: Codable, Sendable, Equatable {
    /// Iterations between checkpoints.
    public var every = 500
    /// How many of the newest stay.
    public var keep = 3

    public init() {}
}

public struct EvaluationSettings: Codable, Sendable, Equatable {
    public enum Window: String, Codable, Sendable, CaseIterable { case crop, whole }

    /// Iterations between evaluations while the run trains; the finished network alone is evaluated where nil.
    public var every: Int?
    /// Image scales whose probabilities are averaged; published tables are of 0.75 to 2 in steps of 0.25, and `flip`.
    public var scales: [Float] = [1]
    /// Also averages over the mirrored image.
    public var flip = false
    /// `crop` slides a window of the training crop's size over a scaled image that exceeds it; `whole` takes all of it.
    public var window = Window.crop

    public init() {}
}
