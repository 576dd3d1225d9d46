import Foundation
import StageKit
import Supervisor
import Synchronization
import TestSupport
import Testing

@Suite struct DetachedDisplayTests {
    /// A terminal that takes nothing until it is let go on.
    private final class Stopped: ProgressDisplay {
        let goOn = DispatchSemaphore(value: 0)
        let lines = Mutex<[String]>([])

        func show(_ report: StatusReport, evaluated: (done: Int, total: Int)?, now: Duration) {}
        func log(_ level: LogLevel, _ text: String) {
            goOn.wait()
            goOn.signal()
            lines.withLock { $0.append(text) }
        }
        func end(_ report: StatusReport) {}
    }

    @Test func aTerminalThatStandsStillDoesNotHoldItsRunUp() {
        let terminal = Stopped()
        let display = DetachedDisplay(terminal)
        // Would never come back from the first.
        for line in 0..<50 { display.log(.info, "\(line)") }
        #expect(terminal.lines.withLock { $0.isEmpty })
        terminal.goOn.signal()
        #expect(waitUntil { terminal.lines.withLock { $0.count } == 50 })
        #expect(terminal.lines.withLock { $0 } == (0..<50).map(String.init))
    }

    /// Or what is written next to the terminal by others would come before it.
    @Test func aLineIsOutWhenItsCallReturns() {
        let terminal = Stopped()
        terminal.goOn.signal()
        let display = DetachedDisplay(terminal)
        for line in 0..<50 {
            display.log(.info, "\(line)")
            #expect(terminal.lines.withLock { $0.count } == line + 1)
        }
    }
}
