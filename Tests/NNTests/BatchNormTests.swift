import Basics
import NN
import Tensors
import Testing

/// Batch normalisation with its activation in one pass, against libtorch's operators in float64.
@Suite(.serialized) struct BatchNormTests {
    enum Activation: CaseIterable { case none, relu, relu6 }

    private static func drawn(_ shape: [Int], _ index: UInt64, _ low: Float, _ high: Float) throws -> Tensor {
        var random = KeyedRandom(seed: 1, purpose: "test", index: index)
        return try Tensor((0..<shape.reduce(1, *)).map { _ in random.uniform(low, high) }, shape: shape)
    }

    private struct Result {
        var tensors: [String: Tensor] = [:]
    }

    private static func run(_ shape: [Int], _ activation: Activation, _ dtype: DType, offset: Float = 1) throws
        -> Result
    {
        let channels = shape[1]
        let norm = try BatchNorm2d(channels, momentum: 0.3)
        norm.weight = try drawn([channels], 1, 0.5, 3)
        norm.bias = try drawn([channels], 2, -1, 3)
        norm.runningMean = try drawn([channels], 3, -1, 1)
        norm.runningVariance = try drawn([channels], 4, 0.5, 2)
        if dtype == .float64 { try norm.to(.float64) }
        try norm.requiresGrad(true)
        // Bfloat16's values, so that all types normalise the same.
        let x = try (drawn(shape, 5, -2, 2) + offset).to(.bfloat16).to(dtype).channelsLast().requiresGrad(true)
        let y =
            switch activation {
            case .none: try norm(x)
            case .relu: try norm.relu(x)
            case .relu6: try norm.relu6(x)
            }
        try y.backward(gradient: drawn(shape, 6, -1, 1).to(.bfloat16).to(dtype))
        var result = Result()
        result.tensors = [
            "y": try y.detach(), "x": try #require(try x.grad), "weight": try #require(try norm.weight.grad),
            "bias": try #require(try norm.bias.grad), "mean": norm.runningMean, "variance": norm.runningVariance,
        ]
        #expect(try norm.batchesTracked.item() == 1)
        return result
    }

    /// Few and many channels, sizes that no register divides, one tile and several.
    @Test(
        arguments: [[2, 3, 5, 7], [4, 96, 40, 41], [2, 1000, 9, 3], [3, 17, 1, 1], [1, 1, 90, 91]], Activation.allCases)
    func isLibtorchsInFloat64ToRounding(_ shape: [Int], _ activation: Activation) throws {
        let found = try Self.run(shape, activation, .float32)
        let expected = try Self.run(shape, activation, .float64)
        for (name, tensor) in expected.tensors {
            let other = found.tensors[name]!
            #expect(other.dtype == .float32)
            let scale = try tensor.abs().max().item()
            var differences: Tensor = try (other.to(.float64) - tensor).abs()
            if name == "x" {
                // A pixel within rounding of a bound may lie on either side; there is hardly one.
                let much = try differences.gt(1e-4 * scale).to(.float32).mean().item()
                #expect(much < 1e-4, "\(name): \(much)")
                differences = try differences.clamp(max: 1e-4 * scale)
            }
            #expect(try differences.max().item() <= 1e-4 * scale + 1e-5, "\(name)")
        }
    }

    @Test(arguments: Activation.allCases) func bfloat16IsRoundedAtTheEndsOnly(_ activation: Activation) throws {
        let shape = [4, 40, 20, 21]
        let found = try Self.run(shape, activation, .bfloat16)
        let expected = try Self.run(shape, activation, .float64)
        #expect(found.tensors["y"]!.dtype == .bfloat16 && found.tensors["x"]!.dtype == .bfloat16)
        // Half a unit of the last of 8 bits.
        let y = try found.tensors["y"]!.to(.float64)
        let difference = try (y - expected.tensors["y"]!).abs() - expected.tensors["y"]!.abs() * 0x1p-8
        let beyond = try difference.max().item()
        #expect(beyond < 3e-5, "\(beyond)")
        for name in ["weight", "bias", "mean", "variance"] {
            #expect(found.tensors[name]!.dtype == .float32)
            let relative = try (found.tensors[name]!.to(.float64) - expected.tensors[name]!).norm().item()
            #expect(try relative < 1e-3 * expected.tensors[name]!.norm().item(), "\(name)")
        }
    }

    /// Squares of values far from 0 cancel where nothing is subtracted from them.
    @Test func varianceFarFromZeroIsExact() throws {
        let shape = [4, 8, 32, 33]
        let found = try Self.run(shape, .none, .float32, offset: 1000)
        let expected = try Self.run(shape, .none, .float64, offset: 1000)
        let relative = try (found.tensors["variance"]!.to(.float64) / expected.tensors["variance"]! - 1).abs().max()
        #expect(try relative.item() < 1e-5)
    }

    /// In a process of its own: the number of threads is the process's, and other tests' sums depend on it.
    @Test func threadsDoNotChangeBits() async {
        await #expect(processExitsWith: .success) {
            for dtype in [DType.float32, .bfloat16] {
                try Torch.setThreads(1)
                let alone = try BatchNormTests.run([4, 96, 40, 41], .relu6, dtype)
                for threads in [2, 5] {
                    try Torch.setThreads(threads)
                    let together = try BatchNormTests.run([4, 96, 40, 41], .relu6, dtype)
                    for (name, tensor) in alone.tensors {
                        #expect(try tensor.isEqual(to: together.tensors[name]!), "\(name)")
                    }
                }
            }
        }
    }

    @Test func whatIsNoNumberShows() throws {
        let norm = try BatchNorm2d(2)
        var values = [Float](repeating: 1, count: 2 * 2 * 4 * 4)
        values[5] = .nan
        let y = try norm.relu6(Tensor(values, shape: [2, 2, 4, 4]).channelsLast())
        #expect(try !y.select(dim: 1, 0).isFinite().all())
        #expect(try y.select(dim: 1, 1).isFinite().all())
    }
}
