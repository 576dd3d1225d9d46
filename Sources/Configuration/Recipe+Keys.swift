/// The keys of a recipe: one table per struct, in the order in which they are printed.

extension Recipe: Configurable {
    static let fields: [Field<Recipe>] = [
        Field("seed", \.seed, summary: "all draws of a run derive from it"),
        .section("dataset", \.dataset, summary: "images and labels"),
        .section("augmentation", \.augmentation, summary: "what a loader does to a sample"),
        .section("model", \.model, summary: "the network"),
        .section("contrast", \.contrast, summary: "the contrastive loss and its memory"),
        .section("sampler", \.sampler, summary: "which memory entries an anchor meets"),
        .section("synthesis", \.synthesis, summary: "synthetic hard negatives"),
        .section("schedule", \.schedule, summary: "iterations and optimiser"),
        .section("checkpoints", \.checkpoints, summary: "what a run keeps of its progress"),
        .section("evaluate", \.evaluate, summary: "how and how often the network is evaluated"),
        Field(
            "determinism", \.determinism,
            summary: "strict refuses workers whose kernels or libraries differ from the run's"),
    ]
}

extension Determinism: ConfigurationValue {}

extension DatasetSettings: Configurable {
    static let fields: [Field<Self>] = [
        Field("kind", \.kind, summary: "which dataset's folders and labels these are"),
        Field(
            "root", \.root,
            summary:
                "folder of the dataset, from the working directory; kind 'folder': the description's own where empty"),
        Field("split", \.split, .notEmpty, summary: "the split to train on; train+val joins two"),
        Field("evaluationSplit", \.evaluationSplit, .notEmpty, summary: "the split of the final evaluation"),
        Field(
            "description", optional: \.description, .notEmpty,
            summary: "kind 'folder' only: YAML with its folders, classes and palette"),
        Field(
            "unreadable", \.unreadable,
            summary: "a training image that cannot be read: fail ends the run, ignore learns nothing in its place"),
    ]
}

extension DatasetSettings.Kind: ConfigurationValue {}
extension DatasetSettings.Unreadable: ConfigurationValue {}

extension AugmentationSettings: Configurable {
    static let fields: [Field<Self>] = [
        // 16,384 pixels a side: beyond any image that a crop is useful for, and sizes cannot overflow.
        Field(
            "crop", \.crop, .pair("height", "width", .within(1...16384)), summary: "height and width of a training crop"
        ),
        Field(
            "scale", \.scale, .pair("least", "most", .above(0, upTo: 64)),
            Check(rule: "ascending") { $0[0] <= $0[1] }, summary: "range of the random scale"),
        Field("flip", \.flip, .within(0...1), summary: "probability of a horizontal flip"),
        Field("brightness", \.brightness, .within(0...1), summary: "largest relative change of the brightness"),
        Field("contrast", \.contrast, .within(0...1), summary: "largest relative change of the contrast"),
        Field("saturation", \.saturation, .within(0...1), summary: "largest relative change of the saturation"),
        Field("hue", \.hue, .within(0...0.5), summary: "largest shift of the hue, as a fraction of the colour circle"),
    ]
}

extension ModelSettings: Configurable {
    static let fields: [Field<Self>] = [
        Field("backbone", \.backbone, summary: "feature extractor"),
        Field("head", \.head, summary: "what makes class scores of the features"),
        // Beyond these factors no backbone has a use for its channels, or fits a machine.
        Field("width", \.width, .within(0.05...4), summary: "factor of the backbone's channel counts"),
        Field(
            "outputStride", \.outputStride, .among([8, 16]),
            summary: "deeplabv3: input pixels per feature pixel; the others' is fixed"),
        Field(
            "atrousRates", \.atrousRates, .each(.within(1...1024)),
            summary: "deeplabv3: dilations of the atrous branches"),
        Field("embedding", \.embedding, .within(1...65536), summary: "width of an embedding, D"),
        Field(
            "dropout", optional: \.dropout, .within(0..<1),
            summary: "dropout in the head (hrnet's has none); null: the published one"),
        Field(
            "dropPath", optional: \.dropPath, .within(0..<1),
            summary: "transformers: stochastic depth of the last block; null: the published one"),
        Field("auxiliary", \.auxiliary, summary: "deeplabv3: a second head on an earlier feature map, weighed 0.4"),
        Field(
            "pretrained", optional: \.pretrained, .notEmpty,
            summary: "weights to start from (safetensors, .pth); null: random ones"),
        Field(
            "imageSize", optional: \.imageSize, .pair("height", "width", .within(1...16384)),
            summary: "segmenter: height and width that position embeddings are for; null: the crop's"),
        Field("precision", \.precision, summary: "of convolutions and matrix products; weights and losses are float32"),
    ]
}

extension ModelSettings.Backbone: ConfigurationValue {}
extension ModelSettings.Head: ConfigurationValue {}
extension ModelSettings.Precision: ConfigurationValue {}

extension ContrastSettings: Configurable {
    static let fields: [Field<Self>] = [
        Field("enabled", \.enabled, summary: "false: cross-entropy alone"),
        Field("lambda", \.lambda, .atLeast(0), summary: "weight of the contrastive loss"),
        Field("temperature", \.temperature, .above(0), summary: "temperature of the similarities, tau"),
        Field("anchors", \.anchors, .within(1...65536), summary: "anchors per class and mini-batch"),
        Field(
            "hardAnchors", \.hardAnchors, .atLeast(0), summary: "the part of them drawn from mispredicted pixels first"),
        Field(
            "memory", \.memory,
            summary: "what is kept of earlier images; none: anchors meet their own mini-batch's keys alone"),
        Field(
            "pixelsPerImage", \.pixelsPerImage, .within(1...65536),
            summary: "pixels per class and image that enter the queue, V"),
        Field(
            "pixelQueue", optional: \.pixelQueue, .atLeast(1),
            summary: "length of a class's pixel queue, T; null: 10 times the training images"),
        Field(
            "regionCap", optional: \.regionCap, .atLeast(1),
            summary: "most regions per class; null: one per training image"),
        Field(
            "lag", \.lag, .atLeast(1),
            summary: "mining at step s sees the records of all steps up to s - lag, and at least the last checkpoint's"),
    ]
}

extension ContrastSettings.Memory: ConfigurationValue {}

extension SamplerSettings: Configurable {
    static let fields: [Field<Self>] = [
        Field("strategy", \.strategy, summary: "how positives and negatives are chosen"),
        Field("positives", \.positives, .atLeast(1), summary: "positives per anchor, Kp"),
        Field("negatives", \.negatives, .atLeast(1), summary: "negatives per anchor, Kn"),
        Field(
            "pool", \.pool, .above(0, upTo: 1),
            summary: "semi-hard: the hardest part of the memory that the draw is from"),
        Field("candidates", optional: \.candidates, .atLeast(1), summary: "entries searched per class; null: all"),
    ]
}

extension SamplerSettings.Strategy: ConfigurationValue {}

extension SynthesisSettings: Configurable {
    static let fields: [Field<Self>] = [
        Field("enabled", \.enabled, summary: "adds synthetic hard negatives: PiCo+"),
        Field(
            "hardest", \.hardest, .atLeast(1),
            summary: "an anchor's hardest sampled negatives that the mixtures are made from"),
        Field("pairs", \.pairs, .within(0...1_048_576), summary: "mixtures of two negatives"),
        Field("anchorMixes", \.anchorMixes, .within(0...1_048_576), summary: "mixtures of the anchor and a negative"),
    ]
}

extension ScheduleSettings: Configurable {
    static let fields: [Field<Self>] = [
        Field("iterations", \.iterations, .atLeast(1), summary: "optimiser steps of the run"),
        Field("batch", \.batch, .batchOfSeveral, summary: "images per mini-batch"),
        Field("optimizer", \.optimizer, summary: "how gradients become steps"),
        Field("lr", \.lr, .above(0), summary: "learning rate"),
        Field("momentum", \.momentum, .within(0..<1), summary: "sgd's momentum"),
        Field("weightDecay", \.weightDecay, .atLeast(0), summary: "weight decay"),
        Field(
            "normWeightDecay", optional: \.normWeightDecay, .atLeast(0),
            summary: "weight decay of normalisations and of position and query embeddings; null: the others'"),
        Field(
            "frozenNorms", \.frozenNorms,
            summary: "a pretrained backbone's batch norms keep their statistics and constants"),
        Field(
            "backboneLrFactor", \.backboneLrFactor, .atLeast(0), summary: "factor of the learning rate in the backbone"),
        Field(
            "headLrFactor", \.headLrFactor, .atLeast(0),
            summary: "factor of the learning rate in all that is not the backbone"),
        Field(
            "clipNorm", optional: \.clipNorm, .above(0),
            summary: "length that the whole network's gradient is shortened to; null: any length"),
        Field("power", \.power, .atLeast(0), summary: "exponent of the polynomial decay; 0: none"),
        Field("minLr", \.minLr, .atLeast(0), summary: "what the learning rate falls to"),
        Field(
            "warmup", \.warmup, .atLeast(0), summary: "first iterations by cross-entropy alone while the memory fills"),
        Field("lrWarmup", \.lrWarmup, .atLeast(0), summary: "first iterations with a linearly rising learning rate"),
        Field(
            "lrWarmupRatio", optional: \.lrWarmupRatio, .within(0...1),
            summary: "part of the learning rate that the rise begins with; null: a step's share of it"),
    ]
}

extension ScheduleSettings.Optimizer: ConfigurationValue {}

extension CheckpointSettings: Configurable {
    static let fields: [Field<Self>] = [
        Field("every", \.every, .atLeast(1), summary: "iterations between checkpoints"),
        Field("keep", \.keep, .atLeast(1), summary: "how many of the newest stay"),
    ]
}

extension EvaluationSettings: Configurable {
    static let fields: [Field<Self>] = [
        Field(
            "every", optional: \.every, .atLeast(1),
            summary: "iterations between evaluations beside training; null: at the end alone"),
        // 8 times an image's size is far beyond what helps, and still a tensor that fits.
        Field("scales", \.scales, .each(.above(0, upTo: 8)), summary: "image scales whose probabilities are averaged"),
        Field("flip", \.flip, summary: "also averages over the mirrored image"),
        Field(
            "window", \.window,
            summary: "crop: windows of augmentation.crop slide over what exceeds it; whole: each image at once"),
    ]
}

extension EvaluationSettings.Window: ConfigurationValue {}

extension Check where Value == Int {
    /// The heads' image-level branch has one value per image and channel, and batch normalisation needs two to train.
    static var batchOfSeveral: Check {
        Check(
            rule: "between 2 and 65536 (batch normalisation cannot learn from one image)",
            schema: Check.within(2...65536).schema
        ) { (2...65536).contains($0) }
    }
}
