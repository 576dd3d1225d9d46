import Basics
import Tensors
import Testing

/// Products by a matrix against the plain operator, on both sides of what decides how they are computed.
@Test(arguments: [
    ([8, 400, 32], 128, true), ([2, 30, 40, 64], 33, false), ([1000, 48], 16, true), ([3, 5, 8], 4, true),
    ([2, 40, 600], 700, true), ([40000, 1], 3, true),
])
func linearIsTheProductWithItsGradients(shape: [Int], outgoing: Int, hasBias: Bool) throws {
    var random = KeyedRandom(seed: 1, purpose: "test")
    func drawn(_ shape: [Int]) throws -> Tensor {
        try Tensor((0..<shape.reduce(1, *)).map { _ in random.uniform(-1, 1) }, shape: shape)
    }
    let (x, weight) = (try drawn(shape), try drawn([outgoing, shape[shape.count - 1]]))
    let bias = hasBias ? try drawn([outgoing]) : nil
    let upstream = try drawn(Array(shape.dropLast()) + [outgoing])
    func run(_ product: (Tensor, Tensor, Tensor?) throws -> Tensor) throws -> [Tensor] {
        let leaves = try [x, weight, bias].map { try $0?.detach().clone().requiresGrad(true) }
        let y = try product(leaves[0]!, leaves[1]!, leaves[2])
        try y.backward(gradient: upstream)
        return [y] + (try leaves.compactMap { try $0?.grad })
    }
    let found = try run { try $0.linear($1, bias: $2) }
    let expected = try run { x, weight, bias in try Operator.call("aten::linear", x, weight, bias) }
    #expect(found.count == (hasBias ? 4 : 3) && found.count == expected.count)
    for (a, b) in zip(found, expected) {
        #expect(a.shape == b.shape)
        let scale = try b.abs().max().item()
        #expect(try (a - b).abs().max().item() < 2e-5 * scale)
    }
}
