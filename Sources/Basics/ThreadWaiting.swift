/// How the threads of OpenMP and of OpenBLAS wait for work: a thread that spins while it waits takes a core from another stage,
/// and OpenBLAS's, after each product of a layer, take them from OpenMP's in the same process.
///
/// A short spin, well under a millisecond: without any, a step that has the cores to itself was a tenth slower; with
/// libgomp's own of many milliseconds, a busy neighbour makes it several times slower, and with OpenBLAS's own, a step of a
/// small transformer in float32 took 1.4 times as long.
public enum ThreadWaiting {
    public static let variables = [
        ("OMP_WAIT_POLICY", "passive"), ("GOMP_SPINCOUNT", "20000"),
        // The binary logarithm of a number of cycles.
        ("OPENBLAS_THREAD_TIMEOUT", "20"),
    ]
}
