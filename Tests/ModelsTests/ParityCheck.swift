import Foundation
import NN
import Tensors

/// Runs a case and measures how far its numbers are from the reference's.
struct ParityCheck {
    /// A number that is too far off, or a name or shape that differs.
    private(set) var failures: [String] = []
    /// The largest deviation as a share of what was allowed, and of what.
    private(set) var worst: (share: Double, what: String) = (0, "")

    let parity: ParityCase

    init(_ parity: ParityCase) { self.parity = parity }

    /// One line: the verdict and how close it was.
    var summary: String {
        let verdict = failures.isEmpty ? "ok" : "\(failures.count) failures"
        return "parity \(parity.case): \(verdict); at most \(percent(worst.share)) of what is allowed (\(worst.what))"
    }

    mutating func run() throws {
        guard let model = try ParityModels.make(parity) else { return }
        checkNames(model)
        checkNorms(model)
        guard failures.isEmpty else { return }
        if let train = parity.train {
            // Many norms with batch statistics amplify float32's rounding beyond use, so in float64, where the kit says
            // that 1e-6 is safe for all of its networks. With frozen norms too: in float32 a single ReLU that rounds to
            // the other side of 0 moves a ResNet's gradients by more than the 1e-4 that most of them keep to.
            try trainPass(train, dtype: .float64, frozen: false, outputs: 1e-6, gradients: 1e-6)
            if let frozen = parity.trainFrozen {
                try trainPass(frozen, dtype: .float64, frozen: true, outputs: nil, gradients: 1e-6)
            }
        } else {
            let module = try filled(model, .float32).eval()
            let found = try withoutGradient { try model.run(input(.float32), true) }
            withExtendedLifetime(module) {}
            for (name, expected) in entries(parity.outputs) + entries(parity.taps ?? [:]) {
                try compare(name, found[name], expected, share: model.tolerance)
            }
            if let loss = parity.loss { try compare(loss, found) }
        }
    }

    // MARK: Passes

    private mutating func trainPass(
        _ expected: ParityCase.Training, dtype: DType, frozen: Bool, outputs: Double?, gradients: Double
    ) throws {
        guard let model = try ParityModels.make(parity) else { return }
        let module = try filled(model, dtype).train()
        if frozen { for (_, norm) in module.namedModules() where norm is BatchNorm2d { norm.eval() } }
        let label = frozen ? "frozen " : ""
        let found = try model.run(input(dtype), false)
        if let outputs {
            for (name, summary) in entries(parity.outputs) {
                try compare(label + name, found[name], summary, share: outputs)
            }
        }

        var total: Tensor?
        for (name, weight) in entries(expected.lossWeights ?? parity.train?.lossWeights ?? [:]) {
            guard let scores = found[name] else { continue }
            let shape = [scores.size(0), scores.size(2), scores.size(3)]
            let labels = try Tensor(
                ParityFormula.labels(count: shape.reduce(1, *), classes: scores.size(1)), shape: shape)
            let term = try scores.crossEntropy(labels)
            near("\(label)loss \(name)", try term.item(), expected.lossTerms[name], within: gradients, relative: true)
            total = try total.map { try $0 + term * weight } ?? term * weight
        }
        guard let total else { return fail("\(label)loss: no output to compute it from") }
        near("\(label)loss", try total.item(), expected.loss, within: gradients, relative: true)
        try total.backward()
        try compareGradients(model, expected, label: label, share: gradients)

        for (name, statistics) in entries(expected.runningStats ?? [:]) {
            let state = publishedState(model)
            try compare("\(name).running_mean", state["\(name).running_mean"], statistics.runningMean, share: 1e-6)
            try compare("\(name).running_var", state["\(name).running_var"], statistics.runningVar, share: 1e-6)
            let count = try state["\(name).num_batches_tracked"]?.itemInt()
            if count != statistics.numBatchesTracked {
                fail("\(name).num_batches_tracked: \(String(describing: count)), not \(statistics.numBatchesTracked)")
            }
        }
    }

    private mutating func compareGradients(
        _ model: ParityModel, _ expected: ParityCase.Training, label: String, share: Double
    ) throws {
        var squares = 0.0
        var found: [String: Tensor] = [:]
        for (name, parameter) in model.module.namedParameters() {
            guard let gradient = try parameter.grad else { continue }
            squares += try (gradient.to(.float64) * gradient.to(.float64)).sum().item()
            found[model.publishedName(name)] = gradient
        }
        near(
            "\(label)norm of all gradients", squares.squareRoot(), expected.gradientNormAll, within: share,
            relative: true)
        for name in expected.withoutGradient ?? [] where found[name] != nil { fail("\(label)\(name) has a gradient") }
        for (name, gradient) in entries(expected.gradients) {
            guard let tensor = found[name], tensor.shape == gradient.shape else {
                fail("\(label)gradient of \(name): missing or of another shape than \(gradient.shape)")
                continue
            }
            let values = try tensor.to(.float64).array(of: Double.self)
            for (index, value) in zip(gradient.samples.index, gradient.samples.value) {
                near(
                    "\(label)gradient of \(name)[\(index)]", values[index], value, within: share * gradient.maxAbs)
            }
        }
    }

    // MARK: Filling

    private func filled(_ model: ParityModel, _ dtype: DType) throws -> Module {
        let kept = Set(parity.keptBuffers ?? [])
        try withoutGradient {
            for (name, tensor) in model.module.stateDict() where !kept.contains(model.publishedName(name)) {
                let values = ParityFormula.values(model.publishedName(name), shape: tensor.shape)
                try tensor.copy_(Tensor(values, shape: tensor.shape))
            }
        }
        return try model.module.to(dtype)
    }

    private func input(_ dtype: DType) throws -> Tensor {
        try Tensor(ParityFormula.input(parity.input.name, shape: parity.input.shape), shape: parity.input.shape)
            .to(dtype).channelsLast()
    }

    private func publishedState(_ model: ParityModel) -> NamedTensors {
        model.module.stateDict().renamed(model.publishedName)
    }

    // MARK: Comparing

    /// Names and shapes of the state, without regard to their order.
    private mutating func checkNames(_ model: ParityModel) {
        let ours = publishedState(model)
        for entry in parity.state {
            guard let tensor = ours[entry.name] else {
                fail("state lacks \(entry.name)")
                continue
            }
            if tensor.shape != entry.shape { fail("\(entry.name) is \(tensor.shape), not \(entry.shape)") }
        }
        let theirs = Set(parity.state.map(\.name))
        for name in ours.names where !theirs.contains(name) { fail("state has \(name), which the reference lacks") }
    }

    /// The constants of batch normalisation: a wrong momentum shows in no evaluation.
    private mutating func checkNorms(_ model: ParityModel) {
        var ours: [String: Int] = [:]
        for case (_, let norm as BatchNorm2d) in model.module.namedModules() {
            ours[String(format: "BatchNorm eps=%g momentum=%g", norm.eps, norm.momentum), default: 0] += 1
        }
        let theirs = (parity.normLayers ?? ours).filter { $0.key.hasPrefix("BatchNorm") }
        if ours != theirs { fail("norms \(entries(ours)), not \(entries(theirs))") }
    }

    /// Summary and samples, each within `share` of the reference's standard deviation.
    mutating func compare(
        _ name: String, _ tensor: Tensor?, _ expected: ParityCase.Summary, share: Double
    ) throws {
        guard let tensor else { return fail("\(name): not computed") }
        guard tensor.shape == expected.shape else {
            return fail("\(name) is \(tensor.shape), not \(expected.shape)")
        }
        let values = try tensor.to(.float64).array(of: Double.self)
        let mean = values.reduce(0, +) / Double(values.count)
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
        // A constant has no spread to measure by.
        let allowed = share * (expected.std > 0 ? expected.std : 1)
        near("\(name) mean", mean, expected.mean, within: allowed)
        near("\(name) std", variance.squareRoot(), expected.std, within: allowed)
        near("\(name) min", values.min() ?? .nan, expected.min, within: allowed)
        near("\(name) max", values.max() ?? .nan, expected.max, within: allowed)
        for (index, value) in zip(expected.samples.index, expected.samples.value) {
            near("\(name)[\(index)]", values[index], value, within: allowed)
        }
    }

    /// - Parameter expected: nil stands for not-a-number.
    mutating func near(
        _ what: String, _ found: Double, _ expected: Double?, within allowed: Double, relative: Bool = false
    ) {
        guard let expected else {
            if !found.isNaN { fail("\(what): \(found), not-a-number was expected") }
            return
        }
        let bound = relative ? allowed * abs(expected) : allowed
        let share = abs(found - expected) / bound
        // Not `<`, so that not-a-number fails.
        guard share <= 1 else { return fail("\(what): \(found), not \(expected) (± \(bound))") }
        if share > worst.share { worst = (share, what) }
    }

    mutating func fail(_ text: String) { failures.append(text) }

    private func entries<Value>(_ table: [String: Value]) -> [(String, Value)] {
        table.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    private func percent(_ share: Double) -> String { "\(Int((share * 100).rounded(.up))) %" }
}
