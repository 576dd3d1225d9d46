import Testing

@testable import Tensors

// Each operator against numbers worked by hand: what can go wrong here is the order of arguments and defaults.

private func values(_ tensor: Tensor) throws -> [Double] { try tensor.to(.float64).array(of: Double.self) }

private func expectClose(_ tensor: Tensor, _ expected: [Double], within tolerance: Double = 1e-6) throws {
    let got = try values(tensor)
    #expect(got.count == expected.count)
    for (a, b) in zip(got, expected) { #expect(abs(a - b) <= tolerance, "\(got) instead of \(expected)") }
}

private let row = [1, 2, 3, 4] as [Float]

@Test func creation() throws {
    #expect(try values(.zeros([2])) == [0, 0])
    #expect(try values(.ones([2], dtype: .float64)) == [1, 1])
    #expect(try Tensor.ones([2], dtype: .int64).dtype == .int64)
    #expect(try values(.full([2], 2.5)) == [2.5, 2.5])
    #expect(try Tensor.full([1], 3, dtype: .int32).array(of: Int32.self) == [3])
    #expect(try Tensor.scalar(2).shape == [])
    #expect(try Tensor.arange(3).array(of: Int64.self) == [0, 1, 2])
    #expect(try values(.arange(from: 1, to: 2, step: 0.5)) == [1, 1.5])
    #expect(try Tensor.empty([1, 2, 3, 4], format: .channelsLast).isContiguous(.channelsLast))
    #expect(try values(Tensor(row).zerosLike()) == [0, 0, 0, 0])
    #expect(try values(Tensor(row).onesLike()) == [1, 1, 1, 1])
}

@Test func arithmetic() throws {
    let a = try Tensor(row)
    let b = try Tensor([2, 4] as [Float])
    let table = try a.reshape([2, 2])
    #expect(try values(table + b) == [3, 6, 5, 8])
    #expect(try values(table - b) == [-1, -2, 1, 0])
    #expect(try values(table * b) == [2, 8, 6, 16])
    #expect(try values(table / b) == [0.5, 0.5, 1.5, 1])
    #expect(try values(a + 1) == [2, 3, 4, 5] && values(1 + a) == [2, 3, 4, 5])
    #expect(try values(a - 1) == [0, 1, 2, 3] && values(1 - a) == [0, -1, -2, -3])
    #expect(try values(a * 0.5) == [0.5, 1, 1.5, 2] && values(2 * a) == [2, 4, 6, 8])
    #expect(try values(a / 2) == [0.5, 1, 1.5, 2])
    try expectClose(12 / a, [12, 6, 4, 3])
    #expect(try values(-a) == [-1, -2, -3, -4])
    #expect(try (Tensor([1]) + 1).dtype == .int64 && (Tensor([1]) + 1.0).dtype == .float32)
    #expect(try values(a.add(a, alpha: -0.5)) == [0.5, 1, 1.5, 2])
    try expectClose(Tensor([0, 1] as [Float]).exp(), [1, 2.718281828])
    try expectClose(a.sqrt().square(), row.map(Double.init))
    #expect(try values(Tensor([-1.5, 2.5] as [Float]).abs()) == [1.5, 2.5])
    #expect(try values(Tensor([-1.5, 2.5] as [Float]).floor()) == [-2, 2])
    try expectClose(a.sin().square() + a.cos().square(), [1, 1, 1, 1])
    #expect(try values(a.clamp(min: 2)) == [2, 2, 3, 4] && values(a.clamp(max: 2)) == [1, 2, 2, 2])
    #expect(try values(a.clamp(min: 2, max: 3)) == [2, 2, 3, 3])
    #expect(try values(table.matmul(table)) == [7, 10, 15, 22])
    #expect(try values(b.linear(table, bias: b)) == [12, 26] && values(b.linear(table)) == [10, 22])
}

@Test func comparison() throws {
    let a = try Tensor(row)
    let b = try Tensor([1, 3, 3, 3] as [Float])
    #expect(try a.eq(b).array(of: Bool.self) == [true, false, true, false])
    #expect(try a.ne(b).array(of: Bool.self) == [false, true, false, true])
    #expect(try a.eq(2).array(of: Bool.self) == [false, true, false, false])
    #expect(try a.ne(2).array(of: Bool.self) == [true, false, true, true])
    #expect(try a.gt(2).array(of: Bool.self) == [false, false, true, true])
    #expect(try a.gt(0).all() && !a.gt(1).all())
    #expect(try a.isEqual(to: Tensor(row)) && !a.isEqual(to: b))
    #expect(try Tensor([0, .nan, .infinity] as [Float]).isFinite().array(of: Bool.self) == [true, false, false])
}

@Test func convolutionTakesItsArgumentsInOrder() throws {
    let x = try Tensor.arange(9, dtype: .float32).reshape([1, 1, 3, 3])
    let ones = try Tensor.ones([1, 1, 2, 2])
    #expect(try values(x.conv2d(ones)) == [8, 12, 20, 24])
    #expect(try values(x.conv2d(ones, bias: Tensor([1] as [Float]), dilation: 2)) == [17])
    #expect(try values(x.conv2d(ones, stride: 2, padding: 1)) == [0, 3, 9, 24])
    #expect(try x.conv2d(ones, stride: Size2D(1, 2), padding: Size2D(0, 1)).shape == [1, 1, 2, 2])
    let two = try Tensor.cat([x, x * 10], dim: 1)
    let depthwise = try two.conv2d(Tensor.ones([2, 1, 2, 2]), groups: 2)
    #expect(try values(depthwise) == [8, 12, 20, 24, 80, 120, 200, 240])
    #expect(try values(x.pad2d(left: 1, right: 0, top: 0, bottom: -2, value: 7)) == [7, 0, 1, 2])
}

@Test func normalisation() throws {
    let x = try Tensor(row).reshape([2, 2, 1, 1])
    let mean = try Tensor.zeros([2])
    let variance = try Tensor.ones([2])
    let y = try x.batchNorm(
        weight: Tensor([1, 2] as [Float]), bias: Tensor([0, 10] as [Float]), runningMean: mean,
        runningVariance: variance,
        training: true, momentum: 0.5, eps: 0)
    try expectClose(y, [-1, 8, 1, 12])
    try expectClose(mean, [1, 1.5])  // half of the batch's 2 and 3
    try expectClose(variance, [1.5, 1.5])  // half of 1 and half of the unbiased 2
    let z = try x.batchNorm(
        weight: nil, bias: nil, runningMean: mean, runningVariance: variance, training: false, eps: 0.75)
    try expectClose(z, [0, 1 / 3, 4 / 3, 5 / 3])
    try expectClose(Tensor([1, 3] as [Float]).layerNorm([2], weight: Tensor([2, 2] as [Float]), eps: 3), [-1, 1])
    try expectClose(x.groupNorm(groups: 1, eps: 0), [-1, 1, -1, 1])
    let v = try Tensor([3, 4, 0, 0] as [Float]).reshape([2, 2])
    try expectClose(v.normalized(dim: 1), [0.6, 0.8, 0, 0])
    try expectClose(v.norm(dims: [1]), [5, 0])
    try expectClose(v.norm(), [5])
    #expect(try v.norm(dims: [0], keepDim: true).shape == [1, 2])
}

@Test func activations() throws {
    let x = try Tensor([-4, -1, 0, 1, 7] as [Float])
    #expect(try values(x.relu()) == [0, 0, 0, 1, 7])
    #expect(try values(x.relu6()) == [0, 0, 0, 1, 6])
    try expectClose(x.hardswish(), [0, -1 / 3, 0, 2 / 3, 7])
    try expectClose(x.hardsigmoid(), [0, 1 / 3, 0.5, 2 / 3, 1])
    try expectClose(Tensor([0, 1] as [Float]).sigmoid(), [0.5, 0.731058579])
    try expectClose(Tensor([0, 1] as [Float]).gelu(), [0, 0.841344746])
    try expectClose(Tensor([0, 0] as [Float]).softmax(dim: 0), [0.5, 0.5])
}

@Test func dropoutIsRepeatableFromTheSeedAndOffInEvaluation() throws {
    let x = try Tensor.ones([1000])
    // On one thread of execution, for the generator is the process's.
    try Torch.seed(5)
    let first = try x.dropout(0.25, training: true)
    try Torch.seed(5)
    #expect(try x.dropout(0.25, training: true).isEqual(to: first))
    let kept = try first.ne(0)
    try expectClose(first.max(), [1 / 0.75])
    #expect(abs(try kept.to(.float32).mean().item() - 0.75) < 0.07)  // five standard deviations
    #expect(try x.dropout(0.25, training: false).isSame(as: x))
    #expect(try !x.dropout(0.25, training: true).isEqual(to: first))
    #expect(
        try x.reshape([10, 100, 1, 1]).expand([10, 100, 2, 2]).dropout2d(0.5, training: true).sum(dims: [2, 3])
            .fmodIsZero(8))
}

/// In every type, for numbers of elements that fill blocks of numbers or do not, and what is kept does not depend on the
/// threads that draw it. In a process of its own: generator and threads are the process's.
@Test func dropoutDropsEachElementByItself() async {
    await #expect(processExitsWith: .success) {
        func kept(_ x: Tensor, _ p: Double, threads: Int) throws -> [Float] {
            try Torch.setThreads(threads)
            try Torch.seed(9)
            return try x.dropout(p, training: true).to(.float32).contiguous().array()
        }
        for dtype in [DType.float32, .float64, .bfloat16] {
            for count in [1, 63, 64, 65, 300_001] {
                let x = try Tensor.ones([count]).to(dtype)
                let all = try kept(x, 0.4, threads: 2)
                let scale: Float = try Tensor([1 / 0.6 as Float]).to(dtype).to(.float32).array()[0]
                #expect(all.allSatisfy { $0 == 0 || $0 == scale })
                #expect(try kept(x, 0.4, threads: 1) == all)
                guard count > 1000 else { continue }
                // Within five standard deviations: how many are kept, and how often that is so of elements at some distance.
                func share(_ distance: Int) -> Double {
                    Double((distance..<count).count { all[$0] != 0 && all[$0 - distance] != 0 })
                        / Double(count - distance)
                }
                #expect(abs(share(0) - 0.6) < 5 * 0.0009)
                for distance in [1, 2, 16, 64, 16_384] {
                    #expect(abs(share(distance) - 0.36) < 5 * 0.0012, "\(distance)")
                }
            }
        }
        // As the elements lie in memory, so that a gradient passes where they were kept.
        let map = try Tensor.ones([2, 5, 7, 9]).channelsLast().requiresGrad(true)
        let dropped = try map.dropout(0.3, training: true)
        #expect(dropped.isContiguous(.channelsLast))
        try dropped.sum().backward()
        #expect(try #require(try map.grad).isEqual(to: dropped))
        #expect(try map.detach().dropout(1 - 1e-12, training: true).ne(0).sum().item() == 0)
    }
}

extension Tensor {
    /// Whether all elements are whole multiples.
    fileprivate func fmodIsZero(_ divisor: Double) throws -> Bool {
        try (self / divisor - (self / divisor).floor()).eq(0).all()
    }
}

@Test func poolingAndResizing() throws {
    let x = try Tensor.arange(16, dtype: .float32).reshape([1, 1, 4, 4])
    #expect(try values(x.maxPool2d(2)) == [5, 7, 13, 15])
    #expect(try values(x.maxPool2d(3, stride: 2, padding: 1)) == [5, 7, 13, 15])
    #expect(try x.maxPool2d(3, stride: 2).shape == [1, 1, 1, 1])
    #expect(try values(x.adaptiveAvgPool2d(1)) == [7.5])

    let pair = try Tensor([0, 1] as [Float]).reshape([1, 1, 1, 2])
    try expectClose(pair.interpolate(Size2D(1, 4), .bilinear(alignCorners: false)), [0, 0.25, 0.75, 1])
    try expectClose(pair.interpolate(Size2D(1, 4), .bilinear(alignCorners: true)), [0, 1 / 3, 2 / 3, 1])
    #expect(try values(pair.interpolate(Size2D(1, 4), .nearest)) == [0, 0, 1, 1])
    #expect(try x.interpolate(factor: 0.4, .nearest).shape == [1, 1, 1, 1])
    try expectClose(pair.interpolate(factor: 2, .bilinear(alignCorners: false)), [0, 0.25, 0.75, 1, 0, 0.25, 0.75, 1])
    for factor in [0, -1, .nan, .infinity, 1e30] {
        #expect(throws: TensorError.self) { try x.interpolate(factor: factor, .nearest) }
    }
}

@Test func shapes() throws {
    let x = try Tensor.arange(6).reshape([2, 3])
    #expect(try x.reshape([-1]).shape == [6] && x.reshape([3, 2]).shape == [3, 2])
    #expect(try x.permute([1, 0]).array(of: Int.self) == [0, 3, 1, 4, 2, 5])
    #expect(try x.flatten().shape == [6] && Tensor.zeros([2, 3, 4]).flatten(from: 1).shape == [2, 12])
    #expect(try x.unflatten(dim: -1, [3, 1]).shape == [2, 3, 1])
    #expect(try x.unsqueeze(1).shape == [2, 1, 3] && x.unsqueeze(1).squeeze(1).shape == [2, 3])
    #expect(try Tensor.zeros([1, 3]).expand([2, -1]).shape == [2, 3])
    #expect(try Tensor([1, 2, 3]).roll([1], dims: [0]).array(of: Int.self) == [3, 1, 2])
    #expect(try x.flip([1]).array(of: Int.self) == [2, 1, 0, 5, 4, 3])
    #expect(try Tensor.cat([x, x], dim: 1).shape == [2, 6] && Tensor.stack([x, x]).shape == [2, 2, 3])
    #expect(try x.chunk(3, dim: 1).count == 3 && x.unbind(dim: 1).map(\.shape) == [[2], [2], [2]])
    #expect(x.size(-1) == 3 && x.dim == 2 && x.count == 6)
}

@Test func indexing() throws {
    let x = try Tensor.arange(6).reshape([2, 3])
    #expect(try x.narrow(dim: 1, start: 1, length: 2).array(of: Int.self) == [1, 2, 4, 5])
    #expect(try x.slice(dim: 1, start: 1).array(of: Int.self) == [1, 2, 4, 5])
    #expect(try x.slice(dim: 1, end: 3, step: 2).array(of: Int.self) == [0, 2, 3, 5])
    #expect(try x.select(dim: 0, 1).array(of: Int.self) == [3, 4, 5])
    #expect(try x.indexSelect(dim: 1, Tensor([2, 0])).array(of: Int.self) == [2, 0, 5, 3])
}

@Test func reductions() throws {
    let x = try Tensor(row).reshape([2, 2])
    #expect(try x.sum().item() == 10 && x.mean().item() == 2.5 && x.max().item() == 4)
    #expect(try values(x.sum(dims: [0])) == [4, 6] && values(x.mean(dims: [1])) == [1.5, 3.5])
    #expect(try x.sum(dims: [0], keepDim: true).shape == [1, 2])
    try expectClose(x.variance(), [5 / 3])
    try expectClose(x.variance(dims: [1], unbiased: false), [0.25, 0.25])
    let largest = try x.max(dim: 0)
    #expect(try values(largest.values) == [3, 4] && largest.indices.array(of: Int.self) == [1, 1])
    #expect(try x.argmax(dim: 1).array(of: Int.self) == [1, 1])
    #expect(try Tensor([1, 1, 3]).bincount(minLength: 5).array(of: Int.self) == [0, 2, 0, 1, 0])
    #expect(throws: TensorError.self) { try x.item() }
}

@Test func losses() throws {
    let scores = try Tensor([0, 0, 0, 0, 5, 1] as [Float]).reshape([3, 2])
    let labels = try Tensor([0, 1, 255])
    let ln2 = 0.693147181
    #expect(abs(try scores.crossEntropy(labels, ignoring: 255).item() - ln2) < 1e-6)
    try expectClose(scores.crossEntropy(labels, ignoring: 255, reduction: .none), [ln2, ln2, 0])
    let weight = try Tensor([1, 3] as [Float])
    #expect(
        abs(try scores.crossEntropy(labels, weight: weight, ignoring: 255, reduction: .sum).item() - 4 * ln2) < 1e-6)
    #expect(try scores.crossEntropy(Tensor([255, 255, 255]), ignoring: 255).item().isNaN)
    // Dense prediction: [N, C, H, W] against [N, H, W].
    let dense = try scores.transpose(0, 1).reshape([1, 2, 3, 1])
    #expect(abs(try dense.crossEntropy(labels.reshape([1, 3, 1]), ignoring: 255).item() - ln2) < 1e-6)
    #expect(throws: TensorError.self) { try scores.crossEntropy(Tensor([0, 1, 2])) }
    let zero = try Tensor([0] as [Float])
    let one = try Tensor([1] as [Float])
    #expect(abs(try zero.binaryCrossEntropyWithLogits(one).item() - ln2) < 1e-6)
}

@Test func inPlaceChanges() throws {
    let x = try Tensor(row)
    let view = try x.narrow(dim: 0, start: 0, length: 1)
    #expect(try x.add_(x, alpha: 2).isSame(as: x))
    #expect(try values(x) == [3, 6, 9, 12] && values(view) == [3])
    #expect(try values(x.add_(1).mul_(2).div_(2).add_(-1)) == [3, 6, 9, 12])
    #expect(
        try values(x.mul_(Tensor([2, 1, 1, 1] as [Float])).div_(Tensor([1, 2, 3, 4] as [Float]))) == [6, 3, 3, 3])
    #expect(try values(x.addcmul_(x, x, value: 0.5)) == [24, 7.5, 7.5, 7.5])
    #expect(try values(x.addcdiv_(x, x, value: 0.5)) == [24.5, 8, 8, 8])
    #expect(try values(x.lerp_(Tensor([0, 0, 0, 0] as [Float]), weight: 0.5)) == [12.25, 4, 4, 4])
    #expect(try values(x.clamp_(max: 5)) == [5, 4, 4, 4])
    #expect(try values(x.copy_(Tensor([1, -2, 3, -4]))) == [1, -2, 3, -4] && values(x.relu_()) == [1, 0, 3, 0])
    #expect(try values(x.fill_(2)) == [2, 2, 2, 2])
}

@Test func conversions() throws {
    let x = try Tensor([1.5, -1.5] as [Float])
    #expect(try x.to(.int64).array(of: Int.self) == [1, -1])
    #expect(try x.to(.float32).isSame(as: x) && x.to(.cpu).isSame(as: x) && x.contiguous().isSame(as: x))
    #expect(try !x.clone().isSame(as: x))
    for dtype in DType.allCases { #expect(try x.abs().to(dtype).dtype == dtype) }
    #expect(throws: TensorError.self) { try Torch.checkDevice(.cuda(127)) }
}
