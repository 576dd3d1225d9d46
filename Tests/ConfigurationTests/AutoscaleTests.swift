import Testing

@testable import Configuration

@Suite struct AutoscaleTests {
    private func topology(_ autoscale: String, replicas: Int = 1) -> String {
        """
        stages:
          loader: {replicas: \(replicas)}
          compute: {samples: loader, mining: miner, memory: bank}
          bank:
          miner: {memory: bank}
          evaluator:
        autoscale: \(autoscale)
        """
    }

    private func resolve(_ yaml: String, _ replicas: String...) throws -> Topology {
        try Topology.resolve(yaml: yaml, path: "t.yaml", replicas: replicas)
    }

    @Test func boundsAreReadInTheFilesOrderAndWrittenAgain() throws {
        let read = try resolve(topology("{miner: {max: 2}, loader: {min: 2, max: 8}}", replicas: 3))
        #expect(read.autoscale.map(\.stage) == ["miner", "loader"])
        #expect(read.autoscale.map(\.min) == [1, 2])
        #expect(read.autoscale.map(\.max) == [2, 8])
        #expect(try resolve(read.yaml()) == read)
        #expect(try resolve(topology("")).autoscale.isEmpty)
    }

    @Test(arguments: [
        ("{loader: {min: 4, max: 2}}", "t.yaml:7: 'autoscale.loader.min' must be at most 'max', which is 2, not 4"),
        (
            "{laoder: {max: 2}}",
            "t.yaml:7: 'autoscale' names the stage 'laoder', but there is no such stage; did you mean 'loader'?"
        ),
        ("{loader: {min: 1}}", "t.yaml:7: 'autoscale.loader' lacks 'max'"),
        ("{loader: {min: 0, max: 2}}", "t.yaml:7: 'autoscale.loader.min' must be between 1 and 65535, not '0'"),
        ("{loader: {maximum: 2}}", "t.yaml:7: unknown key 'autoscale.loader.maximum'; the keys here are min, max"),
        ("{loader: 4}", "t.yaml:7: 'autoscale' takes stages, each with {min: COUNT, max: COUNT}"),
        ("[loader]", "t.yaml:7: 'autoscale' must be a mapping of stage to {min, max}, not [loader]"),
        (
            "{evaluator: {max: 2}}",
            "t.yaml:7: stage 'evaluator' cannot be autoscaled: only how long compute waits for its 'samples' and its 'mining' is measured"
        ),
    ])
    func whatCannotBeIsRefusedWithItsPlace(autoscale: String, expected: String) {
        #expect(message { try resolve(topology(autoscale)) } == expected)
    }

    @Test func whoStandsInBetweenKeepsItsReplicas() {
        let yaml = """
            stages:
              loader:
              cutout: {kind: loader, samples: loader, exec: [python3, cutout.py]}
              compute: {samples: cutout, mining: miner, memory: bank}
              bank:
              miner: {memory: bank}
            autoscale: {cutout: {max: 2}}
            """
        #expect(
            message { try resolve(yaml) }
                == "t.yaml:7: stage 'cutout' cannot be autoscaled: it stands in between, and its suppliers know the replicas of the start"
        )
        // Nor can hosts that join serve it.
        let listening = yaml.replacing("loader:\n", with: "loader: {replicas: 0}\n")
            .replacing("autoscale: {cutout: {max: 2}}", with: "supervisor: {listen: \"tcp://*:5810\"}")
        #expect(message { try resolve(listening) } == "t.yaml:2: stage 'loader' needs at least one replica")
    }

    @Test func replicasStartWithinTheBounds() {
        #expect(
            message { try resolve(topology("{loader: {min: 1, max: 2}}", replicas: 3)) }
                == "t.yaml:2: stage 'loader' starts with 3 replicas, outside its autoscale bounds 1 to 2")
        #expect(
            message { try resolve(topology("{loader: {min: 1, max: 2}}"), "loader=3") }
                == "--stage loader=3: stage 'loader' starts with 3 replicas, outside its autoscale bounds 1 to 2")
    }

    @Test func replicasBeyondTheNamedDevicesTakeTurns() throws {
        let stage = try #require(
            try resolve(
                """
                stages:
                  loader:
                  compute: {samples: loader, mining: miner, memory: bank}
                  bank:
                  miner: {memory: bank, replicas: 2, device: ["cuda:0", "cuda:1"], exec: [gpu-miner]}
                """
            ).stage(named: "miner"))
        #expect((0..<4).map { stage.device(ofReplica: $0).description } == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"])
    }
}
