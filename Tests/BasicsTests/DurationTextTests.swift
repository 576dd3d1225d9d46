import Testing

@testable import Basics

@Suite struct DurationTextTests {
    @Test(arguments: [
        (0, "0 s"), (0.000_42, "0.42 ms"), (0.0042, "4.2 ms"), (0.45, "450 ms"), (1, "1 s"), (12.34, "12.3 s"),
        (30, "30 s"), (60, "1 min"), (302, "5 min 02 s"), (3600, "1 h"), (3720, "1 h 02 min"), (86_400, "1 d"),
        (273_600, "3 d 04 h"),
    ])
    func twoUnitsAtMost(seconds: Double, text: String) {
        #expect(durationText(seconds: seconds) == text)
        #expect(Duration.seconds(seconds).text == text)
    }

    /// What rounds up to the next unit is written in it: never `1000 ms`, `60 s` or `60 min`.
    @Test(arguments: [
        (0.000_994, "0.99 ms"), (0.000_996, "1 ms"), (0.009_94, "9.9 ms"), (0.009_96, "10 ms"), (0.9994, "999 ms"),
        (0.9996, "1 s"), (59.94, "59.9 s"), (59.96, "1 min"), (3599.4, "59 min 59 s"), (3599.6, "1 h"),
        (86_369, "23 h 59 min"), (86_371, "1 d"),
    ])
    func unitsEndWhereTheNextBegins(seconds: Double, text: String) { #expect(durationText(seconds: seconds) == text) }

    @Test func whatIsNoLengthIsADash() {
        for seconds in [-1, .nan, .infinity, 1e10] { #expect(durationText(seconds: seconds) == "-") }
        #expect(Duration.seconds(-1).text == "-")
    }
}
