import Basics
import Testing

@testable import Wire

/// Whatever happens to workers and network, the consumer sees what one that does all work itself would see.
@Suite struct PoolPropertyTests {
    /// Runs the plan for many seeds and returns the runs, each checked: every result, in order, once.
    private func run(_ seeds: Range<UInt64>, _ plan: Simulation.Plan) -> [Simulation] {
        seeds.map { seed in
            var simulation = Simulation(seed: seed, plan: plan)
            simulation.run()
            #expect(simulation.problem == nil, "seed \(seed)")
            return simulation
        }
    }

    @Test func resultsEqualTheSequentialOnesUnderFaults() {
        let runs = run(0..<200, Simulation.Plan())
        #expect(runs.allSatisfy { $0.isDone })
        // The faults did happen: tickets were executed more than once and messages came twice.
        #expect(runs.reduce(0) { $0 + $1.faults } > 200 * 5)
        #expect(runs.reduce(0) { $0 + $1.consumer.statistics.reissued } > 200)
        #expect(runs.reduce(0) { $0 + $1.consumer.statistics.duplicates } > 200)
        #expect(runs.reduce(0) { $0 + $1.consumer.statistics.stale } > 20)
        #expect(runs.reduce(0) { $0 + $1.consumer.statistics.badFrames } == 0)
    }

    @Test func resultsEqualTheSequentialOnesWithUnexplainedDeaths() {
        var plan = Simulation.Plan()
        plan.killsAreExpected = false
        #expect(run(1000..<1100, plan).allSatisfy { $0.isDone })
    }

    @Test func resultsEqualTheSequentialOnesWhenTheConsumerIsReplaced() {
        var plan = Simulation.Plan()
        plan.restartsConsumer = true
        #expect(run(2000..<2100, plan).allSatisfy { $0.isDone })
    }

    @Test func everyTicketIsExecutedByItsGenerationAndResultsStayInOrder() {
        var swap = Simulation.Plan()
        swap.workers = 4
        swap.swapAt = 15
        #expect(run(7000..<7100, swap).allSatisfy { $0.isDone })
        var mixed = Simulation.Plan()
        mixed.workers = 4
        mixed.mixesGenerations = true
        mixed.killsAreExpected = false
        #expect(run(7100..<7200, mixed).allSatisfy { $0.isDone })
    }

    @Test func aTicketThatKillsIsFoundAmongItsGeneration() {
        var plan = Simulation.Plan()
        plan.workers = 4
        plan.epochs = 1
        plan.stops = false
        plan.poison = 13
        plan.swapAt = 10
        for simulation in run(7200..<7250, plan) {
            #expect(simulation.failure?.ticket == 13)
            #expect(simulation.delivered.count == 12)
        }
    }

    @Test func aSingleWorkerIsEnough() {
        var plan = Simulation.Plan()
        plan.workers = 1
        #expect(run(3000..<3050, plan).allSatisfy { $0.isDone })
    }

    @Test func aTicketThatKillsIsFoundAndNoOther() {
        var plan = Simulation.Plan()
        plan.epochs = 1
        plan.stops = false
        plan.poison = 13
        for simulation in run(4000..<4100, plan) {
            #expect(simulation.failure?.ticket == 13)
            #expect(simulation.delivered.count == 12)
        }
    }

    @Test func aTicketThatKillsIsSkippedInItsPlace() {
        var plan = Simulation.Plan()
        plan.epochs = 1
        plan.stops = false
        plan.poison = 13
        plan.skipFailed = true
        for simulation in run(5000..<5050, plan) {
            #expect(simulation.isDone)
            #expect(simulation.delivered.filter { $0.skipped != nil }.map(\.id) == [13])
        }
    }

    @Test func aTicketThatFailsEndsTheRunAfterAllBeforeIt() {
        var plan = Simulation.Plan()
        plan.epochs = 1
        plan.failing = 20
        for simulation in run(6000..<6050, plan) {
            #expect(simulation.failure?.ticket == 20)
            #expect(simulation.failure?.message == "bad sample 20")
            #expect(simulation.delivered.count == 19)
        }
    }
}
