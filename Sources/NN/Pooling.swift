import Tensors

/// The largest of each window of `[N, C, H, W]`.
public final class MaxPool2d: Module, Layer {
    public let kernel: Size2D, stride: Size2D, padding: Size2D
    public let ceilMode: Bool

    /// - Parameter stride: the kernel's size if left out.
    public init(_ kernel: Size2D, stride: Size2D? = nil, padding: Size2D = 0, ceilMode: Bool = false) {
        self.kernel = kernel
        self.stride = stride ?? kernel
        self.padding = padding
        self.ceilMode = ceilMode
    }

    public func callAsFunction(_ x: Tensor) throws -> Tensor {
        try x.maxPool2d(kernel, stride: stride, padding: padding, ceilMode: ceilMode)
    }
}

/// The mean of each window of `[N, C, H, W]`.
public final class AvgPool2d: Module, Layer {
    public let kernel: Size2D, stride: Size2D, padding: Size2D

    public init(_ kernel: Size2D, stride: Size2D? = nil, padding: Size2D = 0) {
        self.kernel = kernel
        self.stride = stride ?? kernel
        self.padding = padding
    }

    public func callAsFunction(_ x: Tensor) throws -> Tensor {
        try x.avgPool2d(kernel, stride: stride, padding: padding)
    }
}

/// The mean over as many cells as the output has; 1 is global pooling.
public final class AdaptiveAvgPool2d: Module, Layer {
    public let size: Size2D

    public init(_ size: Size2D) { self.size = size }

    public func callAsFunction(_ x: Tensor) throws -> Tensor { try x.adaptiveAvgPool2d(size) }
}

/// Resizes `[N, C, H, W]` by a factor or to a size.
public final class Upsample: Module, Layer {
    public enum Target: Sendable, Equatable {
        case factor(Double)
        case size(Size2D)
    }

    public let target: Target
    public let mode: Interpolation

    public init(_ target: Target, _ mode: Interpolation) {
        self.target = target
        self.mode = mode
    }

    public func callAsFunction(_ x: Tensor) throws -> Tensor {
        switch target {
        case .factor(let factor): try x.interpolate(factor: factor, mode)
        case .size(let size): try x.interpolate(size, mode)
        }
    }
}

/// Merges the dimensions from the given one on: `[N, C, H, W] -> [N, C·H·W]`.
public final class Flatten: Module, Layer {
    public let from: Int

    public init(from: Int = 1) { self.from = from }

    public func callAsFunction(_ x: Tensor) throws -> Tensor { try x.flatten(from: from) }
}
