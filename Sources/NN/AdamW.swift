import Basics
import Foundation
import Tensors

/// Adam with decoupled weight decay (Loshchilov & Hutter, 2019), step for step `torch.optim.AdamW`.
///
/// p ← p · (1 - rate · decay);  m ← lerp(m, ∇, 1 - β₁);  v ← β₂ · v + (1 - β₂) · ∇²;
/// p ← p - rate / (1 - β₁ᵗ) · m / (√v / √(1 - β₂ᵗ) + ε), with t counted per parameter.
public final class AdamW: Optimizer {
    public var groups: [ParameterGroup]
    public let beta1: Double
    public let beta2: Double
    public let eps: Double

    private struct Moments {
        var step: Int
        let mean: Tensor
        let square: Tensor
    }
    private var moments: [String: Moments] = [:]

    public init(_ groups: [ParameterGroup], beta1: Double = 0.9, beta2: Double = 0.999, eps: Double = 1e-8) {
        self.groups = groups
        self.beta1 = beta1
        self.beta2 = beta2
        self.eps = eps
    }

    public func step(learningRate: Double, skipping: Set<String>) throws {
        try forEachGradient(learningRate: learningRate, skipping: skipping) { name, parameter, gradient, rate, decay in
            var own = try moments[name] ?? Moments(step: 0, mean: parameter.zerosLike(), square: parameter.zerosLike())
            own.step += 1
            moments[name] = own
            try parameter.mul_(1 - rate * decay)
            try own.mean.lerp_(gradient, weight: 1 - beta1)
            try own.square.mul_(beta2).addcmul_(gradient, gradient, value: 1 - beta2)
            let correction1 = 1 - pow(beta1, Double(own.step))
            let correction2 = 1 - pow(beta2, Double(own.step))
            let denominator = try (own.square.sqrt() / correction2.squareRoot()).add_(eps)
            try parameter.addcdiv_(own.mean, denominator, value: -(rate / correction1))
        }
    }

    /// `PARAMETER.step` (int64), `.exp_avg`, `.exp_avg_sq`, for those that were stepped.
    public func state() throws -> NamedTensors {
        var state = NamedTensors()
        for group in groups {
            for name in group.parameters.names {
                guard let own = moments[name] else { continue }
                state[name + ".step"] = try Tensor([own.step], shape: [])
                state[name + ".exp_avg"] = own.mean
                state[name + ".exp_avg_sq"] = own.square
            }
        }
        return state
    }

    public func load(_ state: NamedTensors) throws {
        let found = try slots(likeParameter: ["exp_avg", "exp_avg_sq"], scalar: ["step"], from: state)
        var loaded: [String: Moments] = [:]
        for group in groups {
            for name in group.parameters.names {
                let parts = (found["step"]?[name], found["exp_avg"]?[name], found["exp_avg_sq"]?[name])
                switch parts {
                case (nil, nil, nil): continue
                case (let step?, let mean?, let square?):
                    loaded[name] = Moments(step: Int(try step.item()), mean: mean, square: square)
                default:
                    throw UserError("the optimiser's state has only a part of step, exp_avg, exp_avg_sq for '\(name)'")
                }
            }
        }
        moments = loaded
    }
}
