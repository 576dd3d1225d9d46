import Configuration

/// How patient the supervisor is; each number has its reason.
public struct SupervisionTiming: Sendable, Equatable {
    /// A worker that says nothing for this long is killed and replaced; its tickets are elsewhere by then.
    public var workerSilence: Duration
    /// The same for bank and compute. Their loss costs the run, so thrice as long.
    public var stateSilence: Duration
    /// From the start of a process to its HELLO. Loading libtorch from a cold disk takes half a minute.
    public var hello = Duration.seconds(120)
    /// Compute, from a stop to its exit: a step and a checkpoint.
    public var computeStop = Duration.seconds(120)
    /// Others, from a stop to their exit: the ticket in hand. Also compute after another stage failed, as what its
    /// checkpoint needs may be gone.
    public var stop = Duration.seconds(15)
    /// Between SIGTERM and SIGKILL.
    public var kill = Duration.seconds(5)
    /// Before a dead worker is started again: this, doubled with every failure in a row.
    public var backoff = Duration.milliseconds(500)
    public var longestBackoff = Duration.seconds(10)
    /// Failures in a row after which a replica is given up.
    public var failures = 5
    /// A worker that lived this long after its configuration, or while the run came further, failed for a new reason: it
    /// counts from one again.
    public var healthy = Duration.seconds(60)
    /// How long an exit waits for the process's last words, which come another way.
    public var lastWords = Duration.seconds(2)

    public init(_ settings: SupervisorSettings = .init()) {
        workerSilence = settings.silence
        stateSilence = settings.silence * 3
    }
}
