import NN
import Tensors
import Testing

/// torchvision's basic block: a child with another key, an optional one, an array.
private final class Block: Module, Layer {
    @Child var conv1: Conv2d
    @Child var bn1: BatchNorm2d
    @Child("downsample") var projection: Sequential?

    init(_ input: Int, _ output: Int) throws {
        super.init()
        conv1 = try Conv2d(input, output, kernel: 3, padding: 1, bias: false)
        bn1 = try BatchNorm2d(output)
        if input != output {
            projection = Sequential(try Conv2d(input, output, kernel: 1, bias: false), try BatchNorm2d(output))
        }
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        try (bn1(conv1(x)) + (projection?(x) ?? x)).relu()
    }
}

private final class Network: Module, Layer {
    @Parameter("cls_token") var token: Tensor
    @Child("layer1") var blocks: [Block]
    @Child var fc: Linear
    @Buffer(persistent: false) var table: Tensor

    init(width: Int = 4) throws {
        super.init()
        token = try Tensor.zeros([1, width, 1, 1])
        table = try Tensor.arange(3)
        blocks = [try Block(3, width), try Block(width, width)]
        fc = try Linear(width, 2)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let features = try blocks.reduce(x) { try $1($0) } + token  // [B, width, H, W]
        return try fc(features.mean(dims: [2, 3]))  // [B, 2]
    }
}

private let expectedState = [
    "cls_token",
    "layer1.0.conv1.weight", "layer1.0.bn1.weight", "layer1.0.bn1.bias", "layer1.0.bn1.running_mean",
    "layer1.0.bn1.running_var", "layer1.0.bn1.num_batches_tracked",
    "layer1.0.downsample.0.weight", "layer1.0.downsample.1.weight", "layer1.0.downsample.1.bias",
    "layer1.0.downsample.1.running_mean", "layer1.0.downsample.1.running_var",
    "layer1.0.downsample.1.num_batches_tracked",
    "layer1.1.conv1.weight", "layer1.1.bn1.weight", "layer1.1.bn1.bias", "layer1.1.bn1.running_mean",
    "layer1.1.bn1.running_var", "layer1.1.bn1.num_batches_tracked",
    "fc.weight", "fc.bias",
]

private func image() throws -> Tensor {
    try Tensor.arange(2 * 3 * 6 * 6, dtype: .float32).reshape([2, 3, 6, 6]).sin().channelsLast()
}

@Test func stateHasPyTorchsNamesInModuleOrder() throws {
    let network = try Network()
    #expect(network.stateDict().names == expectedState)
    #expect(network.namedParameters().names == expectedState.filter { !$0.contains("running") && !$0.contains("num_") })
    #expect(try Block(4, 4).projection == nil)
}

@Test func sequentialNumbersOrNamesItsLayers() throws {
    let numbered = Sequential(Identity(), try Linear(2, 3), ReLU(), try Linear(3, 1, bias: false))
    #expect(numbered.stateDict().names == ["1.weight", "1.bias", "3.weight"])
    let named = Sequential(named: [("first", try Linear(2, 3)), ("second", numbered)])
    #expect(
        named.stateDict().names == [
            "first.weight", "first.bias", "second.1.weight", "second.1.bias", "second.3.weight",
        ])
}

@Test func networkTrainsEveryParameter() throws {
    let network = try Network()
    try network.initialize(seed: 1)
    let loss = try network(image()).crossEntropy(Tensor([0, 1]))
    try loss.backward()
    for (name, parameter) in network.namedParameters() {
        let gradient = try #require(try parameter.grad, "\(name) has no gradient")
        #expect(gradient.shape == parameter.shape)
        #expect(try gradient.isFinite().all())
    }
    #expect(try network.fc.weight.grad!.abs().sum().item() > 0)
    #expect(try network.stateDict()["layer1.0.bn1.num_batches_tracked"]!.itemInt() == 1)
    try network.zeroGrad()
    #expect(try network.fc.weight.grad == nil)
}

@Test func evaluationUsesRunningStatisticsAndKeepsThem() throws {
    let network = try Network()
    try network.initialize(seed: 2)
    let x = try image()
    _ = try network(x)
    let mean = try network.stateDict()["layer1.0.bn1.running_mean"]!.clone()
    network.eval()
    #expect(!network.blocks[0].bn1.isTraining)
    let whole = try network(x)
    #expect(try network.stateDict()["layer1.0.bn1.running_mean"]!.isEqual(to: mean))
    // Each image alone gives what it gave in the batch, which batch statistics would not.
    let first = try network(x.narrow(dim: 0, start: 0, length: 1))
    let difference = try (first - whole.narrow(dim: 0, start: 0, length: 1)).abs().max().item()
    #expect(difference < 1e-5)
    network.train()
    #expect(network.blocks[1].bn1.isTraining)
}

@Test func convertingKeepsIdentityGradientSwitchAndCounters() throws {
    let network = try Network()
    try network.initialize(seed: 3)
    let weight = network.blocks[0].conv1.weight
    try network.to(.float64)
    #expect(weight.dtype == .float64 && network.blocks[0].conv1.weight.isSame(as: weight))
    #expect(weight.requiresGrad)
    #expect(network.stateDict()["layer1.0.bn1.num_batches_tracked"]!.dtype == .int64)
    let out = try network(image().to(.float64))
    #expect(out.dtype == .float64)
    try out.sum().backward()
    #expect(try weight.grad != nil)
    try network.to(.contiguous)
    #expect(weight.isContiguous())
    try network.to(.channelsLast)
    #expect(weight.isContiguous(.channelsLast))
    try network.requiresGrad(false)
    #expect(try !network(image().to(.float64)).requiresGrad)
}

@Test func convolutionRefusesGroupsThatDoNotDivide() throws {
    #expect(throws: TensorError.self) { try Conv2d(6, 4, kernel: 1, groups: 4) }
}

/// A part whose names a published file keeps at the top, and one whose layers it numbers there.
private final class Flat: Module {
    @Child("") var stem: Stem
    @Child("") var layers: [Module & Layer]
    @Child var head: Linear

    final class Stem: Module {
        @Child("conv1") var conv: Conv2d
        @Parameter("scale") var scale: Tensor
        override init() {
            super.init()
            do {
                conv = try Conv2d(1, 1, kernel: 1, bias: false)
                scale = try Tensor.ones([1])
            } catch { preconditionFailure("\(error)") }
        }
    }

    override init() {
        super.init()
        do {
            stem = Stem()
            layers = [try Linear(1, 1, bias: false), try Sequential(Linear(1, 1, bias: false))]
            head = try Linear(1, 1, bias: false)
        } catch { preconditionFailure("\(error)") }
    }
}

@Test func emptyKeysAddNoLevelToTheNames() throws {
    let network = Flat()
    let names = ["scale", "conv1.weight", "0.weight", "1.0.weight", "head.weight"]
    #expect(network.stateDict().names == names)
    // The same one level below.
    #expect(Sequential(named: []).children().isEmpty)
    final class Outer: Module { @Child var inner = Flat() }
    #expect(Outer().stateDict().names == names.map { "inner.\($0)" })
    #expect(network.eval().namedModules().allSatisfy { !$0.module.isTraining })
}
