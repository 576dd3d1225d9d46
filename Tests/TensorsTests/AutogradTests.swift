import Tensors
import Testing

@Test func gradientOfAProduct() throws {
    let x = try Tensor([2, 3] as [Float]).requiresGrad(true)
    try (x * x * x).sum().backward()
    #expect(try x.grad!.array(of: Float.self) == [12, 27])
    // A second pass adds.
    try (x * 2).sum().backward()
    #expect(try x.grad!.array(of: Float.self) == [14, 29])
    try x.setGrad(nil)
    #expect(try x.grad == nil)
}

@Test func twoLossesAccumulateOnADetachedLeafAndGoOnIntoTheBackbone() throws {
    let weight = try Tensor([3] as [Float]).requiresGrad(true)
    let features = try weight * Tensor([1, 2] as [Float])
    #expect(features.requiresGrad)

    let leaf = try features.detach().requiresGrad(true)
    let first = try (leaf * leaf).sum()
    let second = try leaf * 10
    try first.backward()
    try second.backward(gradient: Tensor([1, 0.5] as [Float]))
    #expect(try leaf.grad!.array(of: Float.self) == [6 + 10, 12 + 5])
    #expect(try weight.grad == nil)  // cut off

    try features.backward(gradient: leaf.grad!)
    #expect(try weight.grad!.array(of: Float.self) == [16 + 2 * 17])
}

@Test func aGraphServesTwicePassesOnlyIfRetained() throws {
    let x = try Tensor([2] as [Float]).requiresGrad(true)
    let y = try x.exp().sum()
    try y.backward(retainGraph: true)
    try y.backward()
    #expect(throws: TensorError.self) { try y.backward() }
}

@Test func recordingCanBeSwitchedOff() throws {
    let x = try Tensor([2] as [Float]).requiresGrad(true)
    try withoutGradient { () throws in #expect(try !(x * 2).requiresGrad) }
    #expect(try (x * 2).requiresGrad)
    #expect(throws: TensorError.self) { try withoutGradient { try x.matmul(Tensor.zeros([3, 3])) } }
    #expect(try (x * 2).requiresGrad)  // also after an error
    #expect(throws: TensorError.self) { try x.add_(1) }
}

@Test func wrongGradientsAreErrors() throws {
    let x = try Tensor([1, 2] as [Float]).requiresGrad(true)
    #expect(throws: TensorError.self) { try (x * 2).backward() }  // no scalar, no gradient
    #expect(throws: TensorError.self) { try (x * 2).backward(gradient: Tensor([1] as [Float])) }
    #expect(throws: TensorError.self) { try x.setGrad(Tensor([1] as [Float])) }
    #expect(throws: TensorError.self) { try Tensor([1]).requiresGrad(true) }
    #expect(throws: TensorError.self) { try Tensor([1] as [Float]).backward() }
}

@Test func gradientsPassThroughConvolutionInChannelsLast() throws {
    let x = try Tensor.arange(32, dtype: .float64).reshape([1, 2, 4, 4]).sin()
    let weight = try Tensor.arange(36, dtype: .float64).reshape([2, 2, 3, 3]).cos().requiresGrad(true)
    func loss(_ weight: Tensor, _ x: Tensor) throws -> Tensor { try x.conv2d(weight, padding: 1).square().sum() }
    try loss(weight, x).backward()
    let plain = try weight.grad!.array(of: Double.self)

    let last = try weight.detach().channelsLast().requiresGrad(true)
    try loss(last, x.channelsLast()).backward()
    for (a, b) in zip(plain, try last.grad!.array(of: Double.self)) { #expect(abs(a - b) < 1e-10) }

    // Against a difference quotient at a few elements.
    for index in [0, 7, 35] {
        var shifted = try weight.detach().array(of: Double.self)
        let step = 1e-6
        shifted[index] += step
        let above = try loss(Tensor(shifted, shape: weight.shape), x).item()
        shifted[index] -= 2 * step
        let below = try loss(Tensor(shifted, shape: weight.shape), x).item()
        #expect(abs((above - below) / (2 * step) - plain[index]) < 1e-5)
    }
}

@Test func severalRootsGoBackInOnePassThroughWhatTheyShare() throws {
    func tree() throws -> (weight: Tensor, roots: [Tensor]) {
        let weight = try Tensor([3, -1] as [Float]).requiresGrad(true)
        let shared = try (weight * weight).exp()  // keeps its result, which one pass frees
        return (weight, [try shared * 2, try shared.sum(), try weight * 5])
    }
    let gradients = [try Tensor([1, 0.5] as [Float]), try Tensor.scalar(0.25), try Tensor([-2, 1] as [Float])]

    let (weight, roots) = try tree()
    try Tensor.backward(zip(roots, gradients).map { (tensor: $0, gradient: $1) })
    // Plain autograd: one loss that weighs the same values.
    let (expected, whole) = try tree()
    try zip(whole, gradients).map { try ($0 * $1).sum() }.reduce(Tensor.scalar(0.0)) { try $0 + $1 }.backward()
    #expect(try weight.grad!.array(of: Float.self) == expected.grad!.array(of: Float.self))
    // The record is gone, as after any pass; one that was kept serves again.
    #expect(throws: TensorError.self) { try Tensor.backward([(tensor: roots[0], gradient: gradients[0])]) }
    let (again, kept) = try tree()
    for retained in [true, false] {
        try Tensor.backward(zip(kept, gradients).map { (tensor: $0, gradient: $1) }, retainGraph: retained)
    }
    #expect(try again.grad!.isEqual(to: expected.grad! * 2))
}

@Test func rootsThatCannotGoBackAreNamed() throws {
    try Tensor.backward([])
    let weight = try Tensor([3, -1] as [Float]).requiresGrad(true)
    let error = #expect(throws: TensorError.self) {
        try Tensor.backward([(tensor: weight * 2, gradient: Tensor([1, 2, 3] as [Float]))])
    }
    #expect(error.map { "\($0)".contains("[2] float32") && "\($0)".contains("[3] float32") } == true)
    #expect(throws: TensorError.self) {
        try Tensor.backward([(tensor: Tensor.zeros([2]), gradient: Tensor.zeros([2]))])
    }
}
