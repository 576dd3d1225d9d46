/// A height and a width, for kernels, strides, paddings and image sizes; one integer stands for both.
public struct Size2D: Sendable, Equatable, ExpressibleByIntegerLiteral, CustomStringConvertible {
    public let height: Int
    public let width: Int

    public init(_ height: Int, _ width: Int) {
        self.height = height
        self.width = width
    }

    public init(_ both: Int) { self.init(both, both) }
    public init(integerLiteral value: Int) { self.init(value) }

    public var list: [Int] { [height, width] }
    public var description: String { "\(height)x\(width)" }
}

extension Tensor {
    /// A two-dimensional convolution (cross-correlation), `[N, C, H, W] -> [N, O, H', W']`.
    ///
    /// H' = floor((H + 2·padding - dilation·(kernel - 1) - 1) / stride) + 1.
    ///
    /// - Parameters:
    ///   - weight: `[O, C / groups, kh, kw]`.
    ///   - bias: `[O]`.
    ///   - groups: C for a depthwise convolution.
    public func conv2d(
        _ weight: Tensor, bias: Tensor? = nil, stride: Size2D = 1, padding: Size2D = 0, dilation: Size2D = 1,
        groups: Int = 1
    ) throws -> Tensor {
        if dilation != 1, stride == 1,
            let cheaper = try dilatedConvolution(
                weight, bias: bias, padding: padding, dilation: dilation, groups: groups)
        {
            return cheaper
        }
        return try Operator.call(
            "aten::conv2d", self, weight, bias, stride.list, padding.list, dilation.list, groups)
    }

    /// Adds constant elements around the last two dimensions; negative numbers crop.
    public func pad2d(left: Int, right: Int, top: Int, bottom: Int, value: Double = 0) throws -> Tensor {
        try Operator.call("aten::constant_pad_nd", self, [left, right, top, bottom], value)
    }
}
