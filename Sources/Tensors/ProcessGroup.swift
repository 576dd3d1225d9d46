import Basics
import CTorch

/// The ranks that train one network together, as one of them sees it: c10d's process group.
///
/// Every operation is collective: all ranks call the same ones in the same order, and each waits for the others. A rank
/// that dies, or says nothing for the timeout, ends the operation on all others with a `TensorError`; the group is of
/// no use afterwards. `deinit` closes the connections.
///
/// Not `Sendable`: like tensors, it belongs to the one that runs the network.
public final class ProcessGroup {
    public enum Backend: String, Sendable {
        /// For the CPU, over TCP.
        case gloo
        /// For GPUs.
        case nccl

        /// Whether this build knows it.
        public var isAvailable: Bool { ct_group_has(rawValue) }
    }

    /// Where the ranks find each other. Each group needs a place, or a prefix, that no earlier group used.
    public enum Rendezvous: Sendable, Equatable, CustomStringConvertible {
        /// A file in a folder that all ranks, of one machine, can write to; made where missing.
        case file(String)
        /// An address of rank 0's machine; rank 0 listens there.
        case tcp(host: String, port: Int)

        /// Reads `file:PATH` or `tcp://HOST:PORT`.
        ///
        /// - Throws: `UserError` that names the text.
        public init(parsing text: String) throws {
            if text.hasPrefix("file:"), text.count > 5 {
                self = .file(String(text.dropFirst(5)))
                return
            }
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard text.hasPrefix("tcp://"), parts.count >= 3, let port = UInt16(parts[parts.count - 1]), port > 0 else {
                throw UserError("'\(text)' is no place for ranks to meet; write tcp://HOST:PORT")
            }
            self = .tcp(host: String(text.dropFirst(6).dropLast(parts[parts.count - 1].count + 1)), port: Int(port))
        }

        public var description: String {
            switch self {
            case .file(let path): "file:\(path)"
            case .tcp(let host, let port): "tcp://\(host):\(port)"
            }
        }
    }

    /// From 0.
    public let rank: Int
    public let size: Int
    public let rendezvous: Rendezvous
    let handle: OpaquePointer
    /// Where numbers are put to be exchanged: NCCL exchanges what lies on GPUs only.
    private let device: Device

    /// Joins the group; waits until all are there.
    ///
    /// - Parameters:
    ///   - prefix: tells groups apart that meet at the same address one after the other.
    ///   - device: this rank's.
    ///   - timeout: how long to wait for the others, here and in each operation. It only ends what nothing else
    ///     noticed: a peer whose process has gone is noticed by its closed connection.
    /// - Throws: `TensorError` where this build lacks the backend or the others do not come.
    public init(
        at rendezvous: Rendezvous, prefix: String = "ranks", backend: Backend = .gloo, rank: Int, of size: Int,
        device: Device = .cpu, timeout: Duration = .seconds(600)
    ) throws {
        precondition(size > 0 && (0..<size).contains(rank), "rank \(rank) of \(size)")
        self.rank = rank
        self.size = size
        self.rendezvous = rendezvous
        self.device = backend == .nccl ? device : .cpu
        let milliseconds = timeout.components.seconds * 1000 + timeout.components.attoseconds / 1_000_000_000_000_000
        var out: OpaquePointer?
        let status =
            switch rendezvous {
            case .file(let path):
                ct_group_create(
                    backend.rawValue, path, nil, 0, prefix, Int32(rank), Int32(size), milliseconds, &out)
            case .tcp(let host, let port):
                ct_group_create(
                    backend.rawValue, nil, host, Int32(port), prefix, Int32(rank), Int32(size), milliseconds, &out)
            }
        try check(status, "rank \(rank) of \(size) meets the others at \(rendezvous)")
        handle = out!
    }

    deinit { ct_group_free(handle) }

    /// Sums a contiguous tensor over all ranks, in place; all get the same bits.
    public func allReduce(_ tensor: Tensor) throws {
        try check(ct_all_reduce(handle, tensor.handle), "all-reduce", [tensor.description])
    }

    /// Every rank's tensor, in the order of the ranks; it must have the same shape and type on all.
    public func allGather(_ tensor: Tensor) throws -> [Tensor] {
        var out = [OpaquePointer?](repeating: nil, count: size)
        try check(ct_all_gather(handle, tensor.handle, &out), "all-gather", [tensor.description])
        return out.map { Tensor(owning: $0!) }
    }

    /// Returns when all ranks have come here.
    public func barrier() throws { try check(ct_barrier(handle), "barrier") }

    // MARK: Numbers

    /// Sums numbers over all ranks, element by element.
    public func sum(_ values: [Double]) throws -> [Double] {
        let tensor = try Tensor(values, device: device)
        try allReduce(tensor)
        return try tensor.array()
    }

    /// Sums numbers over all ranks, element by element.
    public func sum(_ values: [Int64]) throws -> [Int64] {
        let tensor = try Tensor(values, device: device)
        try allReduce(tensor)
        return try tensor.array()
    }

    /// Every rank's numbers, in the order of the ranks; each may have another count.
    public func gather(_ values: [Int64]) throws -> [[Int64]] {
        let counts = try allGather(Tensor([Int64(values.count)], device: device)).map { try $0.itemInt() }
        let longest = counts.max() ?? 0
        guard longest > 0 else { return counts.map { _ in [] } }
        let padded = values + [Int64](repeating: 0, count: longest - values.count)
        return try zip(allGather(Tensor(padded, device: device)), counts).map { part, count in
            Array(try part.array(of: Int64.self).prefix(count))
        }
    }
}

extension Tensor {
    /// Batch normalisation in training whose batch is that of all ranks; its backward pass is collective too.
    ///
    /// Statistics are merged in float64. The gradients of `weight` and `bias` are this rank's shares, which summing all
    /// parameters' gradients over the ranks completes.
    ///
    /// - Parameters: as `batchNorm`'s; the running statistics, if any, become the same on all ranks.
    public func batchNorm(
        over group: ProcessGroup, weight: Tensor?, bias: Tensor?, runningMean: Tensor?, runningVariance: Tensor?,
        momentum: Double = 0.1, eps: Double = 1e-5
    ) throws -> Tensor {
        var out: OpaquePointer?
        try check(
            ct_sync_batch_norm(
                group.handle, handle, weight?.handle, bias?.handle, runningMean?.handle, runningVariance?.handle,
                momentum, eps, &out), "synchronised batch_norm", [description])
        return Tensor(owning: out!)
    }
}
