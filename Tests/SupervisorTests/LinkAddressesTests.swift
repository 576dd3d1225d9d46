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
        let longest = LinkName.allCases.map { "/\($0.rawValue).".count }.max()
        #expect(longest.map { $0 + 32 + "-65535".count } == LinkAddresses.longestName)
    }
}
