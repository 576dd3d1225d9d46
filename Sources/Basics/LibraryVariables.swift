import Foundation

/// What OpenMP and OpenBLAS read from the environment when they are loaded, for programs of ours that compute.
public enum LibraryVariables {
    /// How their threads wait for work: a thread that spins while it waits takes a core from another stage, and OpenBLAS's,
    /// after each product of a layer, take them from OpenMP's in the same process.
    ///
    /// A spin far under a millisecond: without any, a step that has the cores to itself was a tenth slower, 346 ms instead of
    /// 311 on two cores; ten times as long gains nothing there, but with one busy neighbour the step takes 1342 ms instead of
    /// 726. With OpenBLAS's own spin, a step of a small transformer in float32 took 1.4 times as long.
    private static let waiting = [
        "OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "2000",
        // The binary logarithm of a number of cycles.
        "OPENBLAS_THREAD_TIMEOUT": "20",
    ]

    /// OpenBLAS's kernels for what a processor can do. OpenBLAS itself goes by model numbers, and a model younger than the
    /// library gets SSE's: Debian 12's (0.3.21) multiplies at a seventh of the rate on an Intel processor of 2023, so that a
    /// step of a small transformer in float32 took 1.4 times as long.
    ///
    /// - Parameter features: as `processorFeatures` has them; none of x86's leave the choice to OpenBLAS.
    static func kernels(for features: Set<String>) -> [String: String] {
        if features.isSuperset(of: ["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"]) {
            return ["OPENBLAS_CORETYPE": "SkylakeX"]
        }
        return features.isSuperset(of: ["avx2", "fma"]) ? ["OPENBLAS_CORETYPE": "Haswell"] : [:]
    }

    /// Those of this processor.
    public static let kernels = kernels(for: processorFeatures)

    /// The environment with all of these that it does not have yet.
    public static func added(to environment: [String: String]) -> [String: String] {
        environment.merging(waiting) { own, _ in own }.merging(kernels) { own, _ in own }
    }

    /// What this machine's processors can do, as the system calls it: `avx2`. Empty where it does not say.
    public static let processorFeatures: Set<String> = {
        let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("flags") || $0.hasPrefix("Features") }
        return Set(line?.split(separator: ":").last?.split(separator: " ").map(String.init) ?? [])
    }()
}
