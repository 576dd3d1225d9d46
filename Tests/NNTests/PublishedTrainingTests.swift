import NN
import Tensors
import Testing

/// What the published trainings of transformers have beyond a polynomial decline and one rate for all.
@Suite struct PublishedTrainingTests {
    /// mmcv's `get_warmup_lr` with `warmup='linear'`, times the declined rate, as it computes them.
    @Test func segFormersWarmUpBeginsWithItsRatio() {
        let schedule = PolySchedule(base: 6e-5, total: 160_000, power: 1, ramp: 1500, from: 1e-6)
        let expected = [
            (0, 6.000000000172534e-11), (1, 4.005970962525067e-08), (749, 2.9819779649375256e-05),
            (1499, 5.939824978962525e-05), (1500, 5.94375e-5), (80_000, 3e-5),
        ]
        for (step, rate) in expected { #expect(abs(schedule.rate(at: step) / rate - 1) < 1e-9, "step \(step)") }
    }

    /// (lr - min) · (1 - s / total)^0.9 + min, of Segmenter's `PolynomialLR`.
    @Test func segmentersRateFallsToItsFloor() {
        let schedule = PolySchedule(base: 0.01, total: 100, floor: 1e-5)
        #expect(schedule.rate(at: 0) == 0.01)
        #expect(abs(schedule.rate(at: 50) - 0.00536350845) < 1e-10)
        #expect(schedule.rate(at: 100) == 1e-5 && schedule.rate(at: 1000) == 1e-5)
    }

    private func gradients(_ values: [[Double]]) throws -> NamedTensors {
        var parameters = NamedTensors()
        for (index, value) in values.enumerated() {
            let parameter = try Tensor([Double](repeating: 0, count: value.count)).requiresGrad(true)
            try parameter.setGrad(Tensor(value))
            parameters["p\(index)"] = parameter
        }
        parameters["without"] = try Tensor([1.0]).requiresGrad(true)
        return parameters
    }

    /// `torch.nn.utils.clip_grad_norm_(…, 0.5)` of lengths 3 and 0.3.
    @Test func gradientsAreShortenedTogetherAsInPyTorch() throws {
        let long = try gradients([[1, -2], [2]])
        try long.clipGradients(to: 0.5)
        let found = try [long["p0"]!, long["p1"]!].flatMap { try #require(try $0.grad).array(of: Double.self) }
        for (a, b) in zip(found, [0.16666661111112963, -0.33333322222225925, 0.33333322222225925]) {
            #expect(abs(a - b) < 1e-12)
        }
        #expect(try long["without"]!.grad == nil)
        let short = try gradients([[0.1, -0.2], [0.2]])
        try short.clipGradients(to: 0.5)
        #expect(try short["p0"]!.grad!.array(of: Double.self) == [0.1, -0.2])
        try NamedTensors().clipGradients(to: 1)
    }

    @Test func namesOfWhatIsNotDecayedAreFull() throws {
        final class Block: Module {
            @Child var norm: LayerNorm
            @Child("fc") var linear: Linear
            override init() { super.init() }
        }
        final class Net: Module {
            @Child("") var block: Block
            @Child var norms: [BatchNorm2d]
            override init() { super.init() }
        }
        let net = Net()
        net.block = Block()
        net.block.norm = try LayerNorm(2)
        net.block.linear = try Linear(2, 2)
        net.norms = [try BatchNorm2d(3)]
        #expect(net.undecayedNames() == ["norm.weight", "norm.bias", "norms.0.weight", "norms.0.bias"])
        #expect(net.parameterNames(of: net.block) == ["norm.weight", "norm.bias", "fc.weight", "fc.bias"])
        #expect(net.parameterNames(of: try Linear(1, 1)).isEmpty)
    }
}
