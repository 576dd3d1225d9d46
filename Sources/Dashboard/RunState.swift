import Configuration
import StageKit
import Supervisor

/// What the page shows anew every second.
struct RunState: Encodable {
    var report: StatusReport
    /// Of the run's topology; replicas as asked for at its start.
    var nodes: [TopologyGraph.Node]
    /// The topology's, for a run without a supervisor that tells of their loads.
    var links: [TopologyGraph.Link]
    /// What swaps may change, with its present value.
    var mining: MiningSettings?
}
