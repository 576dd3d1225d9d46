/// What `picoflow-evaluator doctor` says of the libtorch it runs with, as JSON on standard output.
public struct LibtorchReport: Codable, Sendable, Equatable {
    /// As `2.1.0`.
    public var version: String
    /// The file of libtorch's CPU library that is loaded; nil where the system does not say.
    public var library: String?
    /// GPUs that it can use.
    public var cudaDevices: Int
    /// Why its CUDA library, which is there, could not be loaded.
    public var cudaTrouble: String?
    /// Threads within one operation, where nothing sets them.
    public var threads: Int
    /// The libraries for products of matrices in this process, with version and kernels as they name them.
    public var blas: [String]

    public init(
        version: String, library: String?, cudaDevices: Int, cudaTrouble: String? = nil, threads: Int, blas: [String]
    ) {
        self.version = version
        self.library = library
        self.cudaDevices = cudaDevices
        self.cudaTrouble = cudaTrouble
        self.threads = threads
        self.blas = blas
    }
}
