import Basics
import Foundation
import NN
import Tensors
import Testing

/// `optim.json` of the parity kit: trajectories of torch.optim in float64.
private struct OptimCase: Decodable {
    struct Trajectory: Decodable {
        struct Step: Decodable {
            let lr: Double
            let a: [Double], b: [Double], c: [Double]
        }
        let lr: Double
        let steps: [Step]
    }
    struct Poly: Decodable {
        let base: Double, total: Int, power: Double
        let step: [Int], lr: [Double]
    }
    let shapes: [String: [Int]]
    let start: [String: [Double]]
    let poly_lr: Poly
    let sgd: Trajectory, sgd_poly: Trajectory
    let adamw: Trajectory, adamw_poly: Trajectory
}

/// The kit's file, or nil where the kit is not at hand.
private let optimCase: OptimCase? = {
    let here = URL(fileURLWithPath: #filePath)
    let beside = here.appendingPathComponent("../../ModelsTests/Parity").standardized.path
    let folder = ProcessInfo.processInfo.environment["PICOFLOW_PARITY_DIR"] ?? beside
    guard let data = FileManager.default.contents(atPath: folder + "/optim.json") else { return nil }
    // A damaged file is no missing one.
    return try! JSONDecoder().decode(OptimCase.self, from: data)
}()

private let missing: Comment = "no parity kit: set PICOFLOW_PARITY_DIR to the folder that holds optim.json"

/// The kit's values: 2u - 1 of the SplitMix64 stream seeded by the name's FNV-1a, u of 24 bits.
private func stream(_ name: String, _ count: Int) -> [Double] {
    var state = name.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    return (0..<count).map { _ in
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return 2 * (Double((z ^ (z >> 31)) >> 40) / 0x1p24) - 1
    }
}

private func parameters(_ shapes: [String: [Int]]) throws -> NamedTensors {
    var found = NamedTensors()
    for name in shapes.keys.sorted() {
        let shape = shapes[name]!
        let values = stream("optim.param.\(name)", shape.reduce(1, *))
        found[name] = try Tensor(values, shape: shape).requiresGrad(true)
    }
    return found
}

private func setGradients(_ parameters: NamedTensors, step: Int) throws {
    for (name, parameter) in parameters {
        let values = stream("optim.grad.\(step).\(name)", parameter.count)
        try parameter.setGrad(Tensor(values, shape: parameter.shape))
    }
}

/// The kit's reader rounds a unit in the last place off, so equality is to 1e-14 of the value.
private func expectEqual(_ tensor: Tensor, _ expected: [Double], _ what: String) throws {
    for (got, want) in zip(try tensor.array(of: Double.self), expected) {
        #expect(abs(got - want) <= 1e-14 * max(1e-3, abs(want)), "\(what): \(got) instead of \(want)")
    }
    #expect(tensor.count == expected.count)
}

private func follow(
    _ trajectory: OptimCase.Trajectory, _ shapes: [String: [Int]], _ name: String,
    _ make: ([ParameterGroup]) -> any Optimizer, decay: Double
) throws {
    let parameters = try parameters(shapes)
    var optimizer = make([ParameterGroup("all", parameters, weightDecay: decay)])
    for (step, expected) in trajectory.steps.enumerated() {
        if step == 2 {
            // A checkpoint in between must change nothing.
            let state = try NamedTensors(optimizer.state().map { ($0.name, try $0.tensor.clone()) })
            optimizer = make(optimizer.groups)
            try optimizer.load(state)
        }
        try setGradients(parameters, step: step)
        try optimizer.step(learningRate: expected.lr)
        for (key, values) in [("a", expected.a), ("b", expected.b), ("c", expected.c)] {
            try expectEqual(parameters[key]!, values, "\(name), step \(step), \(key)")
        }
    }
}

@Test(.enabled(if: optimCase != nil, missing)) func sgdParity() throws {
    let kit = try #require(optimCase)
    for (name, trajectory) in [("sgd", kit.sgd), ("sgd_poly", kit.sgd_poly)] {
        try follow(trajectory, kit.shapes, name, { SGD($0, momentum: 0.9) }, decay: 5e-4)
    }
}

@Test(.enabled(if: optimCase != nil, missing)) func adamWParity() throws {
    let kit = try #require(optimCase)
    for (name, trajectory) in [("adamw", kit.adamw), ("adamw_poly", kit.adamw_poly)] {
        try follow(trajectory, kit.shapes, name, { AdamW($0) }, decay: 0.01)
    }
}

@Test(.enabled(if: optimCase != nil, missing)) func polyScheduleParity() throws {
    let poly = try #require(optimCase).poly_lr
    let schedule = PolySchedule(base: poly.base, total: poly.total, power: poly.power)
    for (step, rate) in zip(poly.step, poly.lr) { #expect(abs(schedule.rate(at: step) - rate) <= 1e-16) }
}

@Test func scheduleRampsUpLinearlyAndEndsAtZero() {
    let schedule = PolySchedule(base: 1, total: 100, power: 1, ramp: 10)
    for step in 0..<10 {
        #expect(abs(schedule.rate(at: step) - (1 - Double(step) / 100) * Double(step + 1) / 10) < 1e-15)
    }
    #expect(schedule.rate(at: 10) == 0.9)
    #expect(schedule.rate(at: 100) == 0 && schedule.rate(at: 1000) == 0)
}

@Test(arguments: ["sgd", "adamw"]) func skippedGroupsAreNeitherSteppedNorDecayed(_ kind: String) throws {
    let body = NamedTensors([("w", try Tensor([1.0, 2.0]).requiresGrad(true))])
    let head = NamedTensors([("h", try Tensor([3.0, 4.0]).requiresGrad(true))])
    let groups = [
        ParameterGroup("body", body, weightDecay: 0.1),
        ParameterGroup("head", head, learningRateFactor: 10, weightDecay: 0.1),
    ]
    let optimizer: any Optimizer = kind == "sgd" ? SGD(groups) : AdamW(groups)
    func setGradients() throws {
        for group in groups { for (_, p) in group.parameters { try p.setGrad(p.detach().onesLike()) } }
    }
    try setGradients()
    try optimizer.step(learningRate: 0.01, skipping: ["head"])
    #expect(try head["h"]!.array(of: Double.self) == [3, 4])
    #expect(try body["w"]!.array(of: Double.self) != [1, 2])
    #expect(try optimizer.state().names.allSatisfy { $0.hasPrefix("w.") })

    // A group that joins later starts as a fresh optimiser would, at its own rate.
    try setGradients()
    try optimizer.step(learningRate: 0.01)
    let alone = NamedTensors([("h", try Tensor([3.0, 4.0]).requiresGrad(true))])
    let fresh: any Optimizer =
        kind == "sgd"
        ? SGD([ParameterGroup("head", alone, weightDecay: 0.1)])
        : AdamW([ParameterGroup("head", alone, weightDecay: 0.1)])
    try alone["h"]!.setGrad(Tensor([1.0, 1.0]))
    try fresh.step(learningRate: 0.1)
    #expect(try head["h"]!.isEqual(to: alone["h"]!))
}

@Test func parametersWithoutGradientStay() throws {
    let parameters = NamedTensors([("w", try Tensor([1.0]).requiresGrad(true))])
    try SGD([ParameterGroup("all", parameters, weightDecay: 1)]).step(learningRate: 1)
    #expect(try parameters["w"]!.item() == 1)
}

@Test func optimiserRefusesAForeignState() throws {
    let parameters = NamedTensors([("w", try Tensor([1.0]).requiresGrad(true))])
    let groups = [ParameterGroup("all", parameters, weightDecay: 0)]
    func refusal(_ optimizer: any Optimizer, _ key: String, _ value: Tensor) -> String {
        do {
            try optimizer.load(NamedTensors([(key, value)]))
            return "accepted"
        } catch { return "\(error)" }
    }
    let one = try Tensor([1.0])
    #expect(
        refusal(SGD(groups), "x.momentum_buffer", one).contains("'x.momentum_buffer', which belongs to no parameter"))
    #expect(refusal(SGD(groups), "w.exp_avg", one).contains("this optimiser keeps momentum_buffer"))
    #expect(refusal(SGD(groups), "w.momentum_buffer", try Tensor([1.0, 2.0])).contains("[2], [1] was expected"))
    #expect(refusal(AdamW(groups), "w.exp_avg", one).contains("only a part"))
    #expect(refusal(SGD(groups), "momentum_buffer", one).contains("no parameter"))
}
