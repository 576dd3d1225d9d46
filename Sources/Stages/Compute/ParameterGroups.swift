import Configuration
import Models
import NN
import Tensors

extension ParameterGroup {
    /// The projection head's groups, which are left out of a step while the schedule warms up.
    static let ofProjection: Set = ["projection", "projection, undecayed"]
}

extension SegmentationNetwork {
    /// The network's parameters as the schedule wants them updated: backbone, head and projection head, of each apart those that
    /// have a weight decay of their own.
    ///
    /// The backbone is what is published as such. The projection head learns at the head's rate. Groups without parameters are left out; no parameter is in two.
    func parameterGroups(_ settings: ScheduleSettings) -> [ParameterGroup] {
        let parameters = namedParameters()
        let backbone = publishedBackbone.map { parameterNames(of: $0.module) } ?? []
        let undecayed = undecayedNames()
        func part(_ name: String) -> String {
            name.hasPrefix(NamedTensors.projectionPrefix) ? "projection" : backbone.contains(name) ? "backbone" : "head"
        }
        return ["backbone", "head", "projection"].flatMap { wanted in
            [false, true].compactMap { isUndecayed in
                let own = parameters.renamed {
                    part($0) == wanted && undecayed.contains($0) == isUndecayed ? $0 : nil
                }
                guard !own.isEmpty else { return nil }
                return ParameterGroup(
                    isUndecayed ? wanted + ", undecayed" : wanted, own,
                    learningRateFactor: wanted == "backbone" ? settings.backboneLrFactor : settings.headLrFactor,
                    weightDecay: isUndecayed
                        ? settings.normWeightDecay ?? settings.weightDecay : settings.weightDecay)
            }
        }
    }
}
