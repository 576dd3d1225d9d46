import Basics
import NN
import Tensors

/// HRNetV2 (Wang et al., "Deep High-Resolution Representation Learning for Visual Recognition", 2020), as the authors'
/// HRNet-Semantic-Segmentation has it, whose state keys it carries: branches of 1/4, 1/8, 1/16 and 1/32 of the input's
/// size run side by side and exchange what they know at the end of every module.
public final class HRNetV2: Module, Backbone {
    /// One stage: as many branches as it has channel counts.
    public struct Stage: Sendable, Equatable {
        public var modules: Int
        public var block: ResNet.Configuration.Block
        /// Blocks and channels of each branch, finest first.
        public var blocks: [Int]
        public var channels: [Int]

        public init(modules: Int, block: ResNet.Configuration.Block = .basic, blocks: [Int], channels: [Int]) {
            self.modules = modules
            self.block = block
            self.blocks = blocks
            self.channels = channels
        }

        /// What its branches return.
        var outgoing: [Int] { channels.map { $0 * (block == .basic ? 1 : Bottleneck.expansion) } }
    }

    public struct Configuration: Sendable {
        /// The four stages; the first has one branch.
        public var stages: [Stage]
        public var fusing: Fusing
        /// Momentum of all norms.
        public var momentum: Double

        public init(stages: [Stage], fusing: Fusing = .bilinear(alignCorners: true), momentum: Double = 0.1) {
            self.stages = stages
            self.fusing = fusing
            self.momentum = momentum
        }

        /// The published layout for any width C: 18, 32, 48, …
        ///
        /// - Parameter alignCorners: true in the authors' branch HRNet-OCR, false in pytorch-v1.1, whose norms also have
        ///   momentum 0.01.
        /// - Throws: `UserError` for a width that is not positive.
        public static func width(_ width: Int, alignCorners: Bool = true) throws -> Configuration {
            guard width > 0 else { throw UserError("HRNetV2 of width \(width): must be above 0") }
            func channels(_ branches: Int) -> [Int] { (0..<branches).map { width << $0 } }
            return Configuration(
                stages: [
                    Stage(modules: 1, block: .bottleneck, blocks: [4], channels: [64]),
                    Stage(modules: 1, blocks: [4, 4], channels: channels(2)),
                    Stage(modules: 4, blocks: [4, 4, 4], channels: channels(3)),
                    Stage(modules: 3, blocks: [4, 4, 4, 4], channels: channels(4)),
                ], fusing: .bilinear(alignCorners: alignCorners), momentum: alignCorners ? 0.1 : 0.01)
        }
    }

    /// How a coarser branch reaches a finer one's size.
    public enum Fusing: Sendable, Equatable {
        /// To the finer branch's size, as the authors' segmentation networks do it; any input size is possible.
        case bilinear(alignCorners: Bool)
        /// By the ratio of the strides, as the authors' and timm's image classifiers do it: the input's height and width
        /// must be multiples of 32.
        case nearest
    }

    @Child("conv1") var stem1: Conv2d
    @Child("bn1") var stemNorm1: BatchNorm2d
    @Child("conv2") var stem2: Conv2d
    @Child("bn2") var stemNorm2: BatchNorm2d
    @Child("layer1") var stage1: Sequential
    @Child var transition1: BranchTransition
    @Child var stage2: [HighResolutionModule]
    @Child var transition2: BranchTransition
    @Child var stage3: [HighResolutionModule]
    @Child var transition3: BranchTransition
    @Child var stage4: [HighResolutionModule]

    public let configuration: Configuration
    public var featureChannels: [Int] { configuration.stages[3].outgoing }
    public let inputNormalization = InputNormalization.imageNet
    /// The segmentation code's, whatever a convolution's size.
    public var initialization: InitializationRule { .normalConvolutions(deviation: 0.001) }

    /// - Precondition: four stages of one to four branches, with a number of blocks for each.
    public init(_ configuration: Configuration) throws {
        let stages = configuration.stages
        precondition(
            stages.map(\.channels.count) == [1, 2, 3, 4] && stages.allSatisfy { $0.blocks.count == $0.channels.count },
            "stages of one to four branches")
        self.configuration = configuration
        let norm = NormConstants(momentum: configuration.momentum)
        super.init()
        stem1 = try .spatial3x3(3, 64, stride: 2)
        stemNorm1 = try BatchNorm2d(64, norm)
        stem2 = try .spatial3x3(64, 64, stride: 2)
        stemNorm2 = try BatchNorm2d(64, norm)
        stage1 = try Sequential(64, stages[0], 0, norm)
        func modules(_ stage: Stage) throws -> [HighResolutionModule] {
            try (0..<stage.modules).map { _ in
                try HighResolutionModule(stage, fusing: configuration.fusing, norm)
            }
        }
        transition1 = try BranchTransition(from: stages[0].outgoing, to: stages[1].outgoing, norm)
        stage2 = try modules(stages[1])
        transition2 = try BranchTransition(from: stages[1].outgoing, to: stages[2].outgoing, norm)
        stage3 = try modules(stages[2])
        transition3 = try BranchTransition(from: stages[2].outgoing, to: stages[3].outgoing, norm)
        stage4 = try modules(stages[3])
    }

    /// `[B, 3, H, W] -> [[B, C, H/4, W/4], [B, 2C, H/8, W/8], [B, 4C, H/16, W/16], [B, 8C, H/32, W/32]]`, rounded up.
    ///
    /// - Throws: `TensorError` for a size that nearest fusing cannot handle.
    public func features(_ images: Tensor) throws -> [Tensor] { try stages(images)[3] }

    /// What each stage returns.
    func stages(_ images: Tensor) throws -> [[Tensor]] {
        if configuration.fusing == .nearest, images.size(2) % 32 != 0 || images.size(3) % 32 != 0 {
            throw TensorError(
                operation: "HRNetV2", arguments: [images.description],
                reason: "with nearest fusing, height and width must be multiples of 32")
        }
        let x = try stemNorm1.relu(stem1(images))  // [B, 64, H/2, W/2]
        let y1 = try stage1(stemNorm2.relu(stem2(x)))  // [B, 256, H/4, W/4]
        let y2 = try stage2.reduce(transition1([y1])) { try $1($0) }
        let y3 = try stage3.reduce(transition2(y2)) { try $1($0) }
        let y4 = try stage4.reduce(transition3(y3)) { try $1($0) }
        return [[y1], y2, y3, y4]
    }

    /// Weights of the authors' or timm's image classifiers, without what follows the last stage there, and of the
    /// authors' segmentation networks, whose names may begin with `model.`.
    public func ownNames(_ published: NamedTensors) -> NamedTensors {
        published.renamed { name in
            let name = name.hasPrefix("model.") ? String(name.dropFirst(6)) : name
            let rest = ["incre_modules.", "downsamp_modules.", "final_layer.", "classifier."]
            return rest.contains { name.hasPrefix($0) } ? nil : name
        }
    }
}

/// Brings the branches of one stage to those of the next: a 3x3 convolution where the channels differ, and for a new
/// branch strided ones from the coarsest there was.
final class BranchTransition: Module {
    /// Per branch, an `Identity` where nothing is to be done.
    @Child("") var branches: [Module & Layer]

    init(from old: [Int], to new: [Int], _ norm: NormConstants) throws {
        super.init()
        branches = try new.enumerated().map { index, channels -> Module & Layer in
            if index < old.count {
                return old[index] == channels
                    ? Identity() : try ConvNormActivation(old[index], channels, kernel: 3, norm: norm)
            }
            let coarsest = old[old.count - 1]
            return try Sequential(
                (old.count...index).map {
                    try ConvNormActivation(
                        coarsest, $0 == index ? channels : coarsest, kernel: 3, stride: 2, norm: norm)
                })
        }
    }

    func callAsFunction(_ x: [Tensor]) throws -> [Tensor] {
        try branches.enumerated().map { index, layer in try layer(index < x.count ? x[index] : x[x.count - 1]) }
    }
}

/// Parallel branches of blocks, then each branch's sum over all of them, brought to its size.
final class HighResolutionModule: Module {
    @Child var branches: [Sequential]
    /// For branch i what branch j goes through on its way there; an `Identity` where i = j.
    @Child("fuse_layers") var fusions: [BranchFusion]

    init(_ stage: HRNetV2.Stage, fusing: HRNetV2.Fusing, _ norm: NormConstants) throws {
        super.init()
        let channels = stage.outgoing
        branches = try channels.indices.map { try Sequential(channels[$0], stage, $0, norm) }
        fusions = try channels.indices.map { try BranchFusion(to: $0, channels: channels, fusing: fusing, norm) }
    }

    func callAsFunction(_ x: [Tensor]) throws -> [Tensor] {
        let y = try zip(branches, x).map { try $0($1) }
        return try fusions.map { try $0(y) }
    }
}

/// The sum over all branches at one branch's size.
final class BranchFusion: Module {
    @Child("") var paths: [Module & Layer]
    private let target: Int
    private let fusing: HRNetV2.Fusing

    init(to target: Int, channels: [Int], fusing: HRNetV2.Fusing, _ norm: NormConstants) throws {
        self.target = target
        self.fusing = fusing
        super.init()
        paths = try channels.enumerated().map { source, incoming -> Module & Layer in
            if source == target { return Identity() }
            if source > target {
                return try ConvNormActivation(incoming, channels[target], kernel: 1, norm: norm, activation: .none)
            }
            return try Sequential(
                (source + 1...target).map { level in
                    try ConvNormActivation(
                        incoming, level == target ? channels[target] : incoming, kernel: 3, stride: 2, norm: norm,
                        activation: level == target ? .none : .relu)
                })
        }
    }

    /// `x`: all branches, finest first.
    func callAsFunction(_ x: [Tensor]) throws -> Tensor {
        let size = Size2D(x[target].size(2), x[target].size(3))
        let terms = try zip(paths, x).enumerated().map { source, pair in
            let y = try pair.0(pair.1)
            guard source > target else { return y }
            switch fusing {
            case .bilinear(let alignCorners): return try y.interpolate(size, .bilinear(alignCorners: alignCorners))
            case .nearest: return try y.interpolate(factor: Double(1 << (source - target)), .nearest)
            }
        }
        // The first addition makes a tensor of its own, which the others may change.
        let sum = try terms.dropFirst(2).reduce(terms[0] + terms[1]) { try $0.add_($1) }
        return try sum.relu_()
    }
}

extension Sequential {
    /// The blocks of a stage's branch.
    fileprivate convenience init(_ incoming: Int, _ stage: HRNetV2.Stage, _ branch: Int, _ norm: NormConstants) throws {
        let channels = stage.channels[branch]
        let outgoing = stage.outgoing[branch]
        try self.init(
            (0..<stage.blocks[branch]).map { index -> Module & Layer in
                let from = index == 0 ? incoming : outgoing
                switch stage.block {
                case .basic: return try BasicBlock(from, channels, norm: norm)
                case .bottleneck: return try Bottleneck(from, channels, norm: norm)
                }
            })
    }
}
