import CTorch

/// Dilated convolutions on the CPU, whose derivatives cost oneDNN more than any other layer's: of a step of
/// DeepLabV3 on MobileNetV2 they were a fifth in float32 and a quarter in bfloat16.
extension Tensor {
    /// A convolution that keeps the size, computed in another way than by a dilated kernel; nil where there is no cheaper
    /// one.
    ///
    /// - Returns: channels last.
    func dilatedConvolution(_ weight: Tensor, bias: Tensor?, padding: Size2D, dilation: Size2D, groups: Int) throws
        -> Tensor?
    {
        // A recorded program runs elsewhere, and for ONNX.
        guard device == .cpu, dim == 4, weight.dim == 4, !ct_is_recording() else { return nil }
        let (outgoing, kernel) = (weight.size(0), Size2D(weight.size(2), weight.size(3)))
        guard kernel.height % 2 == 1, kernel.width % 2 == 1,
            padding == Size2D(dilation.height * (kernel.height / 2), dilation.width * (kernel.width / 2))
        else { return nil }
        let seen = Size2D(
            Self.seenTaps(kernel.height, dilation.height, over: size(2)),
            Self.seenTaps(kernel.width, dilation.width, over: size(3)))
        if seen != kernel {
            let taps = try weight.narrow(dim: 2, start: (kernel.height - seen.height) / 2, length: seen.height)
                .narrow(dim: 3, start: (kernel.width - seen.width) / 2, length: seen.width).channelsLast()
            return try conv2d(
                taps, bias: bias,
                padding: Size2D(dilation.height * (seen.height / 2), dilation.width * (seen.width / 2)),
                dilation: Size2D(seen.height == 1 ? 1 : dilation.height, seen.width == 1 ? 1 : dilation.width),
                groups: groups)
        }
        guard groups > 1, groups == outgoing, groups == size(1) else { return nil }
        return try interleavedDepthwise(weight, bias: bias, dilation: dilation)
    }

    /// Of a kernel's taps along an axis those, around the middle, that some pixel sees anything but padding through:
    /// at output stride 16, rates of 24 and 36 leave one of three on a map of 15x20.
    static func seenTaps(_ taps: Int, _ dilation: Int, over size: Int) -> Int {
        Swift.min(taps, 2 * ((Swift.max(size, 1) - 1) / dilation) + 1)
    }

    /// A kernel dilated by d only sees pixels that lie d apart, so the map falls into d² interleaved grids, and an undilated
    /// convolution of those as a batch is the same sums. In both directions the copies cost far less than the dilated
    /// kernel's derivatives.
    private func interleavedDepthwise(_ weight: Tensor, bias: Tensor?, dilation: Size2D) throws -> Tensor {
        let (channels, height, width) = (size(1), size(2), size(3))
        let (down, across) = (dilation.height, dilation.width)
        // Zeros up to whole grids; they are what the padding has there.
        let (rows, columns) = ((height + down - 1) / down, (width + across - 1) / across)
        let isWhole = rows * down == height && columns * across == width
        let whole =
            isWhole
            ? self : try pad2d(left: 0, right: columns * across - width, top: 0, bottom: rows * down - height)
        // The batch is left open, so that a recorded program takes any.
        let grids = try whole.permute([0, 2, 3, 1]).reshape([-1, rows, down, columns, across, channels])
            .permute([2, 4, 0, 1, 3, 5]).reshape([-1, rows, columns, channels])
            .permute([0, 3, 1, 2])  // [d² B, C, H/d, W/d], channels last
        let padding = Size2D(weight.size(2) / 2, weight.size(3) / 2)
        let convolved = try grids.conv2d(weight, bias: bias, padding: padding, groups: channels)
        let joined = try convolved.permute([0, 2, 3, 1])
            .reshape([down, across, -1, rows, columns, channels]).permute([2, 3, 0, 4, 1, 5])
            .reshape([-1, rows * down, columns * across, channels]).permute([0, 3, 1, 2])
        guard !isWhole else { return joined }
        return try joined.narrow(dim: 2, start: 0, length: height).narrow(dim: 3, start: 0, length: width)
            .channelsLast()
    }
}
