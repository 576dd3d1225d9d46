import Wire

/// Names of heartbeat metrics that the supervisor looks at; all are seconds since the process's start.
public enum ComputeMetric {
    /// In finished steps.
    public static let steps = "stepSeconds"
    /// Of these, spent waiting for the loaders and for the miners.
    public static let waitedForSamples = "waitedForSamplesSeconds"
    public static let waitedForGradients = "waitedForGradientsSeconds"
}

public enum WorkerMetric {
    /// Spent executing tickets, all threads together.
    public static let busy = "busySeconds"
}

extension PoolWorkerStatistics {
    /// What a worker's heartbeats carry.
    public var heartbeat: [String: Double] { [WorkerMetric.busy: busy / .seconds(1)] }
}
