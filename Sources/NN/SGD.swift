import Tensors

/// Stochastic gradient descent with momentum, step for step `torch.optim.SGD` with dampening 0.
///
/// g ← ∇ + decay · p;  v ← momentum · v + g (v = g at first);  p ← p - rate · v.
public final class SGD: Optimizer {
    public var groups: [ParameterGroup]
    public let momentum: Double
    private var velocities: [String: Tensor] = [:]

    public init(_ groups: [ParameterGroup], momentum: Double = 0.9) {
        self.groups = groups
        self.momentum = momentum
    }

    public func step(learningRate: Double, skipping: Set<String>) throws {
        try forEachGradient(learningRate: learningRate, skipping: skipping) { name, parameter, gradient, rate, decay in
            // A new tensor, for the gradient stays the caller's.
            var direction = decay == 0 ? gradient : try gradient.add(parameter, alpha: decay)
            if momentum != 0 {
                if let velocity = velocities[name] {
                    try velocity.mul_(momentum).add_(direction)
                } else {
                    velocities[name] = try direction.detach().clone()
                }
                direction = velocities[name]!
            }
            try parameter.add_(direction, alpha: -rate)
        }
    }

    /// `PARAMETER.momentum_buffer`, for those that were stepped.
    public func state() throws -> NamedTensors {
        var state = NamedTensors()
        for group in groups {
            for name in group.parameters.names { state[name + ".momentum_buffer"] = velocities[name] }
        }
        return state
    }

    public func load(_ state: NamedTensors) throws {
        velocities = try slots(likeParameter: ["momentum_buffer"], from: state)["momentum_buffer"] ?? [:]
    }
}
