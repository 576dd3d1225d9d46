import StageKit
import Synchronization

/// How long compute has worked and waited since its start, for its heartbeats: a heartbeat's `step` shows one step of
/// many, the growth of these sums all of them.
final class WaitTotals: Sendable {
    private let sums = Mutex((step: 0.0, samples: 0.0, gradients: 0.0))

    func add(_ step: StepMetrics) {
        sums.withLock {
            $0.step += step.milliseconds / 1000
            $0.samples += step.waitedForSamples / 1000
            $0.gradients += step.waitedForGradients / 1000
        }
    }

    /// Seconds.
    var metrics: [String: Double] {
        sums.withLock {
            [
                ComputeMetric.steps: $0.step, ComputeMetric.waitedForSamples: $0.samples,
                ComputeMetric.waitedForGradients: $0.gradients,
            ]
        }
    }
}
