import Basics
import Testing

@testable import Tensors

/// The cheaper ways against libtorch's own dilated convolution.
@Suite struct DilatedConvolutionTests {
    private func drawn(_ shape: [Int], _ index: UInt64) throws -> Tensor {
        var random = KeyedRandom(seed: 1, purpose: "test", index: index)
        return try Tensor((0..<shape.reduce(1, *)).map { _ in random.uniform(-1, 1) }, shape: shape)
    }

    struct Case: Sendable, CustomStringConvertible {
        var shape: [Int], outgoing: Int, kernel: Size2D, dilation: Size2D, groups: Int
        var description: String { "\(shape) \(kernel) dilated \(dilation), \(groups) groups" }
    }

    /// Depthwise over whole grids, odd sizes, dilations and kernels that differ by axis; taps that see padding only in one
    /// axis, in both, in depthwise, grouped and dense ones.
    static let cases = [
        Case(shape: [2, 8, 12, 16], outgoing: 8, kernel: 3, dilation: 2, groups: 8),
        Case(shape: [2, 8, 15, 21], outgoing: 8, kernel: 3, dilation: 2, groups: 8),
        Case(shape: [1, 6, 9, 11], outgoing: 6, kernel: 5, dilation: 4, groups: 6),
        Case(shape: [2, 5, 9, 10], outgoing: 5, kernel: Size2D(5, 3), dilation: Size2D(1, 3), groups: 5),
        Case(shape: [3, 4, 2, 3], outgoing: 4, kernel: 3, dilation: 6, groups: 4),
        Case(shape: [2, 6, 5, 7], outgoing: 4, kernel: 3, dilation: 6, groups: 1),
        Case(shape: [2, 6, 5, 7], outgoing: 4, kernel: 3, dilation: 5, groups: 2),
        Case(shape: [2, 6, 5, 7], outgoing: 4, kernel: 3, dilation: 24, groups: 1),
        Case(shape: [2, 6, 5, 9], outgoing: 4, kernel: 5, dilation: 3, groups: 1),
        Case(shape: [2, 6, 1, 1], outgoing: 4, kernel: 3, dilation: 2, groups: 1),
    ]

    @Test(arguments: cases) func isTheDilatedConvolution(_ it: Case) throws {
        let padding = Size2D(it.dilation.height * (it.kernel.height / 2), it.dilation.width * (it.kernel.width / 2))
        let upstream = try drawn([it.shape[0], it.outgoing, it.shape[2], it.shape[3]], 4)
        func run(_ convolve: (Tensor, Tensor, Tensor) throws -> Tensor) throws -> [Tensor] {
            let x = try drawn(it.shape, 1).channelsLast().requiresGrad(true)
            let weight = try drawn([it.outgoing, it.shape[1] / it.groups, it.kernel.height, it.kernel.width], 2)
                .requiresGrad(true)
            let bias = try drawn([it.outgoing], 3).requiresGrad(true)
            let y = try convolve(x, weight, bias)
            try y.backward(gradient: upstream)
            return [y] + (try [x, weight, bias].map { try #require(try $0.grad) })
        }
        let found = try run { x, weight, bias in
            let y = try x.dilatedConvolution(
                weight, bias: bias, padding: padding, dilation: it.dilation, groups: it.groups)
            #expect(y?.isContiguous(.channelsLast) == true)
            return try x.conv2d(weight, bias: bias, padding: padding, dilation: it.dilation, groups: it.groups)
        }
        let expected = try run { x, weight, bias in
            try Operator.call(
                "aten::conv2d", x, weight, bias, [1, 1], padding.list, it.dilation.list, it.groups)
        }
        for (a, b) in zip(found, expected) {
            #expect(a.shape == b.shape)
            #expect(try (a - b).abs().max().item() < 1e-4)
        }
    }

    @Test func tapsThatSeeTheMapAreKept() {
        #expect([1, 6, 12, 14, 15, 36].map { Tensor.seenTaps(3, $0, over: 15) } == [3, 3, 3, 3, 1, 1])
        #expect([1, 3, 4, 5].map { Tensor.seenTaps(5, $0, over: 5) } == [5, 3, 3, 1])
        #expect(Tensor.seenTaps(3, 1, over: 1) == 1)
    }

    @Test func otherConvolutionsAreLeftToLibtorch() throws {
        let x = try drawn([1, 4, 8, 8], 1)
        func isLeft(_ weight: [Int], padding: Size2D, groups: Int) throws -> Bool {
            try x.dilatedConvolution(drawn(weight, 2), bias: nil, padding: padding, dilation: 2, groups: groups) == nil
        }
        #expect(try isLeft([4, 1, 3, 3], padding: 0, groups: 4))
        #expect(try isLeft([4, 1, 2, 2], padding: 2, groups: 4))
        #expect(try isLeft([4, 2, 3, 3], padding: 2, groups: 2))
        #expect(try isLeft([8, 1, 3, 3], padding: 2, groups: 4))
        #expect(try !isLeft([4, 1, 3, 3], padding: 2, groups: 4))
    }
}
