import Testing

@testable import StageKit

struct TerminationTests {
    private let patience = Termination.patience

    @Test func signalAloneEndsTheStageAfterItsPatience() {
        var termination = Termination()
        #expect(!termination.isDue(signals: 0, isEnding: false, now: .seconds(10)))
        #expect(termination.deadline == nil)
        #expect(!termination.isDue(signals: 1, isEnding: false, now: .seconds(20)))
        #expect(termination.deadline == .seconds(20) + patience)
        #expect(!termination.isDue(signals: 2, isEnding: false, now: .seconds(20) + patience - .milliseconds(1)))
        #expect(termination.isDue(signals: 2, isEnding: false, now: .seconds(20) + patience))
    }

    @Test(arguments: [false, true]) func signalThatComesWithTheWordIsTheSupervisorsToFollow(isFirst: Bool) {
        var termination = Termination()
        #expect(!termination.isDue(signals: isFirst ? 1 : 0, isEnding: !isFirst, now: .zero))
        let later = (isFirst ? patience : Termination.together) - .milliseconds(1)
        #expect(!termination.isDue(signals: 1, isEnding: true, now: later))
        #expect(termination.deadline == nil)
        #expect(!termination.isDue(signals: 1, isEnding: true, now: patience * 20))
    }

    @Test func signalAfterTheWordEndsTheStageAtOnce() {
        var termination = Termination()
        // One that came with the word counts no more.
        #expect(!termination.isDue(signals: 1, isEnding: true, now: .zero))
        #expect(!termination.isDue(signals: 1, isEnding: true, now: Termination.together))
        #expect(termination.isDue(signals: 2, isEnding: true, now: Termination.together))
    }
}
