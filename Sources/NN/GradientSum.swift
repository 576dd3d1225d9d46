import Tensors

/// Adds the ranks' gradients up, so that each has the whole mini-batch's.
///
/// Gradients travel in buckets of a fixed size, in the parameters' order: few large messages, whose contents depend on
/// the network alone, so the same ranks give the same bits.
public struct GradientSum {
    /// Elements per bucket: 16 MiB of float32, enough that a message's latency does not matter.
    static let bucket = 4 << 20

    private let group: ProcessGroup
    private let parameters: [Tensor]

    public init(_ parameters: NamedTensors, over group: ProcessGroup) {
        self.group = group
        self.parameters = parameters.map(\.tensor)
    }

    /// Sums all gradients that are there; every rank must have them for the same parameters.
    public func callAsFunction() throws {
        var bucket: [Tensor] = []
        var filled = 0
        for parameter in parameters {
            guard let gradient = try parameter.grad else { continue }
            if filled > 0, filled + gradient.count > Self.bucket || gradient.dtype != bucket[0].dtype {
                try sum(bucket)
                bucket = []
                filled = 0
            }
            bucket.append(gradient)
            filled += gradient.count
        }
        if !bucket.isEmpty { try sum(bucket) }
    }

    private func sum(_ gradients: [Tensor]) throws {
        try withoutGradient {
            let flat = try Tensor.cat(gradients.map { try $0.reshape([-1]) })
            try group.allReduce(flat)
            var start = 0
            for gradient in gradients {
                let count = gradient.count
                try gradient.copy_(flat.narrow(dim: 0, start: start, length: count).reshape(gradient.shape))
                start += count
            }
        }
    }
}
