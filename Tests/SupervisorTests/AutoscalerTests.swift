import Foundation
import StageKit
import TestSupport
import Testing

@testable import Supervisor

/// When a stage gets another replica and when it loses one.
@Suite struct AutoscalerTests {
    /// A stage whose replicas have `load` seconds of work per second between them; compute waits for what is missing.
    private struct Stage {
        var scaler: Autoscaler
        var count: Int
        var load: Double
        var now = Duration.zero
        var steps = 0.0
        var waited = 0.0
        var busy: [Replica: Double] = [:]
        /// Whether replicas tell how busy they are.
        var tells = true
        var decisions: [(at: Int, count: Int, reason: String)] = []

        init(_ bounds: ClosedRange<Int>, count: Int, load: Double) {
            scaler = Autoscaler(bounds: bounds, what: "samples")
            self.count = count
            self.load = load
        }

        mutating func pass(_ seconds: Int) {
            for _ in 0..<seconds {
                now += .seconds(1)
                steps += 1
                let used = min(load, Double(count))
                waited += max(0, 1 - used / load)
                for id in 1...count { busy[Replica("loader", id), default: 0] += used / Double(count) }
                let reading = Autoscaler.Reading(
                    count: count, isComplete: true, steps: steps, waited: waited,
                    busy: tells ? busy.filter { $0.key.id <= count } : nil, threads: 1)
                guard let decision = scaler.read(reading, now: now) else { continue }
                decisions.append((Int(now / .seconds(1)), decision.count, decision.reason))
                count = decision.count
            }
        }
    }

    @Test func replicasAreAddedUntilComputeNoLongerWaits() {
        var stage = Stage(1...8, count: 1, load: 2.5)
        stage.pass(120)
        #expect(stage.decisions.map(\.count) == [2, 3])
        #expect(stage.decisions.first?.reason == "compute waited for samples 60 % of the last 10 s, more than 10 %")
        // A whole window under each number.
        #expect(stage.decisions.map(\.at) == [11, 22])
    }

    @Test func neverMoreThanTheBound() {
        var stage = Stage(1...2, count: 1, load: 20)
        stage.pass(300)
        #expect(stage.decisions.map(\.count) == [2])
    }

    @Test func idleReplicasAreRemovedOneByOneDownToWhatTheLoadNeeds() {
        var stage = Stage(1...8, count: 6, load: 1.3)
        stage.pass(300)
        // Two would be busy 65 % of the time; one could not do it.
        #expect(stage.count == 2)
        #expect(stage.decisions.map(\.count) == [5, 4, 3, 2])
        #expect(
            stage.decisions.first?.reason
                == "compute waited for samples 0.0 % of the last 10 s, and 5 would be busy 26 % of the time")
        let times = stage.decisions.map(\.at)
        #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 >= 30 })
    }

    @Test func neverFewerThanTheBoundNorWithoutKnowingTheirUse() {
        var stage = Stage(3...8, count: 3, load: 0.1)
        stage.pass(300)
        #expect(stage.decisions.isEmpty)
        stage = Stage(1...8, count: 3, load: 0.1)
        stage.tells = false
        stage.pass(300)
        #expect(stage.decisions.isEmpty)
    }

    @Test func steadyLoadIsLeftAlone() {
        for load in stride(from: 0.5, through: 4, by: 0.25) {
            var stage = Stage(1...8, count: 1, load: load)
            stage.pass(600)
            let settled = stage.decisions.count
            stage.pass(3000)
            #expect(stage.decisions.count == settled, "load \(load): \(stage.decisions)")
        }
    }

    @Test func removalThatWasTakenBackIsNotTriedSoonAgain() {
        // A load that jumps as soon as one replica is gone.
        var stage = Stage(1...8, count: 2, load: 0.5)
        var removals: [Int] = []
        for _ in 0..<2000 {
            stage.pass(1)
            if stage.decisions.last?.count == 1, removals.last != stage.decisions.last?.at {
                removals.append(stage.decisions.last!.at)
            }
            stage.load = stage.count == 1 ? 1.5 : 0.5
        }
        let gaps = zip(removals, removals.dropFirst()).map { $1 - $0 }
        #expect(removals.count > 3 && removals.count < 9)
        #expect(zip(gaps, gaps.dropFirst()).allSatisfy { $0 < $1 })
    }

    @Test func windowsAcrossARestartOrAStartingReplicaDoNotCount() {
        var scaler = Autoscaler(bounds: 1...8, what: "samples")
        func reading(_ steps: Double, complete: Bool = true) -> Autoscaler.Reading {
            Autoscaler.Reading(
                count: 1, isComplete: complete, steps: steps, waited: steps, busy: nil, threads: 1)
        }
        #expect(scaler.read(reading(100), now: .seconds(0)) == nil)
        // Compute was started anew.
        #expect(scaler.read(reading(1), now: .seconds(9)) == nil)
        #expect(scaler.read(reading(5), now: .seconds(13)) == nil)
        // A replica was, too.
        #expect(scaler.read(reading(8, complete: false), now: .seconds(17)) == nil)
        #expect(scaler.read(reading(10), now: .seconds(19)) == nil)
        #expect(scaler.read(reading(19), now: .seconds(28)) == nil)
        #expect(scaler.read(reading(20), now: .seconds(29))?.count == 2)
    }

    @Test func stepThatGoesOnMakesTheWindowLonger() {
        var scaler = Autoscaler(bounds: 1...8, what: "samples")
        func reading(_ steps: Double) -> Autoscaler.Reading {
            Autoscaler.Reading(count: 1, isComplete: true, steps: steps, waited: steps, busy: nil, threads: 1)
        }
        #expect(scaler.read(reading(10), now: .seconds(0)) == nil)
        #expect(scaler.read(reading(10), now: .seconds(20)) == nil)
        #expect(
            scaler.read(reading(40), now: .seconds(30))?.reason
                == "compute waited for samples 100 % of the last 30 s, more than 10 %")
    }
}
