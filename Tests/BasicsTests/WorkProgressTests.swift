import Testing

@testable import Basics

@Suite struct WorkProgressTests {
    /// What a counter of `total` things writes that takes `each` for each of them.
    private func shown(isTerminal: Bool, total: Int, each: Duration) -> [String] {
        var counter = WorkCounter("read", isTerminal: isTerminal)
        return (0...total).compactMap { counter.text($0, of: total, now: each * $0) }
    }

    @Test func linesComeEveryTenSecondsAndAtTheEnd() {
        #expect(
            shown(isTerminal: false, total: 35, each: .seconds(1)) == [
                "read 10 of 35, 25 s left\n", "read 20 of 35, 15 s left\n", "read 30 of 35, 5 s left\n",
                "read 35 of 35\n",
            ])
    }

    @Test func shortWorkSaysNothingInALog() {
        #expect(shown(isTerminal: false, total: 90, each: .milliseconds(100)).isEmpty)
    }

    @Test func terminalShowsTheFirstTenTimesASecondAndTheLast() {
        let shown = shown(isTerminal: true, total: 50, each: .milliseconds(10))
        #expect(shown.first == "\rread 0 of 50\u{1b}[K")
        #expect(shown.last == "\rread 50 of 50\u{1b}[K\n")
        #expect(shown.count == 6)
    }

    @Test func nothingToDoIsDoneAtOnce() {
        #expect(shown(isTerminal: true, total: 0, each: .zero) == ["\rread 0 of 0\u{1b}[K\n"])
        #expect(shown(isTerminal: false, total: 0, each: .zero).isEmpty)
    }
}
