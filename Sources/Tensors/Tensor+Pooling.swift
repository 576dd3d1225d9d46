/// Pooling and resizing of `[N, C, H, W]`.
extension Tensor {
    /// - Parameter stride: the kernel's size if left out.
    public func maxPool2d(_ kernel: Size2D, stride: Size2D? = nil, padding: Size2D = 0) throws -> Tensor {
        let undilated = Size2D(1)
        return try Operator.call(
            "aten::max_pool2d", self, kernel.list, (stride ?? kernel).list, padding.list, undilated.list, false)
    }

    /// The mean over as many cells as the output has: `size` 1 is global pooling.
    public func adaptiveAvgPool2d(_ size: Size2D) throws -> Tensor {
        try Operator.call("aten::adaptive_avg_pool2d", self, size.list)
    }
}

/// How values between pixels come about.
public enum Interpolation: Sendable, Equatable {
    /// The pixel at floor(i · in / out), as `torch.nn.functional.interpolate` takes it.
    case nearest
    /// - alignCorners: whether corner pixels' centres meet, else their outer edges do.
    case bilinear(alignCorners: Bool)
}

extension Tensor {
    /// Resizes `[N, C, H, W]` to a height and width, as `interpolate(size=…)` does.
    public func interpolate(_ size: Size2D, _ mode: Interpolation) throws -> Tensor {
        try interpolate(size, mode, scales: (nil, nil))
    }

    /// Resizes by a factor, as `interpolate(scale_factor=…)` does: sizes are rounded down, and positions are computed
    /// from the factor, not from the sizes.
    public func interpolate(factor: Double, _ mode: Interpolation) throws -> Tensor {
        guard dim == 4 else { throw TensorError(operation: "interpolate", arguments: [description], reason: "not 4-d") }
        let scaled = [size(2), size(3)].map { (Double($0) * factor).rounded(.down) }
        // Also refuses NaN; 2^31 is far beyond any image.
        guard scaled.allSatisfy({ $0 >= 1 && $0 < 0x1p31 }) else {
            throw TensorError(
                operation: "interpolate", arguments: [description], reason: "the factor \(factor) leaves no usable size"
            )
        }
        return try interpolate(Size2D(Int(scaled[0]), Int(scaled[1])), mode, scales: (factor, factor))
    }

    private func interpolate(_ size: Size2D, _ mode: Interpolation, scales: (Double?, Double?)) throws -> Tensor {
        switch mode {
        case .nearest: try Operator.call("aten::upsample_nearest2d", self, size.list, scales.0, scales.1)
        case .bilinear(let alignCorners):
            try Operator.call("aten::upsample_bilinear2d", self, size.list, alignCorners, scales.0, scales.1)
        }
    }
}
