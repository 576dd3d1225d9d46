import Basics
import Foundation
import TestSupport
import Testing

@testable import Tensors

/// Ranks as threads of this process, over the loopback.
@Suite(.serialized, .enabled(if: ProcessGroup.Backend.gloo.isAvailable, "this build has no Gloo"))
struct ProcessGroupTests {
    private func onRanks<R>(_ count: Int, _ body: @escaping (ProcessGroup) throws -> R) throws -> [R] {
        let folder = try TemporaryFolder()
        return try sideBySide(count) { rank in
            try body(ProcessGroup(at: .file(folder("ranks")), rank: rank, of: count, timeout: .seconds(30)))
        }
    }

    @Test(arguments: 1...3) func sumsAndGathers(ranks: Int) throws {
        let found = try onRanks(ranks) { group in
            let values = (0..<1000).map { Double($0 * (group.rank + 1)) }
            let tensor = try Tensor(values)
            try group.allReduce(tensor)
            let parts = try group.allGather(Tensor([Int64(group.rank), 7])).map { try $0.array(of: Int64.self) }
            try group.barrier()
            let ragged = try group.gather([Int64](repeating: Int64(group.rank), count: group.rank * 2))
            return (try tensor.array(of: Double.self), parts, ragged)
        }
        let factor = Double((1...ranks).reduce(0, +))
        for (sum, parts, ragged) in found {
            #expect(sum == (0..<1000).map { Double($0) * factor })
            #expect(parts == (0..<ranks).map { [Int64($0), 7] })
            #expect(ragged == (0..<ranks).map { [Int64](repeating: Int64($0), count: $0 * 2) })
        }
    }

    @Test func ranksWithoutAnyNumbersGatherNothing() throws {
        #expect(try onRanks(2) { try $0.gather([]) } == [[[], []], [[], []]])
    }

    @Test func aLostRankEndsTheOthersOperationsSoon() throws {
        let folder = try TemporaryFolder()
        let begin = ContinuousClock.now
        let errors = try sideBySide(2) { rank -> String in
            var group: ProcessGroup? = try ProcessGroup(
                at: .file(folder("ranks")), rank: rank, of: 2, timeout: .seconds(60))
            try group!.barrier()
            if rank == 1 {
                group = nil
                return ""
            }
            do {
                try group!.allReduce(Tensor([1.0]))
                return "nothing"
            } catch let error as TensorError { return "\(error.kind): \(error)" }
        }
        #expect(errors[0].hasPrefix("lostRanks: all-reduce"), "\(errors[0])")
        #expect(errors[0].contains("lost the other ranks in all-reduce"), "\(errors[0])")
        #expect(ContinuousClock.now - begin < .seconds(20))
    }

    @Test func ranksThatDoNotComeAreAnErrorAfterTheTimeout() throws {
        let folder = try TemporaryFolder()
        #expect { try ProcessGroup(at: .file(folder("ranks")), rank: 0, of: 2, timeout: .milliseconds(300)) } throws: {
            "\($0)".contains("rank 0 of 2 meets the others at file:")
        }
    }

    @Test func readsPlacesToMeet() throws {
        #expect(try ProcessGroup.Rendezvous(parsing: "tcp://10.0.0.1:29500") == .tcp(host: "10.0.0.1", port: 29500))
        #expect(try ProcessGroup.Rendezvous(parsing: "file:/tmp/a") == .file("/tmp/a"))
        for bad in ["tcp://host", "tcp://host:0", "tcp://host:x", "file:", "10.0.0.1:29500"] {
            #expect(throws: UserError.self) { try ProcessGroup.Rendezvous(parsing: bad) }
        }
    }

    // MARK: Batch normalisation

    private struct Normalized {
        var output: [Double]
        var input: [Double]
        var weight: [Double]
        var bias: [Double]
        var mean: [Double]
        var variance: [Double]
    }

    /// One training pass of a batch normalisation over `[N, C, H, W]`, and all its gradients.
    private func pass(
        _ images: Range<Int>, of batch: [Double], channels: Int, size: Int, group: ProcessGroup?, channelsLast: Bool
    ) throws -> Normalized {
        let perImage = channels * size * size
        let shape = [images.count, channels, size, size]
        var x = try Tensor(Array(batch[images.lowerBound * perImage..<images.upperBound * perImage]), shape: shape)
        if channelsLast { x = try x.channelsLast() }
        try x.requiresGrad(true)
        let weight = try Tensor((0..<channels).map { 0.5 + Double($0) }).requiresGrad(true)
        let bias = try Tensor((0..<channels).map { Double($0) / 3 }).requiresGrad(true)
        let mean = try Tensor((0..<channels).map { Double($0) })
        let variance = try Tensor((0..<channels).map { 1 + Double($0) })
        let y =
            try group.map {
                try x.batchNorm(
                    over: $0, weight: weight, bias: bias, runningMean: mean, runningVariance: variance, momentum: 0.3)
            }
            ?? x.batchNorm(
                weight: weight, bias: bias, runningMean: mean, runningVariance: variance, training: true, momentum: 0.3)
        // A gradient without symmetries.
        let upstream = try Tensor(
            (images.lowerBound * perImage..<images.upperBound * perImage).map { sin(Double($0)) + 0.2 }, shape: shape)
        try y.backward(gradient: channelsLast ? upstream.channelsLast() : upstream)
        return Normalized(
            output: try y.array(), input: try x.grad!.array(), weight: try weight.grad!.array(),
            bias: try bias.grad!.array(), mean: try mean.array(), variance: try variance.array())
    }

    /// Ranks with unequal parts; also far from zero, where a difference of large squares would show.
    @Test(arguments: [2, 3], [(false, 0.0), (true, 0), (true, 1000)])
    func batchNormEqualsThatOfTheWholeBatch(ranks: Int, input: (channelsLast: Bool, centre: Double)) throws {
        let (channelsLast, centre) = input
        let (channels, size, images) = (5, 4, 7)
        var random = KeyedRandom(seed: 3, purpose: "test")
        let batch = (0..<images * channels * size * size).map { _ in centre + Double(random.uniform(-1, 1)) }
        let whole = try pass(
            0..<images, of: batch, channels: channels, size: size, group: nil, channelsLast: channelsLast)
        let edges = ranks == 2 ? [0, 3, 7] : [0, 1, 3, 7]
        let parts = try onRanks(ranks) { group in
            try pass(
                edges[group.rank]..<edges[group.rank + 1], of: batch, channels: channels, size: size, group: group,
                channelsLast: channelsLast)
        }
        func error(_ a: [Double], _ b: [Double]) -> Double {
            zip(a, b).map { abs($0 - $1) / max(1, abs($1)) }.max() ?? .infinity
        }
        func summed(_ member: KeyPath<Normalized, [Double]>) -> [Double] {
            (0..<channels).map { c in parts.reduce(0) { $0 + $1[keyPath: member][c] } }
        }
        // A size of 1000 costs three digits of the double's sixteen.
        let tolerance = centre == 0 ? 1e-12 : 1e-11
        #expect(error(parts.flatMap(\.output), whole.output) < tolerance)
        #expect(error(parts.flatMap(\.input), whole.input) < tolerance)
        #expect(error(summed(\.weight), whole.weight) < tolerance)
        #expect(error(summed(\.bias), whole.bias) < tolerance)
        for part in parts {
            #expect(error(part.mean, whole.mean) < tolerance)
            #expect(error(part.variance, whole.variance) < tolerance)
            #expect(part.mean == parts[0].mean && part.variance == parts[0].variance, "ranks keep equal statistics")
        }
    }

    /// As in mixed precision: bfloat16 under float32 weights, whose gradients are float32.
    @Test func batchNormOfBfloat16IsThatOfFloat32ToItsRounding() throws {
        let shape = [2, 5, 4, 6]
        let errors = try onRanks(2) { group -> [Double] in
            var random = KeyedRandom(seed: 4, purpose: "test", index: UInt64(group.rank))
            func drawn() throws -> Tensor {
                try Tensor((0..<shape.reduce(1, *)).map { _ in random.uniform(-1, 1) }, shape: shape).channelsLast()
                    .to(.bfloat16)
            }
            let (values, upstream) = (try drawn(), try drawn())
            func run(_ dtype: DType) throws -> [Tensor] {
                let x = try values.detach().to(dtype).requiresGrad(true)  // `to` makes no copy of its own type
                let weight = try Tensor([0.5, 1, 1.5, 2, 2.5] as [Float]).requiresGrad(true)
                let bias = try Tensor([0, 1, 2, 3, 4] as [Float]).requiresGrad(true)
                let y = try x.batchNorm(
                    over: group, weight: weight, bias: bias, runningMean: Tensor.zeros([5]),
                    runningVariance: Tensor.ones([5]))
                try y.backward(gradient: upstream.to(dtype))
                let all = [y] + (try [x, weight, bias].map { try #require(try $0.grad) })
                try #require(all.map(\.dtype) == [dtype, dtype, .float32, .float32])
                return all
            }
            let (narrow, wide) = (try run(.bfloat16), try run(.float32))
            return try zip(narrow, wide).map { try ($0.to(.float32) - $1).norm().item() / $1.norm().item() }
        }
        #expect(errors.joined().allSatisfy { $0 < 0x1p-7 }, "\(errors)")
    }

    @Test func batchNormOfOneValuePerChannelIsAnError() throws {
        let errors = try onRanks(1) { group -> String in
            do {
                _ = try Tensor.ones([1, 2, 1, 1]).batchNorm(
                    over: group, weight: nil, bias: nil, runningMean: nil, runningVariance: nil)
                return "none"
            } catch { return "\(error)" }
        }
        #expect(errors[0].contains("one value per channel"))
    }
}
