import Configuration
import Foundation
import StageKit

/// Stages that `autoscale` names follow the load: each heartbeat of compute is a reading.
extension SupervisorCore {
    static func autoscalers(_ topology: Topology) -> [String: Autoscaler] {
        let mining = topology.stages.filter { $0.kind == .compute }.compactMap(\.mining)
        return Dictionary(
            topology.autoscale.map {
                let what = mining.contains($0.stage) ? "gradients" : "samples"
                return ($0.stage, Autoscaler(bounds: $0.min...$0.max, what: what))
            }, uniquingKeysWith: { first, _ in first })
    }

    mutating func autoscale() {
        // Around a swap two generations share the machine; what is measured then says little.
        guard phase == .training, ending == nil, pendingSwap == nil else { return }
        for settings in plan.topology.autoscale {
            guard let stage = workingStage(named: settings.stage), let reading = reading(of: stage),
                let decision = autoscalers[stage.name]?.read(reading, now: now)
            else { continue }
            scale(stage.name, to: decision.count, reason: "autoscale: \(decision.reason)")
        }
    }

    private func reading(of stage: StageSettings) -> Autoscaler.Reading? {
        let trainers = self.trainers.map(\.heartbeat.metrics)
        let name = stage.kind == .miner ? ComputeMetric.waitedForGradients : ComputeMetric.waitedForSamples
        guard trainers.allSatisfy({ $0[ComputeMetric.steps] != nil && $0[name] != nil }) else { return nil }
        // Where a swap of the program lies ahead two generations are there, as many of each; the first has the tickets.
        let workers = ownIndices(of: stage.name, generations(of: stage)[0]).map { members[$0] }
        let busy = workers.compactMap { worker in
            worker.heartbeat.metrics[WorkerMetric.busy].map { (worker.replica, $0) }
        }
        return Autoscaler.Reading(
            // Without those that were given up, of which the stage's number still tells.
            count: workers.count,
            isComplete: !workers.isEmpty
                && workers.allSatisfy { $0.isWorking && $0.heartbeat.state == .running },
            steps: trainers.reduce(0) { $0 + $1[ComputeMetric.steps]! },
            waited: trainers.reduce(0) { $0 + $1[name]! },
            busy: busy.count == workers.count ? Dictionary(uniqueKeysWithValues: busy) : nil,
            threads: stage.threads ?? 1)
    }
}
