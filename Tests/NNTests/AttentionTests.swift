import Foundation
import NN
import Tensors
import Testing

@Test func attentionMixesValuesByTheSoftmaxOfScaledProducts() throws {
    // Two heads of one channel: each sees its own channel only, and √d is 1.
    let queries = try Tensor([1, 0, 0, 2] as [Float], shape: [1, 2, 2])
    let keys = try Tensor([1, 1, -1, 0, 0, -1] as [Float], shape: [1, 3, 2])
    let values = try Tensor([1, 10, 2, 20, 3, 30] as [Float], shape: [1, 3, 2])
    let mixed: [Float] = try queries.attending(to: keys, values, heads: 2).array()
    func softmaxMean(_ products: [Double], _ values: [Double]) -> Float {
        let weights = products.map { exp($0) }
        return Float(zip(weights, values).reduce(0) { $0 + $1.0 * $1.1 } / weights.reduce(0, +))
    }
    let expected = [
        softmaxMean([1, -1, 0], [1, 2, 3]), softmaxMean([0, 0, 0], [10, 20, 30]),
        softmaxMean([0, 0, 0], [1, 2, 3]), softmaxMean([2, 0, -2], [10, 20, 30]),
    ]
    for (found, value) in zip(mixed, expected) { #expect(abs(found - value) < 1e-5) }
}

@Test func attentionScalesByTheHeadsWidthAndAddsTheBias() throws {
    let one = try Tensor.ones([1, 1, 8])
    // Products are 4 / √4 = 2 in each of two heads; a bias of -100 hides the second key.
    let keys = try Tensor.cat([one, one * 2.0], dim: 1)
    let values = try Tensor.cat([one * 3.0, one * 5.0], dim: 1)
    let hidden = try Tensor([0, -100] as [Float], shape: [1, 1, 1, 2])
    #expect(try one.attending(to: keys, values, heads: 2, bias: hidden).eq(3).all())
    let open: [Float] = try one.attending(to: keys, values, heads: 2).array()
    let share = 1 / (1 + exp(2.0))  // of the first key: e² / (e² + e⁴)
    #expect(open.allSatisfy { abs(Double($0) - (3 * share + 5 * (1 - share))) < 1e-5 })
}

@Test func multiheadAttentionHasDETRsNamesAndRefusesUnevenHeads() throws {
    let attention = try MultiheadAttention(8, heads: 2)
    #expect(
        attention.stateDict().names
            == ["q_proj", "k_proj", "v_proj", "out_proj"].flatMap { ["\($0).weight", "\($0).bias"] })
    try attention.initialize(seed: 1)
    let x = try Tensor.ones([2, 3, 8])
    #expect(try attention(x, Tensor.ones([2, 5, 8]), Tensor.ones([2, 5, 8])).shape == [2, 3, 8])
    #expect(throws: TensorError.self) { try MultiheadAttention(8, heads: 3) }
}

@Test func dropPathLeavesOutWholeSamplesAsOftenAsAsked() throws {
    let x = try Tensor.ones([4000, 2, 3])
    func draw() throws -> Tensor {
        try Torch.seed(3)
        return try x.dropPath(0.25, training: true)
    }
    let first = try draw()
    // The generator is the process's, and another test may draw from it in between: one of a few tries is its own.
    #expect(try (1...5).contains { _ in try draw().isEqual(to: draw()) })
    let rows: [Float] = try first.flatten(from: 1).array()
    var kept = 0
    for sample in 0..<4000 {
        let row = rows[sample * 6..<sample * 6 + 6]
        #expect(Set(row).count == 1)
        if row.first != 0 {
            #expect(abs(row.first! - 4.0 / 3) < 1e-6)
            kept += 1
        }
    }
    // Five standard deviations of 4,000 draws.
    #expect(abs(Double(kept) / 4000 - 0.75) < 0.035)
    #expect(try x.dropPath(0.25, training: false).isSame(as: x))
    #expect(try x.dropPath(0, training: true).isSame(as: x))
}

@Test func dropPathRisesOverTheBlocks() {
    #expect(DropPath.rising(to: 0.3, depth: 4).map { ($0 * 10).rounded() } == [0, 1, 2, 3])
    #expect(DropPath.rising(to: 0.3, depth: 1) == [0])
}

@Test func groupNormNormalisesEachGroupOfEachSample() throws {
    let norm = try GroupNorm(2, 4)
    let x = try Tensor((0..<2 * 4 * 9).map { Float($0 * $0 % 17) }, shape: [2, 4, 3, 3])
    let grouped = try norm(x).reshape([4, 18])
    let means: [Float] = try grouped.mean(dims: [1]).array()
    let deviations: [Float] = try grouped.variance(dims: [1], unbiased: false).array()
    #expect(means.allSatisfy { abs($0) < 1e-5 } && deviations.allSatisfy { abs($0 - 1) < 1e-4 })
    #expect(throws: TensorError.self) { try GroupNorm(3, 4) }
}
