import Foundation
import Testing

@testable import Configuration

private let local = """
    stages:
      loader: {replicas: 2}
      compute: {samples: loader, mining: miner, memory: bank}
      bank:
      miner: {memory: bank}
      evaluator:
    """

private func resolve(_ yaml: String, _ replicas: String..., recipe: Recipe? = nil) throws -> Topology {
    try Topology.resolve(yaml: yaml, path: "t.yaml", replicas: replicas, recipe: recipe)
}

/// `local` with one line replaced, as the user reads the outcome.
private func trouble(_ line: String, _ replacement: String, recipe: Recipe? = nil) -> String {
    #expect(local.contains(line))
    return message { try resolve(local.replacingOccurrences(of: line, with: replacement), recipe: recipe) }
}

@Suite struct TopologyTests {
    @Test func stagesKeepTheFilesOrderAndTheirDefaults() throws {
        let topology = try resolve(local)
        #expect(topology.stages.map(\.name) == ["loader", "compute", "bank", "miner", "evaluator"])
        #expect(topology.stages.map(\.kind) == [.loader, .compute, .bank, .miner, .evaluator])
        #expect(topology.stages.map(\.replicas) == [2, 1, 1, 1, 1])
        #expect(topology.stage(of: .compute)?.mining == "miner")
        #expect(topology.supervisor.grace == .seconds(30))
        #expect(topology.supervisor.heartbeat == .seconds(1) && topology.supervisor.silence == .seconds(10))
    }

    @Test func kindsFreeTheNames() throws {
        let topology = try resolve(
            """
            stages:
              reader: {kind: loader, exec: [python3, reader.py]}
              trainer: {kind: compute, samples: reader, threads: 4, device: "cuda:1"}
            supervisor: {grace: 2 min}
            pool: {silence: 4 s, messageLimit: 1 GiB}
            """)
        #expect(topology.stage(named: "reader")?.exec == ["python3", "reader.py"])
        #expect(topology.stage(of: .compute)?.device(ofReplica: 0) == .cuda(1))
        #expect(topology.supervisor.grace == .seconds(120))
        #expect(topology.pool.silence == .seconds(4) && topology.pool.messageLimit.bytes == 1 << 30)
    }

    @Test func replicasFromTheCommandLineWin() throws {
        #expect(try resolve(local, "loader=3", "miner=2", "loader=4").stages.map(\.replicas) == [4, 1, 1, 2, 1])
        #expect(
            message { try resolve(local, "laoder=3") }
                == "--stage laoder=3: t.yaml has no stage 'laoder'; did you mean 'loader'?")
        #expect(message { try resolve(local, "loader") } == "--stage loader: NAME=COUNT was expected")
        #expect(message { try resolve(local, "loader=many") } == "--stage loader=many: NAME=COUNT was expected")
        #expect(
            message { try resolve(local, "loader=0") }
                == "--stage loader=0: stage 'loader' needs at least one replica, or 'supervisor.listen' so that others can join"
        )
        #expect(
            message { try resolve(local, "bank=2") }
                == "--stage bank=2: stage 'bank' is of kind bank and runs once, not 2 times")
    }

    @Test func wiringErrorsNameFileLineAndNearestStage() {
        #expect(
            trouble("samples: loader", "samples: laoder")
                == "t.yaml:3: stage 'compute' takes samples from 'laoder'; did you mean 'loader'?")
        #expect(
            trouble("samples: loader", "samples: camera")
                == "t.yaml:3: stage 'compute' takes samples from 'camera', but there is no such stage")
        #expect(
            trouble("samples: loader", "samples: bank")
                == "t.yaml:3: stage 'compute' takes samples from 'bank', which is of kind bank, not loader")
        #expect(
            trouble("miner: {memory: bank}", "miner: {memory: bnak}")
                == "t.yaml:5: stage 'miner' has its memory in 'bnak'; did you mean 'bank'?")
        #expect(
            trouble("miner: {memory: bank}", "miner: {}")
                == "t.yaml:5: stage 'miner' lacks 'memory', the bank stage that it is wired to")
        #expect(
            trouble("samples: loader, ", "")
                == "t.yaml:3: stage 'compute' lacks 'samples', the loader stage that it is wired to")
        #expect(
            trouble("loader: {replicas: 2}", "loader: {memory: bank}")
                == "t.yaml:2: stage 'loader' is of kind loader and has no 'memory'")
        #expect(
            trouble("evaluator:", "loader2: {kind: loader}")
                == "t.yaml:6: stage 'loader2' serves nobody; no other stage names it")
        #expect(
            trouble("evaluator:", "other: {kind: compute, samples: loader}")
                == "t.yaml:6: stage 'other' is of kind compute like 'compute'; there can be one only")
        #expect(
            trouble("memory: bank}\n  bank:", "memory: bank}\n  bank:\n  two: {kind: bank}")
                == "t.yaml:5: stage 'two' is of kind bank like 'bank'; there can be one only")
        #expect(
            trouble("mining: miner, memory: bank", "mining: miner")
                == "t.yaml:3: stage 'compute' has 'mining' but no 'memory' that 'miner' could mine")
        #expect(message { try resolve("stages: {loader: {}}\n") } == "t.yaml: there is no stage of kind compute")
    }

    @Test func namesKindsAndDevicesAreChecked() {
        #expect(
            trouble("loader: {replicas: 2}", "laoder: {replicas: 2}")
                == "t.yaml:2: stage 'laoder' needs a 'kind'; did you mean 'loader'?")
        #expect(
            trouble("loader: {replicas: 2}", "camera: {}")
                == "t.yaml:2: stage 'camera' needs a 'kind': one of loader, compute, bank, miner, evaluator")
        #expect(
            trouble("loader: {replicas: 2}", "loader: {kind: minr}")
                == "t.yaml:2: 'stages.loader.kind' must be one of loader, compute, bank, miner, evaluator, not 'minr'; did you mean 'miner'?"
        )
        #expect(
            trouble("loader: {replicas: 2}", "../x: {}")
                == "t.yaml:2: a stage's name is 1 to 32 letters, digits, '-' or '_', not '../x'")
        #expect(
            trouble("loader: {replicas: 2}", "loader: 2")
                == "t.yaml:2: stage 'loader' must be a mapping of keys to values, not '2'")
        #expect(
            trouble("replicas: 2", "replica: 2")
                == "t.yaml:2: unknown key 'stages.loader.replica'; did you mean 'stages.loader.replicas'?")
        #expect(
            trouble("replicas: 2", "replicas: 0")
                == "t.yaml:2: stage 'loader' needs at least one replica, or 'supervisor.listen' so that others can join"
        )
        #expect(
            trouble("replicas: 2", "device: gpu")
                == "t.yaml:2: 'stages.loader.device' must be 'cpu', 'cuda:N' or a list of these, one per replica, not 'gpu'"
        )
        #expect(
            trouble("replicas: 2", "replicas: 3, device: [\"cuda:0\", cpu]")
                == "t.yaml:2: stage 'loader' names 2 devices for 3 replicas; name one, or one for each")
        #expect(
            trouble("bank:", "bank: {device: \"cuda:0\"}")
                == "t.yaml:4: stage 'bank' names cuda:0, but picoflow-bank works on the processor; leave 'device' out, or name a program of your own by 'exec'"
        )
        #expect(
            trouble("bank:", "bank: {replicas: 2}")
                == "t.yaml:4: stage 'bank' is of kind bank and runs once, not 2 times")
    }

    /// As `picoflow scale` goes through a list of devices.
    @Test func countsOfTheCommandLineTakeTheNamedDevicesInTurns() throws {
        let several = local.replacingOccurrences(
            of: "evaluator:", with: "evaluator: {replicas: 2, device: [\"cuda:0\", \"cuda:1\"]}")
        for (count, devices) in [(1, "cuda:0"), (3, "cuda:0 cuda:1 cuda:0")] {
            let stage = try #require(try resolve(several, "evaluator=\(count)").stage(of: .evaluator))
            #expect(stage.device.all.map(\.description).joined(separator: " ") == devices && stage.replicas == count)
        }
    }

    @Test func computeMayBeSeveralRanksThatShareABatchEvenly() throws {
        var recipe = Recipe()
        recipe.schedule.batch = 6
        let ranks = local.replacingOccurrences(of: "memory: bank}\n  bank", with: "memory: bank, replicas: 3}\n  bank")
        let topology = try resolve(ranks, recipe: recipe)
        #expect(topology.stage(of: .compute)?.replicas == 3)
        #expect(topology.withThreads(processors: 8).stage(of: .compute)?.threads == 2, "they share one machine")
        #expect(
            message { try resolve(ranks, "compute=4", recipe: recipe) }
                == "--stage compute=4: stage 'compute' has 4 replicas, among which the recipe's schedule.batch 6 cannot be shared out evenly; 1, 2, 3, 6 would do"
        )
    }

    @Test func settingsAreChecked() {
        #expect(
            message { try resolve(local + "\nsupervisor:\n  grace: 30\n") }
                == "t.yaml:8: 'supervisor.grace' must be a time with its unit, such as '5 s' or '500 ms', not '30'")
        #expect(
            message { try resolve(local + "\npool: {heartbeat: 5 s, silence: 6 s}\n") }
                == "t.yaml:7: 'pool.silence' must be at least two heartbeats (5 s each), not 6 s")
        #expect(
            message { try resolve(local + "\nsupervisor: {heartbeat: 1 min, silence: 2 min}\n") }
                == "t.yaml:7: 'supervisor.grace' must be at least two heartbeats (1 min each), not 30 s")
        #expect(
            message { try resolve(local + "\npool: {heartbeat: 0 s}\n") }
                == "t.yaml:7: 'pool.heartbeat' must be at least 10 ms, not '0 s'")
        #expect(
            message { try resolve(local + "\nstage: {}\n") } == "t.yaml:7: unknown key 'stage'; did you mean 'stages'?")
        #expect(
            message { try resolve("pool: {}\n") }
                == "t.yaml: 'stages' is missing: it names the stages and how many there are of each")
        #expect(
            message { try resolve("stages: [loader]\n") }
                == "t.yaml:1: 'stages' must be a mapping of name to stage, not [loader]")
    }

    @Test func contrastNeedsMinerAndBank() throws {
        var recipe = Recipe()
        #expect(
            trouble("mining: miner, memory: bank", "memory: bank", recipe: recipe)
                == "t.yaml:3: stage 'compute' lacks 'mining', which the recipe's contrast needs; add 'mining: miner'")
        let bare = "stages:\n  loader:\n  compute: {samples: loader}\n"
        #expect(
            message { try resolve(bare, recipe: recipe) }
                == "t.yaml:3: stage 'compute' lacks 'mining', which the recipe's contrast needs; add a stage of kind miner and 'mining' naming it"
        )
        recipe.contrast.enabled = false
        #expect(try resolve(bare, recipe: recipe).stages(for: recipe).map(\.name) == ["loader", "compute"])
        #expect(
            try resolve(local, recipe: recipe).stages(for: recipe).map(\.name) == ["loader", "compute", "evaluator"])
    }

    @Test func openThreadCountsAreWrittenDown() throws {
        let topology = try resolve(
            local.replacingOccurrences(of: "memory: bank}\n  evaluator", with: "memory: bank, threads: 3}\n  evaluator")
        )
        #expect(topology.withThreads(processors: 8).stages.map(\.threads) == [1, 8, 1, 3, 8])
        let open = try resolve(
            local.replacingOccurrences(
                of: "memory: bank}\n  evaluator", with: "memory: bank, replicas: 3}\n  evaluator"))
        #expect(
            open.withThreads(processors: 8).stages.map(\.threads) == [1, 8, 1, 2, 8], "miners share the processors")
        let elsewhere = local.replacingOccurrences(
            of: "memory: bank}\n  evaluator", with: "memory: bank, replicas: 0}\n  evaluator")
        #expect(
            try resolve(elsewhere + "\nsupervisor: {listen: 'tcp://*:5810'}\n").withThreads(processors: 8).stages
                .map(\.threads) == [1, 8, 1, 1, 8], "those of other hosts have none of this one's")
    }

    @Test func printedTopologiesReadBackEqual() throws {
        let topology = try resolve(
            """
            stages:
              loader: {replicas: 3, device: [cpu, "cuda:0", "cuda:12"], exec: [./a b, "5", "null"]}
              compute: {samples: loader, mining: deep, memory: bank, threads: 2}
              bank: {}
              deep: {kind: miner, memory: bank}
            supervisor: {grace: 1500 ms, heartbeat: 100 ms, silence: 1 min}
            pool: {messageLimit: 100000 B}
            """)
        let yaml = try topology.yaml()
        #expect(try resolve(yaml) == topology, "\(yaml)")
        #expect(try JSONDecoder().decode(Topology.self, from: JSONEncoder().encode(topology)) == topology)
    }

    @Test func aRunThatListensMayWaitForOthersToBringItsWorkers() throws {
        let text = local.replacingOccurrences(of: "loader: {replicas: 2}", with: "loader: {replicas: 0}")
        let listening = text + "\nsupervisor: {listen: \"tcp://*:5810\", keys: /keys}\n"
        let topology = try Topology.resolve(yaml: listening, path: "t.yaml")
        #expect(topology.stage(named: "loader")?.replicas == 0)
        #expect(topology.supervisor.listen == "tcp://*:5810" && topology.supervisor.keys == "/keys")
        #expect(try Topology.resolve(yaml: topology.yaml(), path: "again") == topology)
        #expect(
            message { try resolve(listening, "evaluator=0") }
                == "--stage evaluator=0: stage 'evaluator' needs at least one replica")
        let between = listening.replacingOccurrences(
            of: "compute: {samples: loader",
            with: "cut: {kind: loader, samples: loader, exec: [cut], replicas: 0}\n  compute: {samples: cut")
        #expect(message { try resolve(between, "loader=1") } == "t.yaml:3: stage 'cut' needs at least one replica")
        #expect(
            message { try resolve(between, "cut=1") } == "t.yaml:2: stage 'loader' needs at least one replica",
            "what serves it has to be where it is")
        for bad in ["5810", "tcp://:5810", "tcp://*:0", "tcp://*:65001", "tcp://*", "ipc:///x:1"] {
            #expect(
                message { try resolve(text + "\nsupervisor: {listen: \"\(bad)\"}\n") }.contains(
                    "'supervisor.listen' must be tcp://HOST:PORT with a port from 1 to 65000"), "\(bad)")
        }
    }
}
