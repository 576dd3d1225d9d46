import Testing

@testable import StageKit

struct TerminationTests {
    private let patience = Termination.patience

    @Test func signalAloneEndsTheStageAfterItsPatience() {
        var termination = Termination()
        #expect(!termination.isDue(signals: 0, isStopped: false, now: .seconds(10)))
        #expect(termination.deadline == nil)
        #expect(!termination.isDue(signals: 1, isStopped: false, now: .seconds(20)))
        #expect(termination.deadline == .seconds(20) + patience)
        #expect(!termination.isDue(signals: 2, isStopped: false, now: .seconds(20) + patience - .milliseconds(1)))
        #expect(termination.isDue(signals: 2, isStopped: false, now: .seconds(20) + patience))
    }

    @Test(arguments: [false, true]) func signalThatComesWithAStopIsTheSupervisorsToFollow(isFirst: Bool) {
        var termination = Termination()
        #expect(!termination.isDue(signals: isFirst ? 1 : 0, isStopped: !isFirst, now: .zero))
        #expect(!termination.isDue(signals: 1, isStopped: true, now: patience - .milliseconds(1)))
        #expect(termination.deadline == nil)
        #expect(!termination.isDue(signals: 1, isStopped: true, now: patience * 20))
    }

    @Test func signalLongAfterTheStopEndsTheStageAtOnce() {
        var termination = Termination()
        // One that came with the stop counts no more.
        #expect(!termination.isDue(signals: 1, isStopped: true, now: .zero))
        #expect(!termination.isDue(signals: 1, isStopped: true, now: patience))
        #expect(termination.isDue(signals: 2, isStopped: true, now: patience))
    }
}
