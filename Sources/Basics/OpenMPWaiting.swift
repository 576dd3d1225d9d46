/// How OpenMP's threads wait for work where several processes share the cores: a thread that spins while it waits takes
/// them from another stage, and from OpenBLAS's own threads in the same process.
///
/// A short spin, well under a millisecond: without any, a step that has the cores to itself was a tenth slower; with
/// libgomp's own of many milliseconds, a busy neighbour makes it several times slower.
public enum OpenMPWaiting {
    public static let variables = [("OMP_WAIT_POLICY", "passive"), ("GOMP_SPINCOUNT", "20000")]
}
