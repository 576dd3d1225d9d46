import Configuration
import Foundation
import StageKit
import TestSupport
import Testing
import Wire

@testable import Supervisor

/// A joining host with a manual clock.
@Suite struct JoinCoreTests {
    private var clock = ManualClock()
    private var core = JoinCore(heartbeat: .seconds(1), grace: .seconds(30))
    private let loaders = [Replica("loader", 1001), Replica("loader", 1002)]

    private func reply(isEnding: Bool = false) -> JoinReply {
        JoinReply(
            replicas: loaders, stages: [], supervisor: SupervisorSettings(), dataset: DatasetSettings(),
            summary: FakeRun.dataset, isEnding: isEnding)
    }

    @discardableResult
    private mutating func handle(_ event: JoinCore.Event) -> [JoinCore.Action] { core.handle(event, now: clock.now) }

    /// Time passes; the supervisor answers every heartbeat.
    @discardableResult
    private mutating func pass(_ seconds: Int, answering: Bool = true) -> [JoinCore.Action] {
        var all: [JoinCore.Action] = []
        for _ in 0..<seconds {
            clock.advance(.seconds(1))
            if answering { all += handle(.answered(reply())) }
            all += handle(.tick)
        }
        return all
    }

    /// Ctrl-Z, or a machine that was paused.
    @Test mutating func whoStoodStillItselfDoesNotCountItsSupervisorAsSilent() {
        handle(.tick)
        handle(.answered(reply()))
        pass(3)
        clock.advance(.seconds(100))
        #expect(handle(.tick) == [.ask(replicas: loaders)])
        #expect(!pass(29, answering: false).contains(.leave))
        #expect(pass(2, answering: false).contains(.leave))
    }

    @Test mutating func itAsksAndStartsWhatItIsAllotted() {
        #expect(handle(.tick) == [.ask(replicas: [])])
        #expect(handle(.answered(reply())) == loaders.map { .spawn($0) })
        #expect(handle(.answered(reply())) == [])
        #expect(pass(1) == [.ask(replicas: loaders)], "a restarted supervisor must learn what runs here")
    }

    @Test mutating func aDeadProcessIsStartedAgainWithPatienceAndGivenUpAtLast() {
        handle(.answered(reply()))
        var waits: [Int] = []
        for _ in 1..<5 {
            handle(.exited(loaders[0], .signal(9), lastLine: nil))
            var seconds = 0
            repeat { seconds += 1 } while !pass(1).contains(.spawn(loaders[0]))
            waits.append(seconds)
        }
        #expect(waits == [1, 1, 2, 4])
        let last = handle(.exited(loaders[0], .code(1), lastLine: "no such file"))
        #expect(last.contains { if case .log(.error, let text) = $0 { text.contains("no such file") } else { false } })
        #expect(!pass(60).contains(.spawn(loaders[0])))
        for _ in 1..<5 {
            handle(.exited(loaders[1], .code(1), lastLine: nil))
            pass(10)
        }
        let end = handle(.exited(loaders[1], .code(1), lastLine: nil))
        #expect(end.contains { if case .end(.failed) = $0 { true } else { false } })
    }

    @Test mutating func aStageThatWasToldToEndStaysSo() {
        handle(.answered(reply()))
        handle(.exited(loaders[0], .code(0), lastLine: nil))
        #expect(!pass(60).contains(.spawn(loaders[0])))
        #expect(handle(.exited(loaders[1], .code(0), lastLine: nil)) == [.end(.ended)])
    }

    @Test mutating func theRunsEndIsAwaitedThenEnforced() {
        handle(.answered(reply()))
        handle(.answered(reply(isEnding: true)))
        handle(.exited(loaders[0], .code(0), lastLine: nil))
        #expect(!pass(29, answering: false).contains { if case .signal = $0 { true } else { false } })
        let actions = pass(10, answering: false)
        #expect(
            actions.filter { if case .signal = $0 { true } else { false } }
                == [.signal(loaders[1], SIGTERM), .signal(loaders[1], SIGKILL)])
        #expect(handle(.exited(loaders[1], .signal(9), lastLine: nil)) == [.end(.ended)])
    }

    @Test mutating func interruptLeavesInGoodOrderAndMoreOfThemAtOnce() {
        handle(.answered(reply()))
        #expect(handle(.interrupt).contains(.leave))
        #expect(pass(2).contains(.leave), "said again, as the first may be lost")
        handle(.interrupt)
        #expect(handle(.tick) == loaders.map { .signal($0, SIGTERM) })
        handle(.interrupt)
        #expect(handle(.tick) == loaders.map { .signal($0, SIGKILL) })
        handle(.exited(loaders[0], .signal(9), lastLine: nil))
        #expect(handle(.exited(loaders[1], .signal(9), lastLine: nil)) == [.end(.left)])
    }

    @Test mutating func terminationWaitsForTheRunsEndAndLeaves() {
        handle(.answered(reply()))
        #expect(!handle(.terminate).contains(.leave))
        #expect(!pass(1).contains(.leave))
        #expect(pass(1).contains(.leave))
        handle(.terminate)
        #expect(handle(.tick) == loaders.map { .signal($0, SIGTERM) })
    }

    @Test mutating func secondTerminationDoesNotWait() {
        handle(.answered(reply()))
        handle(.terminate)
        #expect(handle(.terminate).contains(.leave))
        #expect(handle(.tick).contains(.signal(loaders[0], SIGTERM)))
    }

    /// As the end of a batch job does: compute needs the host's miners for its last step, so they do not leave.
    @Test mutating func signalThatComesWithTheRunsEndIsTheSupervisorsToFollow() {
        handle(.answered(reply()))
        handle(.terminate)
        handle(.answered(reply(isEnding: true)))
        var all = pass(20)
        for loader in loaders { all += handle(.exited(loader, .code(0), lastLine: nil)) }
        #expect(!all.contains(.leave) && !all.contains(.signal(loaders[0], SIGTERM)))
        #expect(all.last == .end(.ended))
    }

    /// An engine starts hosts and run at once, and the run lists its dataset first.
    @Test mutating func aRunThatIsStartingIsAwaitedWithAWord() {
        func warnings(_ actions: [JoinCore.Action]) -> Int {
            actions.count {
                if case .log(.warning, let text) = $0 { text.contains("nothing was heard") } else { false }
            }
        }
        handle(.tick)
        #expect(warnings(pass(29, answering: false)) == 0)
        #expect(warnings(pass(500, answering: false)) == 1)
        #expect(handle(.answered(reply())) == loaders.map { .spawn($0) })
    }

    @Test mutating func aRunThatNeverAnswersIsGivenUp() {
        handle(.tick)
        let all = pass(600, answering: false)
        guard case .end(.failed(let why))? = all.last else { return #expect(Bool(false), "\(all.suffix(3))") }
        #expect(why.contains("nothing was heard"))
    }

    /// Stages of others may end with 0 when their supervisor is silent: the host must not say that it is not needed.
    @Test mutating func stagesThatEndInASilenceAreNoEndInGoodOrder() {
        handle(.answered(reply()))
        pass(28, answering: false)
        handle(.exited(loaders[0], .code(0), lastLine: nil))
        let last = handle(.exited(loaders[1], .code(0), lastLine: nil)).last
        guard case .end(.failed(let why))? = last else { return #expect(Bool(false), "\(String(describing: last))") }
        #expect(why.contains("nothing was heard"))
    }

    @Test mutating func aSilentSupervisorIsGivenUpAfterItsGrace() {
        handle(.answered(reply()))
        #expect(!pass(29, answering: false).contains(.leave))
        #expect(pass(1, answering: false).contains(.leave))
        // Its stages serve compute's last step and checkpoint for as long again, and then end by themselves.
        #expect(!pass(44, answering: false).contains { if case .signal = $0 { true } else { false } })
        #expect(pass(1, answering: false).contains(.signal(loaders[0], SIGTERM)))
        #expect(handle(.exited(loaders[0], .code(1), lastLine: nil)).isEmpty)
        guard case .end(.failed(let why))? = handle(.exited(loaders[1], .code(1), lastLine: nil)).last else {
            return #expect(Bool(false))
        }
        #expect(why.contains("nothing was heard"))
    }

    /// A stage that was out of the supervisor's reach for longer than the host was ends with 1.
    @Test mutating func aStageThatLostTheSupervisorIsStartedAgain() {
        handle(.answered(reply()))
        pass(28, answering: false)
        pass(20)
        #expect(
            handle(.exited(loaders[0], .code(1), lastLine: nil)).contains {
                if case .log(.warning, _) = $0 { true } else { false }
            })
        #expect(pass(1).contains(.spawn(loaders[0])))
    }

    @Test mutating func aRefusalEndsItWithTheRunsReason() {
        guard case .end(.failed(let why))? = handle(.refused("this run has no stage 'x'")).last else {
            return #expect(Bool(false))
        }
        #expect(why.contains("no stage 'x'"))
    }
}
