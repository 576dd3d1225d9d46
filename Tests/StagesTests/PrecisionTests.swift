import Basics
import Configuration
import Contrast
import Imaging
import Models
import Tensors
import Testing

@testable import ComputeStage
@testable import EvaluatorStage

/// Training and inference in bf16: every network, against float32, and twice the same bits.
@Suite(.serialized) struct PrecisionTests {
    /// Every head, on each kind of backbone that it has, at small widths.
    static let models: [ModelSettings] = [
        model(.mobilenetv1, .deeplabv3, 0.25), model(.mobilenetv2, .deeplabv3, 0.5),
        model(.mobilenetv3, .deeplabv3, 0.5), model(.resnet18, .deeplabv3, 0.25), model(.resnet50, .deeplabv3, 0.125),
        model(.hrnetv2w18, .hrnet, 0.25), model(.hrnetv2w48, .ocrnet, 0.1), model(.mitb0, .segformer, 0.25),
        model(.vitt16, .segmenter, 0.25), model(.swint, .maskformer, 0.25), model(.resnet50, .maskformer, 0.125),
    ]

    private static func model(
        _ backbone: ModelSettings.Backbone, _ head: ModelSettings.Head, _ width: Float
    ) -> ModelSettings {
        var model = ModelSettings()
        (model.backbone, model.head, model.width) = (backbone, head, width)
        model.auxiliary = backbone == .resnet18
        model.embedding = 16
        model.atrousRates = [1, 2, 3]
        return model
    }

    private static func trainer(
        _ model: ModelSettings, _ precision: ModelSettings.Precision, steady: Bool = false
    ) throws -> Trainer {
        var recipe = Recipe()
        recipe.seed = 5
        recipe.model = model
        recipe.model.precision = precision
        if steady { (recipe.model.dropout, recipe.model.dropPath) = (0, 0) }
        recipe.schedule.batch = 2
        recipe.schedule.iterations = 10
        recipe.schedule.lr = 0.005
        let trainer = try Trainer(recipe: recipe, classes: 4, device: .cpu)
        if steady { trainer.stopAuxiliaryDropout() }
        return trainer
    }

    private static let (height, width) = (64, 96)

    /// Two images of blocks of colour with some noise, and the blocks as labels.
    private static func batch(step: UInt64 = 0) throws -> Batch {
        let samples = (0..<2).map { row in
            var random = KeyedRandom(seed: 9, purpose: "test", step: step, index: UInt64(row))
            let values = (0..<height * width).map { pixel -> UInt8 in
                let (y, x) = (pixel / width, pixel % width)
                return y < 3 ? 255 : UInt8((y / 24 + x / 32 + row) % 4)
            }
            let pixels = (0..<height * width * 3).map { index -> UInt8 in
                UInt8(truncatingIfNeeded: random.next()) / 4 &+ values[index / 3] &* UInt8(20 + 20 * (index % 3))
            }
            return Sample(image: ImageID(row), pixels: SharedBytes(pixels), labels: SharedBytes(values))
        }
        return try Batch(samples, height: height, width: width)
    }

    private static let anchors = [0, 1, 2, 3]

    /// The gradients of a step, before the update.
    private static func differentiate(_ trainer: Trainer, step: UInt64) throws -> (loss: Double, pass: Trainer.Pass) {
        try Torch.seed(step)
        let batch = try batch(step: step)
        let pass = try trainer.forward(batch, learnsEmbedding: true)
        let loss = try trainer.backwardFromScores(pass, batch: batch).main
        let pull = (0..<anchors.count * 16).map { Float($0 % 5) / 50 - 0.04 }
        try trainer.backwardFromAnchors(pass, at: anchors, pull)
        try trainer.backwardThroughBackbone(pass)
        return (loss, pass)
    }

    @Test(arguments: models) func networkTrainsInBf16AndTwiceTheSame(_ model: ModelSettings) throws {
        func train() throws -> (losses: [Double], weights: NamedTensors) {
            // Without draws: other tests share the generator with this one.
            let trainer = try Self.trainer(model, .bf16, steady: true)
            let losses = try (1...3).map { step in
                let (loss, pass) = try Self.differentiate(trainer, step: UInt64(step))
                #expect(pass.scores.main.dtype == .float32)
                #expect(pass.embedding?.dtype == .float32)
                for (name, parameter) in trainer.network.namedParameters() {
                    #expect(parameter.dtype == .float32, "\(name)")
                    guard let gradient = try parameter.grad else { continue }
                    #expect(try gradient.dtype == .float32 && gradient.isFinite().all(), "\(name)")
                }
                _ = try trainer.update(step: UInt64(step), embedding: true)
                return loss
            }
            return (losses, trainer.modelState())
        }
        let (first, second) = (try train(), try train())
        #expect(first.losses.allSatisfy { $0.isFinite && $0 > 0 }, "\(first.losses)")
        #expect(first.losses == second.losses)
        for (name, tensor) in first.weights {
            #expect(try tensor.isEqual(to: second.weights[name]!), "\(name)")
        }
    }

    /// With the norms' running statistics: those of so small a batch amplify rounding until nothing is left.
    @Test(arguments: models) func lossAndGradientsAreThoseOfFloat32ToItsRounding(_ model: ModelSettings) throws {
        let wide = try Self.trainer(model, .float32, steady: true)
        let narrow = try Self.trainer(model, .bf16, steady: true)
        for trainer in [wide, narrow] { trainer.network.eval() }
        let (expected, _) = try Self.differentiate(wide, step: 1)
        let (found, pass) = try Self.differentiate(narrow, step: 1)
        #expect(expected != found, "bf16 was not used")
        #expect(abs(found / expected - 1) < 0.03, "\(found) \(expected)")
        let lengths: [Float] = try pass.embedding!.norm(dims: [1]).array()
        #expect(lengths.allSatisfy { abs($0 - 1) < 1e-5 }, "unit vectors in float32's sense")
        var (product, a, b) = (0.0, 0.0, 0.0)
        let parameters = narrow.network.namedParameters()
        for (name, parameter) in wide.network.namedParameters() {
            guard let gradient = try parameter.grad else { continue }
            let other = try #require(try parameters[name]?.grad, "\(name)")
            product += try (gradient * other).sum().item()
            a += try gradient.square().sum().item()
            b += try other.square().sum().item()
        }
        let cosine = product / (a * b).squareRoot()
        // MobileNetV2's random weights amplify rounding twenty times as much as the others', in float32 as well.
        #expect(cosine > (model.backbone == .mobilenetv2 ? 0.5 : 0.9), "\(cosine)")
    }

    /// Features, scores and embeddings in training, in either precision; convolutions keep the order they are given.
    @Test(arguments: models, ModelSettings.Precision.allCases)
    func memoryIsChannelsLastThroughout(_ model: ModelSettings, _ precision: ModelSettings.Precision) throws {
        let trainer = try Self.trainer(model, precision)
        let (_, pass) = try Self.differentiate(trainer, step: 1)
        let tensors = pass.features + [pass.embedding!]
        #expect(tensors.allSatisfy { $0.isContiguous(.channelsLast) }, "\(tensors)")
        if model.head != .maskformer { #expect(pass.scores.main.isContiguous(.channelsLast)) }
        for (name, parameter) in trainer.network.namedParameters() where parameter.dim == 4 {
            #expect(parameter.isContiguous(.channelsLast), "\(name)")
        }
    }

    @Test(arguments: models.prefix(2)) func inferenceInBf16LabelsAlmostAllPixelsTheSame(_ model: ModelSettings) throws {
        let trainer = try Self.trainer(model, .float32)
        for step in 1...8 as ClosedRange<UInt64> {
            _ = try Self.differentiate(trainer, step: step)
            _ = try trainer.update(step: step, embedding: true)
        }
        let network = trainer.network.eval()
        let bytes = try Self.batch().pixels
        let image = Image(width: Self.width, height: Self.height) { target in
            bytes.withUnsafeBytes { target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<target.count])) }
        }
        func probabilities(_ precision: ModelSettings.Precision) throws -> Tensor {
            try Inference(network: network, settings: EvaluationSettings(), precision: precision)
                .probabilities(of: image)
        }
        let (wide, narrow) = (try probabilities(.float32), try probabilities(.bf16))
        #expect(narrow.dtype == .float32)
        let difference = try (wide - narrow).abs().mean().item()
        #expect(difference > 0 && difference < 0.01)
    }

    @Test func aProcessorWithoutInstructionsForBf16IsNamed() {
        let bf16 = ModelSettings.Precision.bf16
        let old = "processor\t: 0\nflags\t\t: fpu sse2 avx2 avx512f\nbugs\t\t: avx512_bf16\n"
        #expect(bf16.warning(on: .cpu, cpuinfo: old)?.contains("float32 is faster") == true)
        #expect(bf16.warning(on: .cpu, cpuinfo: "flags\t\t: fpu avx512_bf16 avx512f\n") == nil)
        #expect(bf16.warning(on: .cpu, cpuinfo: "Features\t: fp asimd bf16\n") == nil)
        #expect(bf16.warning(on: .cpu, cpuinfo: "nothing of the kind") == nil)
        #expect(bf16.warning(on: .cuda(0), cpuinfo: old) == nil)
        #expect(ModelSettings.Precision.float32.warning(on: .cpu, cpuinfo: old) == nil)
    }
}
