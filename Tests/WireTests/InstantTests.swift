import Testing

@testable import Wire

@Suite struct InstantTests {
    /// As somebody writes it who means "never".
    @Test func centuriesFromNowAreLaterAndNoOverflow() {
        let now = Instant.now()
        let never = now + .seconds(36_000_000_000)
        #expect(never > now + .seconds(3_000_000_000))
        #expect(Instant(nanoseconds: .max - 5) + .seconds(1) == Instant(nanoseconds: .max))
        #expect(never.millisecondsLeft(at: now) > 0 && Duration.seconds(-1).wholeNanoseconds == 0)
    }
}
