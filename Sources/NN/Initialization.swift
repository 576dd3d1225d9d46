import Basics
import Foundation
import Tensors

/// Fills one module's tensors with draws that depend on the seed and the tensor's full name only: neither the order of
/// construction nor what else the network holds changes them.
public struct ParameterFiller {
    let seed: UInt64
    /// The module's, in the whole network.
    public let path: String

    /// The number of inputs to each output of a weight `[out, in, …]`.
    public func fanIn(_ weight: Tensor) -> Double {
        let shape = weight.shape
        return Double(shape.dropFirst().reduce(1, *))
    }

    /// The number of outputs that each input reaches: out · kh · kw for a weight `[out, in / groups, kh, kw]`.
    public func fanOut(_ weight: Tensor) -> Double {
        let shape = weight.shape
        return Double(shape[0] * shape.dropFirst(2).reduce(1, *))
    }

    /// PyTorch's default for convolutions and linear layers, `kaiming_uniform_(a=√5)`: uniform within ±1 / √fanIn.
    public func kaimingUniform(_ weight: Tensor, _ name: String) throws {
        try uniform(weight, name, bound: 1 / fanIn(weight).squareRoot())
    }

    /// torchvision's and timm's for convolutions, `kaiming_normal_(mode="fan_out", nonlinearity="relu")`: deviation
    /// √(2 / fanOut).
    ///
    /// - Parameter groups: timm's MobileNets divide the fan by it, torchvision does not.
    public func kaimingNormalFanOut(_ weight: Tensor, _ name: String, groups: Int = 1) throws {
        try normal(weight, name, deviation: (2 / (fanOut(weight) / Double(groups))).squareRoot())
    }

    /// `xavier_uniform_` (Glorot & Bengio, 2010): uniform within ±√(6 / (fanIn + fanOut)).
    ///
    /// - Parameter fused: how many such matrices the published code keeps as one, which its fan-out then counts.
    public func xavierUniform(_ weight: Tensor, _ name: String, fused: Int = 1) throws {
        try uniform(weight, name, bound: (6 / (fanIn(weight) + Double(fused) * fanOut(weight))).squareRoot())
    }

    /// Uniform within ±bound.
    public func uniform(_ tensor: Tensor, _ name: String, bound: Double) throws {
        try fill(tensor, name) { (2 * $0.unit() - 1) * bound }
    }

    public func normal(_ tensor: Tensor, _ name: String, mean: Double = 0, deviation: Double) throws {
        try fill(tensor, name) { mean + deviation * $0.standardNormal() }
    }

    /// Normal, but redrawn until within ±2 (not ±2 deviations): timm's `trunc_normal_` with its default bounds.
    public func truncatedNormal(_ tensor: Tensor, _ name: String, deviation: Double) throws {
        try fill(tensor, name) { random in
            while true {
                let value = deviation * random.standardNormal()
                if Swift.abs(value) <= 2 { return value }
            }
        }
    }

    public func constant(_ tensor: Tensor?, _ value: Double) throws {
        guard let tensor else { return }
        _ = try withoutGradient { try tensor.fill_(value) }
    }

    /// Draws every element in row-major order, whatever the order in memory.
    private func fill(_ tensor: Tensor, _ name: String, _ draw: (inout KeyedRandom) -> Double) throws {
        var random = KeyedRandom(seed: seed, purposeName: "init/" + (path.isEmpty ? name : "\(path).\(name)"))
        let values = (0..<tensor.count).map { _ in draw(&random) }
        _ = try withoutGradient { try tensor.copy_(Tensor(values, shape: tensor.shape)) }
    }
}

extension KeyedRandom {
    /// Uniform in [0, 1) with 53 bits.
    fileprivate mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// By Box and Muller's transformation (1958); 1 - u keeps the logarithm finite.
    fileprivate mutating func standardNormal() -> Double {
        let radius = (-2 * log(1 - unit())).squareRoot()
        return radius * cos(2 * .pi * unit())
    }
}

/// A network's own rule of initialisation, applied to each of its modules.
public struct InitializationRule: Sendable {
    let apply: @Sendable (Module, ParameterFiller) throws -> Bool

    /// - Parameter apply: fills the module's own tensors and returns true, or returns false to leave the module to its
    ///   PyTorch default.
    public init(_ apply: @escaping @Sendable (_ module: Module, _ fill: ParameterFiller) throws -> Bool) {
        self.apply = apply
    }

    /// For rules made of others.
    public func callAsFunction(_ module: Module, _ fill: ParameterFiller) throws -> Bool { try apply(module, fill) }

    /// What PyTorch's layers do when they are made.
    public static let pyTorch = InitializationRule { _, _ in false }

    /// torchvision's and timm's MobileNets: convolutions normal by fan-out with biases 0, linear layers normal with
    /// deviation 0.01 and biases 0, norms 1 and 0.
    ///
    /// - Parameter dividesByGroups: timm's MobileNets take a convolution's groups into account.
    public static func fanOut(dividesByGroups: Bool = false) -> InitializationRule {
        InitializationRule { module, fill in
            switch module {
            case let conv as Conv2d:
                try fill.kaimingNormalFanOut(conv.weight, "weight", groups: dividesByGroups ? conv.groups : 1)
                try fill.constant(conv.bias, 0)
            case let linear as Linear:
                try fill.normal(linear.weight, "weight", deviation: 0.01)
                try fill.constant(linear.bias, 0)
            default: return false
            }
            return true
        }
    }
}

extension InitializationRule {
    /// torchvision's and timm's ResNets: convolutions normal by fan-out without regard to groups; all else as PyTorch.
    public static let fanOutConvolutions = convolutions { weight, fill in
        try fill.kaimingNormalFanOut(weight, "weight")
    }

    /// HRNet's segmentation code: convolutions normal with one deviation whatever their size; all else as PyTorch.
    public static func normalConvolutions(deviation: Double) -> InitializationRule {
        convolutions { weight, fill in try fill.normal(weight, "weight", deviation: deviation) }
    }

    private static func convolutions(
        _ fillWeight: @escaping @Sendable (Tensor, ParameterFiller) throws -> Void
    ) -> InitializationRule {
        InitializationRule { module, fill in
            guard let conv = module as? Conv2d else { return false }
            try conv.initializeParameters(fill)
            try fillWeight(conv.weight, fill)
            return true
        }
    }

    /// The vision transformers' (timm, Segmenter, Swin): linear weights normal with deviation 0.02, truncated, biases 0;
    /// all else as PyTorch.
    public static let transformer = InitializationRule { module, fill in
        guard let linear = module as? Linear else { return false }
        try fill.truncatedNormal(linear.weight, "weight", deviation: 0.02)
        try fill.constant(linear.bias, 0)
        return true
    }
}

extension Module {
    /// Gives every parameter its first value, and buffers too; the same for equal seeds, whatever was done before.
    ///
    /// - Parameters:
    ///   - rule: the network's own; layers that it leaves alone get PyTorch's default.
    ///   - prefix: what stands before this module's names in the whole network, if a part is initialised alone.
    public func initialize(seed: UInt64, _ rule: InitializationRule = .pyTorch, prefix: String = "") throws {
        for (path, module) in namedModules(prefix: prefix) {
            let fill = ParameterFiller(seed: seed, path: path)
            if try !rule.apply(module, fill) { try module.initializeParameters(fill) }
        }
    }
}
