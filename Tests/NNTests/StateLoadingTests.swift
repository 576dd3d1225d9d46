import Tensors
import Testing

@testable import NN

private func network() throws -> Sequential {
    Sequential(named: [
        ("conv", try Conv2d(3, 4, kernel: 3)), ("norm", try BatchNorm2d(4)), ("fc", try Linear(4, 2)),
    ])
}

private func copy(_ state: NamedTensors) throws -> NamedTensors {
    NamedTensors(try state.map { ($0.name, try $0.tensor.detach().clone()) })
}

private func mismatch(_ network: Module, _ state: NamedTensors, _ allowance: LoadAllowance = []) throws -> StateMismatch
{
    try #require(#expect(throws: StateMismatch.self) { try network.load(state, allowing: allowance) })
}

@Test func loadingMakesNetworksEqual() throws {
    let a = try network()
    let b = try network()
    try a.initialize(seed: 1)
    try b.initialize(seed: 2)
    let differences = try b.load(a.stateDict())
    #expect(differences.isEmpty)
    for (name, tensor) in a.stateDict() { #expect(try b.stateDict()[name]!.isEqual(to: tensor), "\(name)") }
    #expect(b.namedParameters().allSatisfy { $0.tensor.requiresGrad })
    // Values are converted to the network's type.
    try b.to(.float64)
    try b.load(a.stateDict())
    #expect(b.stateDict()["conv.weight"]!.dtype == .float64)
}

@Test func differencesAreListedWithTheNearestNameAndNothingChanges() throws {
    let target = try network()
    try target.initialize(seed: 1)
    let before = try copy(target.stateDict())
    var state = try copy(before).renamed { $0 == "conv.weight" ? "conv.wieght" : $0 }
    state["fc.bias"] = try Tensor.zeros([3])
    state["norm.weight"] = try Tensor.full([4], 9)
    let found = try mismatch(target, state)
    #expect(found.missing == ["conv.weight"] && found.unused == ["conv.wieght"])
    #expect(found.misshaped == [.init(name: "fc.bias", network: [2], state: [3])])
    #expect(found.description.contains("1 missing: conv.weight (is it 'conv.wieght'?)"))
    #expect(found.description.contains("1 unused: conv.wieght"))
    #expect(found.description.contains("fc.bias ([3], the network has [2])"))
    for (name, tensor) in target.stateDict() { #expect(try tensor.isEqual(to: before[name]!), "\(name) was changed") }
}

@Test func theAllowanceIsAllThatMayDiffer() throws {
    let target = try network()
    try target.initialize(seed: 1)
    let state = try copy(target.stateDict())
    let shorter = state.renamed { $0.hasPrefix("fc.") ? nil : $0 }
    #expect(try mismatch(target, shorter).missing == ["fc.weight", "fc.bias"])
    #expect(try target.load(shorter, allowing: .missing).missing.count == 2)
    _ = try mismatch(target, shorter, [.unused, .misshaped, .missingBatchCounts])

    var longer = state
    longer["head.weight"] = try Tensor.zeros([1])
    #expect(try mismatch(target, longer).unused == ["head.weight"])
    #expect(try target.load(longer, allowing: .unused).unused == ["head.weight"])

    let old = state.renamed { $0.hasSuffix("num_batches_tracked") ? nil : $0 }
    #expect(try mismatch(target, old).missing == ["norm.num_batches_tracked"])
    #expect(try target.load(old, allowing: .missingBatchCounts).missing == ["norm.num_batches_tracked"])

    var other = state
    other["fc.weight"] = try Tensor.zeros([5, 4])
    _ = try mismatch(target, other)
    #expect(try target.load(other, allowing: .misshaped).misshaped.map(\.name) == ["fc.weight"])
}

@Test func longListsAreCutInTheTextOnly() throws {
    let target = Sequential(try (0..<9).map { _ in try Linear(1, 1) })
    let found = try mismatch(target, NamedTensors())
    #expect(found.missing.count == 18)
    #expect(found.description.contains("18 missing") && found.description.contains("and 13 more"))
}
