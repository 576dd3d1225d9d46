import Testing

@testable import StageKit

struct TerminationTests {
    private let patience = Termination.patience
    private let unread = Termination.unread
    private let instant = Duration.milliseconds(1)

    /// What `isDue` says, one call after the other.
    private func dues(_ calls: (signals: Int, isEnding: Bool, now: Duration)...) -> [Bool] {
        var termination = Termination()
        return calls.map { termination.isDue(signals: $0.signals, isEnding: $0.isEnding, now: $0.now) }
    }

    @Test func signalAloneEndsTheStageAfterItsPatience() {
        let start = Duration.seconds(20)
        #expect(
            dues(
                (0, false, .zero), (1, false, start), (2, false, start + patience - instant),
                (2, false, start + patience), (2, false, start + patience + unread))
                == [false, false, false, false, true])
    }

    /// It is read after the signal's time is up.
    @Test func wordThatCameWhileTheStageStoodStillCounts() {
        let thawed = patience + .seconds(1)
        #expect(
            dues((1, false, .zero), (1, false, thawed), (1, true, thawed + instant), (1, true, patience * 20))
                == [false, false, false, false])
        #expect(
            dues((1, false, .zero), (1, false, thawed), (1, false, thawed + unread)) == [false, false, true])
    }

    @Test func deadlineIsThatOfASignalThatWaitsForTheWord() {
        var termination = Termination()
        #expect(termination.deadline == nil)
        _ = termination.isDue(signals: 1, isEnding: false, now: .seconds(20))
        #expect(termination.deadline == .seconds(20) + patience)
        _ = termination.isDue(signals: 1, isEnding: false, now: .seconds(30))
        #expect(termination.deadline == .seconds(30) + unread)
        _ = termination.isDue(signals: 1, isEnding: true, now: .seconds(31))
        #expect(termination.deadline == nil)
    }

    @Test func signalThatComesWithTheWordIsTheSupervisorsToFollow() {
        #expect(
            dues((1, false, .zero), (1, true, patience - instant), (1, true, patience * 20)) == [false, false, false])
        #expect(
            dues((0, true, .zero), (1, true, Termination.together - instant), (1, true, patience * 20))
                == [false, false, false])
    }

    /// One that came with it counts no more.
    @Test func signalAfterTheWordEndsTheStageAtOnce() {
        #expect(
            dues((1, true, .zero), (1, true, Termination.together), (2, true, Termination.together))
                == [false, false, true])
    }
}
