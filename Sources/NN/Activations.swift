import Tensors

// Layers without parameters: they exist so that a `Sequential` can hold them and number its children as PyTorch does.

public final class Identity: Module, Layer {
    public func callAsFunction(_ x: Tensor) throws -> Tensor { x }
}

public final class ReLU: Module, Layer {
    public func callAsFunction(_ x: Tensor) throws -> Tensor { try x.relu() }
}

public final class Hardswish: Module, Layer {
    public func callAsFunction(_ x: Tensor) throws -> Tensor { try x.hardswish() }
}

/// Zeroes elements with probability `p` in training; draws from libtorch's generator (`Torch.seed(_:)`).
public final class Dropout: Module, Layer {
    public let p: Double

    public init(_ p: Double = 0.5) { self.p = p }

    public func callAsFunction(_ x: Tensor) throws -> Tensor { try x.dropout(p, training: isTraining) }
}

/// How often `Tensor.dropPath` leaves a residual branch out.
public enum DropPath {
    /// Probabilities for `depth` blocks in a row, rising from 0 at the first to `rate` at the last.
    public static func rising(to rate: Double, depth: Int) -> [Double] {
        (0..<depth).map { rate * Double($0) / Double(max(depth - 1, 1)) }
    }
}
