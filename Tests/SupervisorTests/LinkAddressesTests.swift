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

    private func addresses(_ replica: Replica) throws -> [String: [String]] {
        let plan = try plan()
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
        for index in plan.topology.stages.indices { plan.topology.stages[index].rendezvous = "tcp://a:1" }
        #expect(try configuration(.compute).rendezvous == "tcp://a:1")
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
}
