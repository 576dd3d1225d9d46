import Basics
import Tensors

/// Parameters that are updated alike.
public struct ParameterGroup {
    /// For logs and for leaving the group out of a step.
    public let name: String
    /// By their names in the whole network; no name is in two groups.
    public let parameters: NamedTensors
    /// Multiplies the step's learning rate.
    public var learningRateFactor: Double
    public var weightDecay: Double

    public init(_ name: String, _ parameters: NamedTensors, learningRateFactor: Double = 1, weightDecay: Double) {
        self.name = name
        self.parameters = parameters
        self.learningRateFactor = learningRateFactor
        self.weightDecay = weightDecay
    }
}

/// Changes parameters by their collected gradients.
public protocol Optimizer: AnyObject {
    var groups: [ParameterGroup] { get set }

    /// Updates every parameter that has a gradient.
    ///
    /// - Parameters:
    ///   - learningRate: this step's, before the groups' factors.
    ///   - skipping: names of groups that stay as they are: no step, no weight decay, no change of their state.
    func step(learningRate: Double, skipping: Set<String>) throws

    /// What a step depends on beside parameters and gradients, under `PARAMETER.SLOT`. The tensors are the optimiser's
    /// own: write or clone them before the next step.
    func state() throws -> NamedTensors

    /// Takes a state back; after that, steps continue bit for bit.
    ///
    /// - Throws: `UserError` for an entry that fits no parameter.
    func load(_ state: NamedTensors) throws
}

extension Optimizer {
    public func step(learningRate: Double) throws { try step(learningRate: learningRate, skipping: []) }

    /// Drops all collected gradients.
    public func zeroGrad() throws {
        for group in groups { for (_, parameter) in group.parameters { try parameter.setGrad(nil) } }
    }

    /// Calls `update` for each parameter of the groups not skipped that has a gradient, without recording.
    func forEachGradient(
        learningRate: Double, skipping: Set<String>,
        _ update: (_ name: String, _ parameter: Tensor, _ gradient: Tensor, _ rate: Double, _ decay: Double) throws ->
            Void
    ) throws {
        try withoutGradient {
            for group in groups where !skipping.contains(group.name) {
                let rate = learningRate * group.learningRateFactor
                for (name, parameter) in group.parameters {
                    guard let gradient = try parameter.grad else { continue }
                    try update(name, parameter, gradient, rate, group.weightDecay)
                }
            }
        }
    }

    /// A state's entries by slot, copied into the parameters' type, device and order in memory.
    ///
    /// - Parameters:
    ///   - likeParameter: slots of the parameter's shape.
    ///   - scalar: slots without dimensions.
    /// - Throws: `UserError` for any other slot, for another shape, and for an entry of no parameter here.
    func slots(likeParameter: [String], scalar: [String] = [], from state: NamedTensors) throws -> [String: [String:
        Tensor]]
    {
        var parameters: [String: Tensor] = [:]
        for group in groups { for (name, parameter) in group.parameters { parameters[name] = parameter } }
        var found: [String: [String: Tensor]] = [:]
        for (key, tensor) in state {
            let dot = key.lastIndex(of: ".") ?? key.startIndex
            let name = String(key[..<dot])
            let slot = String(key[dot...].dropFirst())
            guard let parameter = parameters[name] else {
                throw UserError("the optimiser's state has '\(key)', which belongs to no parameter of this network")
            }
            guard likeParameter.contains(slot) || scalar.contains(slot) else {
                let own = (likeParameter + scalar).joined(separator: ", ")
                throw UserError("the optimiser's state has '\(key)'; this optimiser keeps \(own) per parameter")
            }
            let shape = scalar.contains(slot) ? [] : parameter.shape
            guard tensor.shape == shape else {
                throw UserError("the optimiser's '\(key)' has shape \(tensor.shape), \(shape) was expected")
            }
            found[slot, default: [:]][name] = try withoutGradient {
                scalar.contains(slot) ? try tensor.clone() : try parameter.zerosLike().copy_(tensor)
            }
        }
        return found
    }
}
