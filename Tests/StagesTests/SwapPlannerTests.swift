import Configuration
import StageKit
import Testing
import Wire

@testable import ComputeStage

/// From which step a swap holds, and which steps wait for it.
@Suite struct SwapPlannerTests {
    /// A planner that expectations can ask.
    private final class Probe {
        private var planner: SwapPlanner
        init(_ planner: SwapPlanner) { self.planner = planner }
        var schedule: SwapSchedule { planner.schedule }
        func handle(_ event: SwapPlanner.Event) -> [SwapPlanner.Action] { planner.handle(event) }
        func enter(_ step: UInt64) -> Bool { planner.enter(step) }
    }

    private func planner(after done: UInt64 = 0, held: UInt64 = 0, swaps: [Swap] = []) -> Probe {
        Probe(SwapPlanner(schedule: SwapSchedule(Recipe(), swaps: swaps), after: done, held: held, last: 100))
    }

    private func proposal(
        _ generation: Int, at step: UInt64? = nil, exec: [String]? = nil,
        strategy: SamplerSettings.Strategy = .hardest
    ) -> SwapProposal {
        var recipe = Recipe()
        recipe.sampler.strategy = strategy
        return SwapProposal(
            generation: Generation(generation), stage: "miner", atStep: step, mining: MiningSettings(recipe),
            exec: exec, change: "x")
    }

    private func swap(_ generation: Int, from step: UInt64, exec: [String]? = nil) -> Swap {
        Swap(proposal(generation, exec: exec), step: step)
    }

    @Test func settingsHoldFromTheNextStepOnceCommitted() {
        let planner = planner()
        for step in 1...4 as ClosedRange<UInt64> { #expect(planner.enter(step)) }
        #expect(planner.handle(.order(.prepare(proposal(1)))) == [.planned(swap(1, from: 5))])
        #expect(!planner.enter(5), "not before it is in the journal")
        #expect(planner.handle(.order(.commit(Generation(1), step: 5))).isEmpty)
        #expect(planner.enter(5))
        #expect(planner.schedule.settings(at: 4).mining.sampler.strategy == .semiHard)
        #expect(planner.schedule.settings(at: 4).generation == .first)
        #expect(planner.schedule.settings(at: 5).mining.sampler.strategy == .hardest)
        #expect(planner.schedule.settings(at: 5).generation == Generation(1))
        #expect(planner.schedule.settings(at: 5).workers == .first, "the program stays")
    }

    @Test func swapAheadHoldsUpNoEarlierStep() {
        let planner = planner()
        #expect(planner.handle(.order(.prepare(proposal(1, at: 3)))) == [.planned(swap(1, from: 3))])
        #expect(planner.enter(1) && planner.enter(2))
        #expect(!planner.enter(3))
    }

    @Test func committedStepMayBeLaterThanThePlannedOne() {
        // Another rank was further.
        let planner = planner()
        _ = planner.handle(.order(.prepare(proposal(1))))
        _ = planner.handle(.order(.commit(Generation(1), step: 3)))
        #expect(planner.enter(1) && planner.enter(2) && planner.enter(3))
        #expect(planner.schedule.settings(at: 2).generation == .first)
        #expect(planner.schedule.settings(at: 3).generation == Generation(1))
    }

    @Test func programIsPlannedOnceOneOfItsWorkersIsThere() {
        let planner = planner()
        #expect(planner.handle(.order(.prepare(proposal(1, exec: ["m"])))).isEmpty)
        #expect(planner.enter(1) && planner.enter(2), "what does not start costs no step")
        #expect(planner.handle(.joined(.first)).isEmpty)
        #expect(planner.handle(.joined(Generation(1))) == [.planned(swap(1, from: 3, exec: ["m"]))])
        #expect(planner.handle(.joined(Generation(1))).isEmpty)
        _ = planner.handle(.order(.commit(Generation(1), step: 3)))
        #expect(planner.schedule.settings(at: 3).workers == Generation(1))
    }

    @Test func programAtAStepIsWaitedForThere() {
        let planner = planner()
        #expect(planner.handle(.order(.prepare(proposal(1, at: 3, exec: ["m"])))).isEmpty)
        #expect(planner.enter(1) && planner.enter(2))
        #expect(!planner.enter(3))
        #expect(planner.handle(.joined(Generation(1))) == [.planned(swap(1, from: 3, exec: ["m"]))])
        _ = planner.handle(.order(.commit(Generation(1), step: 3)))
        #expect(planner.enter(3))
    }

    @Test func workerMayComeBeforeTheOrder() {
        let planner = planner()
        _ = planner.handle(.joined(Generation(1)))
        #expect(planner.handle(.order(.prepare(proposal(1, exec: ["m"])))) == [.planned(swap(1, from: 1, exec: ["m"]))])
    }

    @Test func cancelledSwapHoldsUpNothingMore() {
        let planner = planner()
        _ = planner.handle(.order(.prepare(proposal(1))))
        #expect(!planner.enter(1))
        _ = planner.handle(.order(.cancel(Generation(2))))
        #expect(!planner.enter(1), "that was another one")
        _ = planner.handle(.order(.cancel(Generation(1))))
        #expect(planner.enter(1))
        #expect(planner.schedule.swaps.isEmpty)
        #expect(planner.handle(.order(.commit(Generation(1), step: 2))).isEmpty)
        #expect(planner.schedule.swaps.isEmpty)
    }

    @Test(arguments: [
        (5 as UInt64, "step 5 is past: the next is 6"), (101, "step 101 will not come: the last is 100"),
        (20, "step 20 lies before that of swap 1, 30"),
    ])
    func stepThatCannotBeIsRefused(step: UInt64, why: String) {
        let planner = planner(after: 5, swaps: [swap(1, from: 30)])
        let proposal = proposal(2, at: step)
        #expect(planner.handle(.order(.prepare(proposal))) == [.refused(proposal, why)])
        #expect(planner.enter(6))
    }

    @Test func swapWithoutAStepComesAfterTheOnesAhead() {
        let planner = planner(after: 5, swaps: [swap(1, from: 30)])
        #expect(planner.handle(.order(.prepare(proposal(2)))) == [.planned(swap(2, from: 30))])
    }

    @Test func stepsThatAreDoneAgainKeepTheirSettings() {
        // Twenty steps were done before the rollback to step 5: their ledger lines bind.
        let planner = planner(after: 5, held: 20)
        #expect(planner.handle(.order(.prepare(proposal(1)))) == [.planned(swap(1, from: 21))])
        #expect(planner.enter(6))
        _ = planner.handle(.order(.cancel(Generation(1))))
        let early = proposal(2, at: 10)
        #expect(planner.handle(.order(.prepare(early))) == [.refused(early, "step 10 is past: the next is 21")])
    }

    @Test func lastStepInHandLeavesNothingToSwap() {
        let planner = planner(after: 99)
        #expect(planner.enter(100))
        let late = proposal(1)
        #expect(planner.handle(.order(.prepare(late))) == [.refused(late, "no step is left to begin: the last is 100")])
    }

    @Test func planIsRepeatedToAnotherSupervisorAndToARepeatedOrder() {
        let planner = planner()
        #expect(planner.handle(.order(.supervisorChanged)).isEmpty)
        let plan = planner.handle(.order(.prepare(proposal(1, at: 4))))
        #expect(planner.handle(.order(.supervisorChanged)) == plan)
        #expect(planner.handle(.order(.prepare(proposal(1, at: 4)))) == plan)
        _ = planner.handle(.order(.commit(Generation(1), step: 4)))
        #expect(planner.handle(.order(.supervisorChanged)).isEmpty)
        #expect(planner.handle(.order(.prepare(proposal(1, at: 4)))).isEmpty, "it is made")
    }

    // MARK: The schedule

    @Test func scheduleSaysWhichWorkersTheStepsToComeNeed() {
        let swaps = [
            swap(1, from: 10, exec: ["a"]), swap(2, from: 20), swap(3, from: 30, exec: ["b"]),
            swap(4, from: 30, exec: []), swap(5, from: 40, exec: ["a"]),
        ]
        let schedule = SwapSchedule(Recipe(), swaps: swaps.reversed())
        func numbers(_ step: UInt64) -> [Int] { schedule.workers(from: step).map(\.rawValue) }
        #expect(numbers(1) == [0, 1, 4, 5])
        #expect(numbers(9) == [0, 1, 4, 5])
        #expect(numbers(10) == [1, 4, 5])
        #expect(numbers(29) == [1, 4, 5])
        #expect(numbers(30) == [4, 5], "generation 3 is replaced where it would begin")
        #expect(numbers(1000) == [5])
        #expect(schedule.settings(at: 25).generation == Generation(2))
        #expect(schedule.settings(at: 25).workers == Generation(1))
        #expect(schedule.program(of: Generation(4)) == [])
        #expect(schedule.program(of: Generation(1)) == ["a"])
        #expect(schedule.program(of: .first) == nil)
    }
}
