import Configuration
import StageKit
import TestSupport
import Testing
import Wire

@testable import Supervisor

@Suite struct LinkAddressesTests {
    private func plan() throws -> LaunchPlan {
        var plan = try FakeRun.plan()
        plan.topology = try Topology.resolve(
            yaml: """
                stages:
                  loader: {replicas: 2}
                  compute: {samples: loader, mining: miner, memory: bank}
                  bank:
                  miner: {memory: bank}
                  evaluator:
                """, path: "t.yaml")
        return plan
    }

    private func addresses(_ replica: Replica, in stages: String? = nil) throws -> [String: [String]] {
        var plan = try plan()
        if let stages { plan.topology = try Topology.resolve(yaml: stages, path: "t.yaml") }
        let settings = try #require(plan.settings(of: replica))
        return try plan.endpoints(for: replica, settings).mapValues { $0.map(\.address) }
    }

    @Test func ranksBindTheirOwnEndsAndMeetAnewInEveryEpoch() throws {
        var plan = try plan()
        for index in plan.topology.stages.indices where plan.topology.stages[index].kind == .compute {
            plan.topology.stages[index].replicas = 2
        }
        func configuration(_ replica: Replica) throws -> StageConfiguration {
            try #require(try plan.configuration(for: replica))
        }
        #expect(
            try configuration(Replica("compute", 2)).endpoints(.samples).map(\.address)
                == ["ipc:///tmp/none/samples.compute-2"])
        #expect(
            try configuration(.miner).endpoints(.mining).map(\.address)
                == ["ipc:///tmp/none/mining.compute-1", "ipc:///tmp/none/mining.compute-2"])
        #expect(try configuration(Replica("compute", 2)).replicas["compute"] == 2)
        #expect(try configuration(Replica("compute", 2)).rendezvous == "file:/tmp/none/ranks-1")
        #expect(try configuration(.loader(1)).rendezvous == nil)
        plan.epoch = Epoch(2)
        #expect(try configuration(.compute).rendezvous == "file:/tmp/none/ranks-2")
    }

    @Test func bothEndsOfALinkHaveOneAddress() throws {
        let samples = ["ipc:///tmp/none/samples.compute-1"]
        let mining = ["ipc:///tmp/none/mining.compute-1"]
        let memory = ["ipc:///tmp/none/memory.bank-1"]
        #expect(try addresses(.compute) == ["samples": samples, "mining": mining, "memory": memory])
        #expect(try addresses(.loader(2)) == ["samples": samples])
        #expect(try addresses(.miner) == ["mining": mining, "memory": memory])
        #expect(try addresses(.bank) == ["memory": memory])
        #expect(try addresses(.evaluator) == ["evaluation": ["ipc:///tmp/none/evaluation"]])
    }

    // MARK: Other hosts

    private func listening() throws -> LaunchPlan {
        var plan = try plan()
        plan.addresses = LinkAddresses(folder: "/tmp/none", listen: try Endpoint("tcp://10.0.0.1:5810"))
        return plan
    }

    @Test func aRunThatListensBindsBothAndOthersFindItByTheHostTheyDialled() throws {
        let plan = try listening()
        func addresses(_ replica: Replica, _ place: ReplicaPlace) throws -> [String: [String]] {
            let settings = try #require(plan.settings(of: replica))
            return try plan.endpoints(for: replica, settings, at: place).mapValues { $0.map(\.address) }
        }
        #expect(
            try addresses(.compute, .here) == [
                "samples": ["ipc:///tmp/none/samples.compute-1", "tcp://10.0.0.1:5812"],
                "mining": ["ipc:///tmp/none/mining.compute-1", "tcp://10.0.0.1:5813"],
                "memory": ["ipc:///tmp/none/memory.bank-1"],
            ])
        #expect(try addresses(.bank, .here) == ["memory": ["ipc:///tmp/none/memory.bank-1", "tcp://10.0.0.1:5811"]])
        #expect(try addresses(.loader(1), .here) == ["samples": ["ipc:///tmp/none/samples.compute-1"]])
        #expect(try addresses(Replica("loader", 1001), .otherHost) == ["samples": ["tcp://*:5812"]])
        #expect(
            try addresses(Replica("miner", 1001), .otherHost)
                == ["mining": ["tcp://*:5813"], "memory": ["tcp://*:5811"]])
    }

    @Test func noTwoLinksShareAPort() throws {
        let addresses = LinkAddresses(folder: "/tmp/none", listen: try Endpoint("tcp://*:65000"))
        var ports = [addresses.port(.memory, of: .bank, after: 65000)]
        for rank in 1...64 {
            for link in [LinkName.samples, .mining] {
                ports.append(addresses.port(link, of: Replica("compute", rank), after: 65000))
            }
        }
        #expect(!ports.contains(nil) && !ports.contains(65000) && Set(ports).count == ports.count)
    }

    @Test func aRunThatDoesNotListenHasNoAddressForOthers() throws {
        let plan = try plan()
        let settings = try #require(plan.settings(of: .loader(1)))
        #expect(throws: WireError.self) { try plan.endpoints(for: .loader(1), settings, at: .otherHost) }
    }

    @Test func stageInBetweenBindsWhereItsSuppliersConnect() throws {
        let stages = """
            stages:
              loader:
              cutout: {kind: loader, samples: loader, exec: [cutout], replicas: 2}
              compute: {samples: cutout}
            """
        func upstream(_ id: Int) -> String { "ipc:///tmp/none/upstream.cutout-\(id)" }
        let samples = ["ipc:///tmp/none/samples.compute-1"]
        #expect(try addresses(.loader(1), in: stages) == ["samples": [upstream(1), upstream(2)]])
        #expect(try addresses(Replica("cutout", 2), in: stages) == ["samples": samples, "upstream": [upstream(2)]])
        #expect(try addresses(.compute, in: stages)["samples"] == samples)
    }

    @Test func longestSocketNameIsCounted() {
        // The evaluation is bound by the command line, under no stage's name.
        let longest = LinkName.allCases.filter { $0 != .evaluation }.map { "/\($0.rawValue).".count }.max()
        #expect(longest.map { $0 + 32 + "-65535".count } == LinkAddresses.longestName)
    }
}
