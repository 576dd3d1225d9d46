import Tensors

extension NamedTensors {
    /// Shortens the gradients of all these parameters together to a length, as `torch.nn.utils.clip_grad_norm_` does it: the
    /// direction stays. Shorter ones stay as they are.
    ///
    /// - Parameter longest: of the Euclidean length over all elements of all gradients.
    public func clipGradients(to longest: Double) throws {
        try withoutGradient {
            let gradients = try compactMap { try $0.tensor.grad }
            guard !gradients.isEmpty else { return }
            let length = try Tensor.stack(gradients.map { try $0.norm() }).norm()
            // On the device: whether to shorten is not waited for. 1e-6 keeps torch's quotient finite.
            let factor = try (length + 1e-6).reciprocal().mul_(longest).clamp_(max: 1.0)
            for gradient in gradients { try gradient.mul_(factor) }
        }
    }
}
