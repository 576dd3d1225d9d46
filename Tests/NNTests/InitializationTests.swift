import NN
import Tensors
import Testing

private func moments(_ tensor: Tensor) throws -> (mean: Double, deviation: Double, largest: Double) {
    let x = try tensor.detach().to(.float64)
    return (try x.mean().item(), try x.variance().sqrt().item(), try x.abs().max().item())
}

@Test func defaultsAreDistributedAsPyTorchs() throws {
    let net = Sequential(
        try Conv2d(16, 64, kernel: 3), try Linear(144, 200), try BatchNorm2d(8), try LayerNorm(8),
        try Conv2d(64, 64, kernel: 3, groups: 64))
    try net.initialize(seed: 7)
    let state = net.stateDict()
    // Uniform within ±1 / √fanIn: deviation bound / √3. 9,216 and more draws: the mean is within 0.05 deviations.
    for (name, fanIn) in [("0.weight", 144.0), ("1.weight", 144.0), ("4.weight", 9.0)] {
        let bound = 1 / fanIn.squareRoot()
        let (mean, deviation, largest) = try moments(state[name]!)
        let count = Double(state[name]!.count)
        #expect(abs(mean) < 5 * deviation / count.squareRoot(), "\(name)")
        #expect(abs(deviation - bound / 3.0.squareRoot()) < 0.05 * deviation, "\(name)")
        #expect(largest <= bound && largest > 0.98 * bound, "\(name)")
    }
    for (name, fanIn) in [("0.bias", 144.0), ("1.bias", 144.0), ("4.bias", 9.0)] {
        let largest = try moments(state[name]!).largest
        #expect(largest <= 1 / fanIn.squareRoot() && largest > 0.8 / fanIn.squareRoot(), "\(name)")
    }
    for name in ["2.weight", "2.running_var", "3.weight"] { #expect(try state[name]!.eq(1).all(), "\(name)") }
    for name in ["2.bias", "2.running_mean", "3.bias"] { #expect(try state[name]!.eq(0).all(), "\(name)") }
}

@Test func fanOutRuleIsTorchvisionsAndTimms() throws {
    let net = Sequential(try Conv2d(16, 64, kernel: 3), try Conv2d(64, 64, kernel: 3, groups: 64), try Linear(64, 100))
    try net.initialize(seed: 1, .fanOut())
    func deviation(_ name: String) throws -> Double { try moments(net.stateDict()[name]!).deviation }
    #expect(abs(try deviation("0.weight") / (2.0 / 576).squareRoot() - 1) < 0.05)
    #expect(abs(try deviation("1.weight") / (2.0 / 576).squareRoot() - 1) < 0.15)
    #expect(abs(try deviation("2.weight") / 0.01 - 1) < 0.05)
    #expect(try net.stateDict()["0.bias"]!.eq(0).all() && net.stateDict()["2.bias"]!.eq(0).all())
    try net.initialize(seed: 1, .fanOut(dividesByGroups: true))
    #expect(abs(try deviation("1.weight") / (2.0 / 9).squareRoot() - 1) < 0.15)
}

@Test func drawsDependOnSeedAndNameOnly() throws {
    let small = Sequential(named: [("b", try Conv2d(3, 4, kernel: 3))])
    let large = Sequential(named: [
        ("a", try Linear(5, 5)), ("b", try Conv2d(3, 4, kernel: 3)), ("c", try Linear(2, 2)),
    ])
    try small.initialize(seed: 11)
    try large.initialize(seed: 11)
    for name in ["b.weight", "b.bias"] { #expect(try small.stateDict()[name]!.isEqual(to: large.stateDict()[name]!)) }
    #expect(
        try !large.stateDict()["a.weight"]!.flatten().narrow(dim: 0, start: 0, length: 4).isEqual(
            to: large.stateDict()["c.weight"]!.flatten()))
    // A part initialised alone, and another order in memory.
    let part = try Conv2d(3, 4, kernel: 3)
    try part.to(.contiguous)
    try part.initialize(seed: 11, prefix: "b")
    #expect(try part.weight.isEqual(to: small.stateDict()["b.weight"]!))
    try part.initialize(seed: 12, prefix: "b")
    #expect(try !part.weight.isEqual(to: small.stateDict()["b.weight"]!))
}

@Test func truncatedNormalStaysWithinItsBounds() throws {
    let wide = InitializationRule { module, fill in
        guard let linear = module as? Linear else { return false }
        try fill.truncatedNormal(linear.weight, "weight", deviation: 2)
        return true
    }
    let linear = try Linear(100, 100)
    try linear.initialize(seed: 1, wide)
    let (mean, deviation, largest) = try moments(linear.weight)
    #expect(largest <= 2 && largest > 1.98)
    // A standard normal cut at ±1 has deviation 0.5396.
    #expect(abs(mean) < 0.06 && abs(deviation - 2 * 0.5396) < 0.03)
}

@Test func convolutionRulesLeaveAllElseToPyTorch() throws {
    for (rule, expected) in [
        (InitializationRule.fanOutConvolutions, (2.0 / 576).squareRoot()),
        (.normalConvolutions(deviation: 0.001), 0.001),
    ] {
        let net = Sequential(try Conv2d(16, 64, kernel: 3), try Linear(144, 200), try BatchNorm2d(8))
        try net.initialize(seed: 3, rule)
        let weight = try moments(net.stateDict()["0.weight"]!)
        #expect(abs(weight.deviation / expected - 1) < 0.05 && weight.largest > 3 * expected)
        let bias = try moments(net.stateDict()["0.bias"]!).largest
        #expect(bias <= 1.0 / 12 && bias > 0.8 / 12)
        let linear = try moments(net.stateDict()["1.weight"]!).largest
        #expect(linear <= 1.0 / 12 && linear > 0.98 / 12)
        #expect(try net.stateDict()["2.weight"]!.eq(1).all())
    }
}
