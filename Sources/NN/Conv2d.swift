import Tensors

/// A two-dimensional convolution, `[N, in, H, W] -> [N, out, H', W']`; keys `weight`, `bias`.
public final class Conv2d: Module, Layer {
    /// `[out, in / groups, kh, kw]`
    @Parameter public var weight: Tensor
    /// `[out]`
    @Parameter public var bias: Tensor?

    public let stride: Size2D
    public let padding: Size2D
    public let dilation: Size2D
    public let groups: Int

    /// - Parameter groups: `input` and `output` are multiples of it; `input` itself for a depthwise convolution.
    public init(
        _ input: Int, _ output: Int, kernel: Size2D, stride: Size2D = 1, padding: Size2D = 0, dilation: Size2D = 1,
        groups: Int = 1, bias: Bool = true
    ) throws {
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.groups = groups
        super.init()
        guard groups > 0, input % groups == 0, output % groups == 0 else {
            throw TensorError(
                operation: "Conv2d", arguments: ["\(input)", "\(output)"],
                reason: "the channels are no multiples of \(groups) groups")
        }
        // The order in memory in which convolutions on the CPU are fastest, from the start.
        weight = try Tensor.zeros([output, input / groups, kernel.height, kernel.width]).channelsLast()
        if bias { self.bias = try Tensor.zeros([output]) }
    }

    public func callAsFunction(_ x: Tensor) throws -> Tensor {
        try x.conv2d(weight, bias: bias, stride: stride, padding: padding, dilation: dilation, groups: groups)
    }

    public override func initializeParameters(_ fill: ParameterFiller) throws {
        try fill.kaimingUniform(weight, "weight")
        if let bias { try fill.uniform(bias, "bias", bound: 1 / fill.fanIn(weight).squareRoot()) }
    }
}
