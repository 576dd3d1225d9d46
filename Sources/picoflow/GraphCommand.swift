import ArgumentParser
import Basics
import Configuration

/// `picoflow graph TOPOLOGY`: draws who is wired to whom.
struct GraphCommand: ParsableCommand {
    enum Format: String, ExpressibleByArgument, CaseIterable { case text, mermaid }

    /// What `--json` prints: what there is to draw.
    private struct Drawing: Encodable {
        struct Stage: Encodable {
            var name: String
            var kind: StageKind
            var replicas: Int
        }
        var stages: [Stage]
        var links: [TopologyGraph.Link]
    }

    static let configuration = CommandConfiguration(
        commandName: "graph",
        abstract: "Draw a topology: its stages, how many on what, and what flows between them.",
        discussion: """
            picoflow graph Pipelines/local.yaml
            picoflow graph Pipelines/local.yaml --recipe Configs/demo/pico.yaml --format mermaid
            """)

    @OptionGroup var topology: TopologyOptions

    @Option(
        name: .customLong("recipe"),
        help: ArgumentHelp("Draw only the stages that this recipe starts.", valueName: "file"),
        completion: .file(extensions: ["yaml"]))
    var recipe: String?

    @Option(help: "text, or mermaid for Markdown viewers.")
    var format = Format.text

    @OptionGroup var output: ResultOptions

    func run() throws {
        let recipe = try recipe.map { try Recipe.resolve(path: $0) }
        // A drawing needs no programs: the topology may be another machine's.
        let topology = try topology.resolve(for: recipe, programs: nil)
        let graph = TopologyGraph(topology, recipe: recipe)
        let stages = (recipe.map(topology.stages(for:)) ?? topology.stages).map {
            Drawing.Stage(name: $0.name, kind: $0.kind, replicas: $0.replicas)
        }
        try output.show(
            Drawing(stages: stages, links: graph.links), format == .text ? graph.text : graph.mermaid, terminator: "")
    }
}
