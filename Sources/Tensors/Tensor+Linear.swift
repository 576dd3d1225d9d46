import Basics
import CTorch

extension Tensor {
    /// `x · weightᵀ + bias`: `[…, in] -> […, out]` with `weight` `[out, in]` and `bias` `[out]`.
    public func linear(_ weight: Tensor, bias: Tensor? = nil) throws -> Tensor {
        guard isBetterConvolved(weight) else { return try Operator.call("aten::linear", self, weight, bias) }
        let (outgoing, incoming) = (weight.size(0), weight.size(1))
        let rows = try reshape([1, -1, 1, incoming]).permute([0, 3, 1, 2])  // [1, in, rows, 1], channels last
        return try rows.conv2d(weight.reshape([outgoing, incoming, 1, 1]), bias: bias)
            .permute([0, 2, 3, 1]).reshape(shape.dropLast() + [outgoing])
    }

    /// Whether oneDNN's 1x1 convolution is the faster product: of many rows by a small matrix in float32 on several
    /// threads of a CPU, by a half in both directions. OpenBLAS, which libtorch multiplies by, is as fast for larger ones,
    /// and its own pool of threads contends with libtorch's.
    private func isBetterConvolved(_ weight: Tensor) -> Bool {
        // A recorded program runs elsewhere, and its batch is open.
        guard !ct_is_recording() else { return false }
        guard device == .cpu, dtype == .float32, weight.dtype == .float32, weight.dim == 2 else { return false }
        // 256 by 1024 is about where both are equal. Below 20,480 elements libtorch leaves a convolution to OpenBLAS too.
        guard weight.count <= 1 << 18, count > 20480, dim >= 2, size(-1) == weight.size(1) else { return false }
        return Torch.threads > 1 && ct_autocast(Device.cpu.code.type) < 0
    }
}
