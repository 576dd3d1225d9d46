import Testing

@testable import Configuration

@Suite struct TopologyGraphTests {
    private func graph(_ stages: String, recipe: Recipe? = nil) throws -> TopologyGraph {
        TopologyGraph(try Topology.resolve(yaml: "stages:\n" + stages, path: "t.yaml"), recipe: recipe)
    }

    private let full = """
          loader: {replicas: 2}
          compute: {samples: loader, mining: miner, memory: bank, device: "cuda:0", threads: 4}
          bank:
          miner: {memory: bank, replicas: 3}
          evaluator: {replicas: 2, device: ["cuda:0", "cuda:1"]}

        """

    @Test func allStagesAndLinksAreDrawn() throws {
        #expect(
            try graph(full).text == """
                ┌────────────┐            ┌───────────────────┐                ┌───────────┐
                │ loader × 2 │──samples──▶│ compute × 1       │────anchors────▶│ miner × 3 │
                │ cpu        │            │ cuda:0, 4 threads │◀───gradients───│ cpu       │
                └────────────┘            └───────────────────┘                └───────────┘
                                            │                                    ▲
                                            │ keys                               │
                                            ▼                                    │
                                          ┌──────────┐                           │
                                          │ bank × 1 │────────────log────────────┘
                                          │ cpu      │
                                          └──────────┘
                ┌────────────────┐               ┌──────────────┐
                │ evaluator × 2  │──confusions──▶│ picoflow     │
                │ cuda:0, cuda:1 │               │ command line │
                └────────────────┘               └──────────────┘

                """)
    }

    @Test func stageInBetweenStandsInBetween() throws {
        #expect(
            try graph(
                """
                  compute: {samples: cutout}
                  cutout: {kind: loader, samples: loader, exec: [python3, tools/examples/cutout.py, --size, "0.4"]}
                  loader:
                """
            ).text == """
                ┌────────────┐            ┌──────────────────────────────┐            ┌─────────────┐
                │ loader × 1 │──samples──▶│ cutout × 1                   │──samples──▶│ compute × 1 │
                │ cpu        │            │ cpu                          │            │ cpu         │
                │            │            │ python3 cutout.py --size 0.4 │            │             │
                └────────────┘            └──────────────────────────────┘            └─────────────┘

                """)
    }

    @Test func recipeLeavesOutWhatItDoesNotStart() throws {
        var recipe = Recipe()
        recipe.contrast.enabled = false
        let drawn = try graph(full, recipe: recipe)
        #expect(drawn.links.map(\.label) == ["samples", "confusions"])
        #expect(!drawn.text.contains("miner") && !drawn.text.contains("log"))
    }

    @Test func mermaidNamesStagesByNumber() throws {
        #expect(
            try graph(
                """
                  end: {kind: loader, exec: [sh, -c, 'say "hi"']}
                  compute: {samples: end, mining: miner, memory: bank}
                  bank:
                  miner: {memory: bank}
                  evaluator:
                """
            ).mermaid == """
                flowchart LR
                    s0["end × 1<br/>cpu<br/>sh -c say #quot;hi#quot;"]
                    s1["compute × 1<br/>cpu"]
                    s2[("bank × 1<br/>cpu")]
                    s3["miner × 1<br/>cpu"]
                    s4["evaluator × 1<br/>cpu"]
                    picoflow(["picoflow"])
                    s0 -->|samples| s1
                    s1 -->|anchors| s3
                    s3 -->|gradients| s1
                    s1 -->|keys| s2
                    s2 -->|log| s3
                    s4 -->|confusions| picoflow

                """)
    }

    @Test(arguments: yamlFiles(below: "Pipelines"))
    func everyTopologyCanBeDrawn(path: String) throws {
        let topology = try Topology.resolve(path: path)
        let graph = TopologyGraph(topology)
        for stage in topology.stages {
            #expect(graph.text.contains("│ \(stage.name) × \(stage.replicas)"))
            #expect(graph.mermaid.contains("\"\(stage.name) × \(stage.replicas)"))
        }
        #expect(graph.links.count >= topology.stages.count - 1)
    }
}
