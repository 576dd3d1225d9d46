import Basics
import Configuration
import Contrast
import Imaging
import Models
import NN
import Tensors

/// The network, the projection head and the optimiser, and the parts of a training step that touch them.
///
/// It knows nothing of sockets: the loop around it brings batches and the miners' gradients. The features that scores
/// and embeddings are made from are detached there as leaves, so that cross-entropy can run its backward pass while the
/// miners work; both losses' gradients add up on the leaves before the one pass through what is in front of them.
final class Trainer {
    let recipe: Recipe
    let classes: Int
    let device: Device
    let network: any SegmentationNetwork
    /// What became of the recipe's pretrained weights; nil where it names none.
    let pretrained: WeightReport?
    private let dtype: DType
    private let group: ProcessGroup?
    private let gradientSum: GradientSum?
    private let optimizer: any Optimizer
    private let schedule: PolySchedule

    /// One forward pass and its unfinished history.
    struct Pass {
        /// What scores and embeddings are made from, and the leaves that stand in for it behind the cut.
        let features: [Tensor]
        let leaves: [Tensor]
        let decoded: Decoded
        /// `[B, D, h, w]`, unit length along D, without history.
        let embedding: Tensor?
        /// What the embedding's last layer reads, `[B, C, h, w]`; nil where the projection head learns nothing in this step.
        let activations: Tensor?

        var scores: Scores { decoded.scores }
    }

    /// - Parameters:
    ///   - group: the ranks among which the mini-batch is dealt; nil for one that has it whole.
    ///   - resumes: a checkpoint's weights will follow, so that the recipe's pretrained ones are not looked for.
    ///   - dtype: of parameters and activations; float64 is for comparing calculations, not for training.
    init(
        recipe: Recipe, classes: Int, device: Device, group: ProcessGroup? = nil, resumes: Bool = false,
        dtype: DType = .float32
    ) throws {
        self.recipe = recipe
        self.classes = classes
        self.device = device
        self.dtype = dtype
        self.group = group
        var report: WeightReport?
        var model = recipe.model
        if resumes { model.pretrained = nil }
        network = try Network.initial(
            model, classes: classes, seed: recipe.seed, projecting: recipe.contrast.enabled
        ) { report = $0 }
        pretrained = report
        try network.to(device).to(dtype).train().requiresGrad(true)
        network.synchronizeBatchNorm(over: group)
        if recipe.schedule.frozenNorms, recipe.model.pretrained != nil { try network.freezeBackboneNorms() }

        let settings = recipe.schedule
        schedule = PolySchedule(
            base: settings.lr, total: settings.iterations, power: settings.power, floor: settings.minLr,
            ramp: settings.lrWarmup, from: settings.lrWarmupRatio)
        let parameters = network.namedParameters()
        gradientSum = group.map { GradientSum(parameters, over: $0) }
        let groups = network.parameterGroups(settings)
        switch settings.optimizer {
        case .sgd: optimizer = SGD(groups, momentum: settings.momentum)
        case .adamw: optimizer = AdamW(groups)
        }
    }

    /// Red, green and blue that the network's normalisation maps nearest to 0: what lies beyond an image's edge.
    var padding: [UInt8] {
        let color = paddingColor(mean: network.inputNormalization.mean)
        return [color.red, color.green, color.blue]
    }

    // MARK: A step's parts, in their order

    /// - Parameter learnsEmbedding: whether the projection head gets a gradient in this step. While the schedule warms
    ///   up it does not; its running statistics follow the features all the same.
    func forward(_ batch: Batch, learnsEmbedding: Bool) throws -> Pass {
        let input = try batch.input(network.inputNormalization, device: device).to(dtype)
        return try recipe.model.precision.compute(on: device) {
            let features = try network.features(input)
            let leaves = try features.map { try $0.detach().requiresGrad(true) }
            let decoded = try network.decode(leaves).widened()
            var embedding: Tensor?
            var activations: Tensor?
            if let projection = network.projection {
                let pixels = leaves[leaves.count - 1]
                if learnsEmbedding { activations = try projection.activations(of: pixels) }
                embedding = try withoutGradient {
                    try projection.embeddings(of: activations ?? projection.activations(of: pixels))
                }
            }
            return Pass(
                features: features, leaves: leaves, decoded: decoded, embedding: embedding, activations: activations)
        }
    }

    /// The network's own loss against the labels, mostly cross-entropy, and its gradients down to the leaves.
    ///
    /// - Returns: the main scores' loss, of several ranks this one's share of it; 0 for a batch without a labelled pixel.
    ///   And what comes beside it, as it is weighed; nil where nothing does.
    func backwardFromScores(_ pass: Pass, batch: Batch) throws -> (main: Double, auxiliary: Double?) {
        guard batch.labelled > 0 else { return (0, nil) }
        var targets = SegmentationTargets(labels: try batch.targets(device: device), labelled: batch.labelled)
        if let group { targets.sum = { try group.sum([$0])[0] } }
        let loss = try network.loss(pass.decoded, targets)
        let main = try loss.main.item()
        let auxiliary = loss.total.isSame(as: loss.main) ? nil : try loss.total.item() - main
        try loss.total.backward()
        return (main, auxiliary)
    }

    /// The contrastive loss's gradients, from the anchors down to the projection head and the leaves.
    ///
    /// - Parameters:
    ///   - pixels: the anchors' places in `[B·h·w]`. Of several ranks all must call this if one does, also those without
    ///     anchors: the projection head's batch normalisation is a joint operation.
    ///   - gradient: dL_NCE / d(anchors), `[anchors, D]`.
    func backwardFromAnchors(_ pass: Pass, at pixels: [Int], _ gradient: [Float]) throws {
        let (activations, dimension) = (pass.activations!, pass.embedding!.size(1))
        // A convolution of no pixel is none: one that learns nothing stands for it.
        let (pixels, gradient) =
            pixels.isEmpty ? ([0], [Float](repeating: 0, count: dimension)) : (pixels, gradient)
        // Normalisation and last layer are of each pixel by itself, so they are gone back through at the anchors alone.
        let channels = activations.size(1)
        let rows = try activations.permute([0, 2, 3, 1]).reshape([-1, channels])  // [B·h·w, C]
        let picked = try rows.indexSelect(dim: 0, Tensor(pixels.map(Int64.init), device: device))
        let map = try picked.reshape([1, pixels.count, 1, channels]).permute([0, 3, 1, 2])
        let anchors = try recipe.model.precision.compute(on: device) { try network.projection!.embeddings(of: map) }
        let weighted = try Tensor(gradient, shape: [1, pixels.count, 1, dimension], device: device)
            .mul_(Double(recipe.contrast.lambda)).to(dtype).permute([0, 3, 1, 2])
        try anchors.backward(gradient: weighted)
    }

    /// The one pass through the backbone and what else made the features, from the gradients collected on the leaves.
    func backwardThroughBackbone(_ pass: Pass) throws {
        // Feature maps share their history, so they go back together. Those that no loss has read have no gradient and
        // are left out.
        let roots = try zip(pass.features, pass.leaves).compactMap { feature, leaf in
            try leaf.grad.map { (tensor: feature, gradient: $0) }
        }
        try Tensor.backward(roots)
    }

    /// Adds up the ranks' gradients, so that each has the whole mini-batch's.
    func sumGradients() throws { try gradientSum?() }

    /// Steps the optimiser and drops the gradients.
    ///
    /// - Parameters:
    ///   - step: from 1.
    ///   - embedding: whether the projection head is stepped; if not, weight decay leaves it alone too.
    /// - Returns: the learning rate used.
    func update(step: UInt64, embedding: Bool) throws -> Double {
        let rate = schedule.rate(at: Int(step) - 1)
        if let longest = recipe.schedule.clipNorm { try network.namedParameters().clipGradients(to: longest) }
        try optimizer.step(learningRate: rate, skipping: embedding ? [] : ParameterGroup.ofProjection)
        try optimizer.zeroGrad()
        return rate
    }

    // MARK: State

    func modelState() -> NamedTensors { network.stateDict() }

    func optimizerState() throws -> NamedTensors { try optimizer.state() }

    func load(model: NamedTensors, optimizer state: NamedTensors) throws {
        try network.load(model)
        try optimizer.load(state)
    }
}
