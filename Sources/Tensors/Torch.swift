import Basics
import CTorch

/// Settings of libtorch in this process.
public enum Torch {
    /// The version linked, as `1.13.1`.
    public static var version: String { String(cString: ct_version()) }

    /// Seeds libtorch's generators, on which only dropout and its like draw. Reseeded every step from the step's key, so
    /// that no generator state survives a step.
    public static func seed(_ seed: UInt64) throws { try check(ct_manual_seed(seed), "manual_seed") }

    /// Threads within one operation, for libtorch and its BLAS. Results depend on it in the last bits.
    public static var threads: Int { Int(ct_num_threads()) }

    public static func setThreads(_ count: Int) throws {
        guard (1...4096).contains(count) else {
            throw TensorError(operation: "set threads", reason: "\(count) is no number of threads")
        }
        try check(ct_set_num_threads(Int32(count)), "set threads", ["\(count)"])
    }

    /// How many threads work at a loop of our own kernels; to be `threads`.
    static var sharingThreads: Int { Int(ct_sharing_threads()) }

    /// The number of usable GPUs. libtorch's CUDA library, where there is one, is loaded before `main`.
    public static var cudaDevices: Int { Int(ct_cuda_devices()) }

    /// Checks that a device exists in this process.
    ///
    /// - Throws: `TensorError` that says how many GPUs there are, and why CUDA's library could not be loaded.
    public static func checkDevice(_ device: Device) throws {
        guard case .cuda(let index) = device, index >= cudaDevices else { return }
        let trouble = cudaTrouble.map { "; \($0)" } ?? ""
        throw TensorError(operation: "\(device)", reason: "libtorch \(version) sees \(cudaDevices) GPUs here\(trouble)")
    }

    /// Why libtorch's CUDA library, which is there, could not be loaded.
    public static var cudaTrouble: String? {
        let text = String(cString: ct_cuda_trouble())
        return text.isEmpty ? nil : text
    }

    /// Waits for what a GPU was given to do, so that times can be taken; on the CPU all is done when a call returns.
    public static func synchronize(_ device: Device) throws {
        guard case .cuda(let index) = device else { return }
        try check(ct_synchronize(Int32(index)), "synchronize", ["\(device)"])
    }

    /// Bytes that tensors on the CPU use, and bytes that the allocator keeps for the next ones.
    public static var cpuMemory: (inUse: Int, kept: Int) {
        var inUse: Int64 = 0
        var kept: Int64 = 0
        ct_allocator_statistics(&inUse, &kept)
        return (Int(inUse), Int(kept))
    }

    /// The bound on what the allocator keeps, a quarter of the machine's memory if not set; 0 gives all back.
    public static var keptMemoryLimit: Int {
        get { Int(ct_allocator_limit()) }
        set { ct_allocator_set_limit(Int64(newValue)) }
    }
}
