extension TopologyGraph {
    /// A stage as there is to draw of it.
    public struct Node: Codable, Sendable, Equatable {
        public var name: String
        /// Nil for the command line itself.
        public var kind: StageKind?
        /// Replicas that the topology asks for.
        public var replicas: Int
        /// Where it computes, and its program where that is not PicoFlow's own.
        public var notes: [String]
    }

    /// The stages in the topology's order, and the command line where evaluators work for it.
    public var nodes: [Node] {
        let stages = stages.map { stage in
            Node(
                name: stage.name, kind: stage.kind, replicas: stage.replicas,
                notes: Array(Self.lines(stage).dropFirst()))
        }
        let hasEvaluator = stages.contains { $0.kind == .evaluator }
        return stages + (hasEvaluator ? [Node(name: Self.commandLine, kind: nil, replicas: 1, notes: [])] : [])
    }
}
