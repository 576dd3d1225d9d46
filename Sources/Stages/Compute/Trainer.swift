import Basics
import Configuration
import Contrast
import Imaging
import Models
import NN
import Tensors

/// The network, the projection head and the optimiser, and the parts of a training step that touch them.
///
/// It knows nothing of sockets: the loop around it brings batches and the miners' gradients. The tensors that leave
/// the backbone are detached there as leaves, so that cross-entropy can run its backward pass while the miners work;
/// both losses' gradients add up on the leaves before the one pass through the backbone.
final class Trainer {
    let recipe: Recipe
    let classes: Int
    let device: Tensors.Device
    let network: any SegmentationNetwork
    private let optimizer: any Optimizer
    private let schedule: PolySchedule

    /// One forward pass and its unfinished history.
    struct Pass {
        /// What left the backbone, and the leaves that stand in for it behind the cut.
        let features: [Tensor]
        let leaves: [Tensor]
        let scores: Scores
        /// `[B, D, h, w]`, unit length along D.
        let embedding: Tensor?
    }

    init(recipe: Recipe, classes: Int, device: Tensors.Device) throws {
        self.recipe = recipe
        self.classes = classes
        self.device = device
        network = try Network.initial(
            recipe.model, classes: classes, seed: recipe.seed, projecting: recipe.contrast.enabled)
        try network.to(device).train().requiresGrad(true)

        let settings = recipe.schedule
        schedule = PolySchedule(
            base: settings.lr, total: settings.iterations, power: settings.power, ramp: settings.lrWarmup)
        let parameters = network.namedParameters()
        let projection = parameters.renamed { $0.hasPrefix(NamedTensors.projectionPrefix) ? $0 : nil }
        var groups = [ParameterGroup("network", parameters.withoutProjection, weightDecay: settings.weightDecay)]
        if !projection.isEmpty {
            groups.append(ParameterGroup(Self.projectionGroup, projection, weightDecay: settings.weightDecay))
        }
        switch settings.optimizer {
        case .sgd: optimizer = SGD(groups, momentum: settings.momentum)
        case .adamw: optimizer = AdamW(groups)
        }
    }

    private static let projectionGroup = "projection"

    /// Red, green and blue that the network's normalisation maps nearest to 0: what lies beyond an image's edge.
    var padding: [UInt8] {
        let color = paddingColor(mean: network.inputNormalization.mean)
        return [color.red, color.green, color.blue]
    }

    // MARK: A step's parts, in their order

    /// - Parameter learnsEmbedding: whether the projection head gets a gradient in this step. While the schedule warms
    ///   up it does not; its running statistics follow the features all the same.
    func forward(_ batch: Batch, learnsEmbedding: Bool) throws -> Pass {
        let features = try network.features(batch.input(network.inputNormalization, device: device))
        let leaves = try features.map { try $0.detach().requiresGrad(true) }
        var embedding: Tensor?
        if network.projection != nil {
            embedding =
                learnsEmbedding
                ? try network.embedding(leaves) : try withoutGradient { try network.embedding(leaves) }
        }
        return Pass(features: features, leaves: leaves, scores: try network.scores(leaves), embedding: embedding)
    }

    /// Cross-entropy at the labels' resolution, mean over the labelled pixels, and its gradients down to the leaves.
    ///
    /// - Returns: the loss; 0 for a batch without a labelled pixel.
    func backwardFromScores(_ pass: Pass, batch: Batch) throws -> Double {
        guard batch.labelled > 0 else { return 0 }
        let targets = try batch.targets(device: device)
        let size = Size2D(batch.labels.height, batch.labels.width)
        func loss(_ scores: Tensor) throws -> Tensor {
            // A sum over a count rather than the operator's mean, which is 0/0 without labelled pixels and whose
            // normaliser could not be shared between ranks.
            try network.resized(scores, to: size).crossEntropy(targets, ignoring: 255, reduction: .sum)
                / Double(batch.labelled)
        }
        var total = try loss(pass.scores.main)
        let value = try total.item()
        for auxiliary in pass.scores.auxiliary { total = try total + loss(auxiliary.scores) * auxiliary.weight }
        try total.backward()
        return value
    }

    /// The contrastive loss's gradients, from the anchors down to the projection head and the leaves.
    ///
    /// - Parameters:
    ///   - pixels: the anchors' places in `[B·h·w]`.
    ///   - gradient: dL_NCE / d(anchors), `[anchors, D]`.
    func backwardFromAnchors(_ pass: Pass, at pixels: [Int], _ gradient: [Float]) throws {
        let embedding = pass.embedding!
        let dimension = embedding.size(1)
        let rows = try embedding.permute([0, 2, 3, 1]).reshape([-1, dimension])  // [B·h·w, D]
        let anchors = try rows.indexSelect(dim: 0, Tensor(pixels.map(Int64.init), device: device))
        let weighted = try Tensor(gradient, shape: [pixels.count, dimension], device: device)
            .mul_(Double(recipe.contrast.lambda))
        try anchors.backward(gradient: weighted)
    }

    /// The one pass through the backbone, from the gradients collected on the leaves.
    func backwardThroughBackbone(_ pass: Pass) throws {
        // Feature maps of one backbone share its history, so they go back together. Those that no loss has read have no
        // gradient and are left out.
        let roots = try zip(pass.features, pass.leaves).compactMap { feature, leaf in
            try leaf.grad.map { (tensor: feature, gradient: $0) }
        }
        try Tensor.backward(roots)
    }

    /// Steps the optimiser and drops the gradients.
    ///
    /// - Parameters:
    ///   - step: from 1.
    ///   - embedding: whether the projection head is stepped; if not, weight decay leaves it alone too.
    /// - Returns: the learning rate used.
    func update(step: UInt64, embedding: Bool) throws -> Double {
        let rate = schedule.rate(at: Int(step) - 1)
        try optimizer.step(learningRate: rate, skipping: embedding ? [] : [Self.projectionGroup])
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
