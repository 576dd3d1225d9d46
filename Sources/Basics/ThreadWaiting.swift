/// How the threads of OpenMP and of OpenBLAS wait for work: a thread that spins while it waits takes a core from another stage,
/// and OpenBLAS's, after each product of a layer, take them from OpenMP's in the same process.
///
/// A spin far under a millisecond: without any, a step that has the cores to itself was a tenth slower, 346 ms instead of
/// 311 on two cores; ten times as long gains nothing there, but with one busy neighbour the step takes 1342 ms instead of
/// 726. With OpenBLAS's own spin, a step of a small transformer in float32 took 1.4 times as long.
public enum ThreadWaiting {
    public static let variables = [
        ("OMP_WAIT_POLICY", "passive"), ("GOMP_SPINCOUNT", "2000"),
        // The binary logarithm of a number of cycles.
        ("OPENBLAS_THREAD_TIMEOUT", "20"),
    ]
}
