import Foundation

/// A topology as what there is to draw: stages and the links between them, in a fixed order.
public struct TopologyGraph: Sendable {
    public struct Link: Codable, Sendable, Equatable {
        /// Names of stages, or `TopologyGraph.commandLine`.
        public var from: String
        public var to: String
        /// What flows.
        public var label: String
    }

    /// The command line itself, which evaluators work for.
    public static let commandLine = "picoflow"

    let topology: Topology
    let stages: [StageSettings]

    /// - Parameter recipe: leaves out the stages that it does not start; nil draws all.
    public init(_ topology: Topology, recipe: Recipe? = nil) {
        self.topology = topology
        stages = recipe.map(topology.stages(for:)) ?? topology.stages
    }

    /// Along the samples' way, then what compute has others do, then the rest.
    public var links: [Link] {
        var links: [Link] = []
        let chain = sampleChain
        for (supplier, consumer) in zip(chain, chain.dropFirst()) {
            links.append(Link(from: supplier.name, to: consumer.name, label: "samples"))
        }
        if let compute = chain.last {
            if let miner = stage(compute.mining) {
                links.append(Link(from: compute.name, to: miner.name, label: "anchors"))
                links.append(Link(from: miner.name, to: compute.name, label: "gradients"))
            }
            if let bank = stage(compute.memory) {
                links.append(Link(from: compute.name, to: bank.name, label: "keys"))
                if let miner = stage(compute.mining), miner.memory == bank.name {
                    links.append(Link(from: bank.name, to: miner.name, label: "log"))
                }
            }
        }
        for stage in stages where stage.kind == .evaluator {
            links.append(Link(from: stage.name, to: Self.commandLine, label: "confusions"))
        }
        return links
    }

    /// From the loaders to compute: a checked topology has one way only, as each stage takes samples from one other.
    var sampleChain: [StageSettings] {
        var chain: [StageSettings] = []
        var next = stages.first { $0.kind == .compute }
        while let stage = next, !chain.contains(where: { $0.name == stage.name }) {
            chain.insert(stage, at: 0)
            next = self.stage(stage.samples)
        }
        return chain
    }

    func stage(_ name: String?) -> StageSettings? { name.flatMap { name in stages.first { $0.name == name } } }

    /// The lines of a stage's box: name and count, where it computes, and its program where that is not PicoFlow's own.
    static func lines(_ stage: StageSettings) -> [String] {
        var place = stage.device.all.map(\.description).joined(separator: ", ")
        if let threads = stage.threads { place += ", \(threads) thread\(threads == 1 ? "" : "s")" }
        var lines = ["\(stage.name) × \(stage.replicas)", place]
        // Paths by their last part: a box is no place for folders.
        if let exec = stage.exec {
            let words = exec.map { $0.split(separator: "/").last.map(String.init) ?? $0 }
            let command = words.joined(separator: " ")
            lines.append(command.count > 28 ? command.prefix(27) + "…" : command)
        }
        return lines
    }

    /// A Mermaid flowchart, as many Markdown viewers draw it.
    public var mermaid: String {
        func text(_ lines: [String]) -> String {
            lines.map { $0.replacingOccurrences(of: "\"", with: "#quot;") }.joined(separator: "<br/>")
        }
        // Names of stages may be words of Mermaid's own.
        func id(_ name: String) -> String { stages.firstIndex { $0.name == name }.map { "s\($0)" } ?? name }
        var lines = ["flowchart LR"]
        for stage in stages {
            let (open, close) = stage.kind == .bank ? ("[(", ")]") : ("[", "]")
            lines.append("    \(id(stage.name))\(open)\"\(text(Self.lines(stage)))\"\(close)")
        }
        let links = self.links
        if links.contains(where: { $0.to == Self.commandLine }) {
            lines.append("    \(Self.commandLine)([\"\(Self.commandLine)\"])")
        }
        for link in links { lines.append("    \(id(link.from)) -->|\(link.label)| \(id(link.to))") }
        return lines.joined(separator: "\n") + "\n"
    }
}
