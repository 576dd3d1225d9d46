import Tensors

// Layers without parameters: they exist so that a `Sequential` can hold them and number its children as PyTorch does.

public final class Identity: Module, Layer {
    public func callAsFunction(_ x: Tensor) throws -> Tensor { x }
}

public final class ReLU: Module, Layer {
    public func callAsFunction(_ x: Tensor) throws -> Tensor { try x.relu() }
}

public final class ReLU6: Module, Layer {
    public func callAsFunction(_ x: Tensor) throws -> Tensor { try x.relu6() }
}

public final class Hardswish: Module, Layer {
    public func callAsFunction(_ x: Tensor) throws -> Tensor { try x.hardswish() }
}

public final class Hardsigmoid: Module, Layer {
    public func callAsFunction(_ x: Tensor) throws -> Tensor { try x.hardsigmoid() }
}

public final class Sigmoid: Module, Layer {
    public func callAsFunction(_ x: Tensor) throws -> Tensor { try x.sigmoid() }
}

/// x · Φ(x), exact unless the approximation through tanh is asked for.
public final class GELU: Module, Layer {
    public let tanhApproximation: Bool

    public init(tanhApproximation: Bool = false) { self.tanhApproximation = tanhApproximation }

    public func callAsFunction(_ x: Tensor) throws -> Tensor { try x.gelu(tanhApproximation: tanhApproximation) }
}

/// Zeroes elements with probability `p` in training; draws from libtorch's generator (`Torch.seed(_:)`).
public final class Dropout: Module, Layer {
    public let p: Double

    public init(_ p: Double = 0.5) { self.p = p }

    public func callAsFunction(_ x: Tensor) throws -> Tensor { try x.dropout(p, training: isTraining) }
}

/// The same for whole channels of `[N, C, H, W]`.
public final class Dropout2d: Module, Layer {
    public let p: Double

    public init(_ p: Double = 0.5) { self.p = p }

    public func callAsFunction(_ x: Tensor) throws -> Tensor { try x.dropout2d(p, training: isTraining) }
}

/// The same for whole samples: leaves a residual branch out for some images.
public final class DropPath: Module, Layer {
    public let p: Double

    public init(_ p: Double) { self.p = p }

    public func callAsFunction(_ x: Tensor) throws -> Tensor { try x.dropPath(p, training: isTraining) }

    /// Probabilities for `depth` blocks in a row, rising from 0 at the first to `rate` at the last.
    public static func rising(to rate: Double, depth: Int) -> [Double] {
        (0..<depth).map { rate * Double($0) / Double(max(depth - 1, 1)) }
    }
}
