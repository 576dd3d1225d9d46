import Configuration
import StageKit

extension StatusReport {
    /// A link between stages and what flows over it, as the stages at its ends count.
    public struct Link: Codable, Sendable, Equatable {
        /// Names of stages, or `picoflow`, the command line itself.
        public var from: String
        public var to: String
        /// What flows: `samples`, `anchors`, `gradients`, `keys`, `log`, `confusions`.
        public var label: String
        /// Tickets asked for and not answered yet.
        public var underWay: Double?
        /// Answers that wait to be taken.
        public var ready: Double?
        /// Samples, tickets or records.
        public var perSecond: Double?
        public var bytesPerSecond: Double?
    }

    /// The links of a run's topology with their loads.
    ///
    /// A pool is counted where it is consumed, the log by the bank, each over all replicas; what nobody tells is nil.
    ///
    /// - Parameter kinds: of the stages, by name.
    static func links(
        _ graph: [TopologyGraph.Link], kinds: [String: StageKind], stages: [Stage]
    ) -> [Link] {
        graph.map { edge in
            var link = Link(from: edge.from, to: edge.to, label: edge.label)
            /// The sum over a stage's replicas; nil where none of them tells.
            func sum(of stage: String, _ value: (Stage) -> Double?) -> Double? {
                let values = stages.filter { $0.stage == stage }.compactMap(value)
                return values.isEmpty ? nil : values.reduce(0, +)
            }
            func rate(of stage: String, _ metric: LinkMetric, _ name: LinkName) -> Double? {
                sum(of: stage) { $0.rates?[metric.name(name)] }
            }
            func level(of stage: String, _ metric: LinkMetric, _ name: LinkName) -> Double? {
                sum(of: stage) { $0.metrics[metric.name(name)] }
            }
            switch edge.label {
            case "samples":
                let name: LinkName = kinds[edge.to] == .compute ? .samples : .upstream
                link.underWay = level(of: edge.to, .underWay, name)
                link.ready = level(of: edge.to, .ready, name)
                link.perSecond = rate(of: edge.to, .delivered, name)
                link.bytesPerSecond = rate(of: edge.to, .receivedBytes, name)
            case "anchors":
                link.underWay = level(of: edge.from, .underWay, .mining)
                link.perSecond = rate(of: edge.from, .delivered, .mining)
                link.bytesPerSecond = rate(of: edge.from, .sentBytes, .mining)
            case "gradients":
                link.ready = level(of: edge.to, .ready, .mining)
                link.perSecond = rate(of: edge.to, .delivered, .mining)
                link.bytesPerSecond = rate(of: edge.to, .receivedBytes, .mining)
            case "keys":
                link.perSecond = rate(of: edge.to, .sequence, .memory)
                link.bytesPerSecond = rate(of: edge.to, .receivedBytes, .memory)
            case "log":
                link.perSecond = rate(of: edge.from, .sequence, .memory)
                link.bytesPerSecond = rate(of: edge.from, .sentBytes, .memory)
            default: link.perSecond = sum(of: edge.from) { $0.rates?[WorkerMetric.tickets] }
            }
            return link
        }
    }
}

extension SupervisorCore {
    /// What a client is answered: the report with what takes a moment to work out.
    func answer() -> StatusReport {
        var report = report()
        // Who came later stands with its like.
        let order = report.stages.map(\.stage)
        report.stages.sort { (order.firstIndex(of: $0.stage)!, $0.id) < (order.firstIndex(of: $1.stage)!, $1.id) }
        let stages = workingStages
        report.links = StatusReport.links(
            TopologyGraph(plan.topology, recipe: plan.recipe).links,
            kinds: Dictionary(stages.map { ($0.name, $0.kind) }, uniquingKeysWith: { first, _ in first }),
            stages: report.stages)
        var replicas: [String: Int] = [:]
        for stage in stages {
            let count = counts[stage.name] ?? 1
            // All of them may be other hosts', with none here yet.
            if (try? checkScaling(stage.name, to: max(1, count))) != nil { replicas[stage.name] = count }
        }
        report.replicas = replicas
        return report
    }
}
