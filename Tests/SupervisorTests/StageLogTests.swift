import Basics
import Foundation
import Logging
import Testing
import Wire

@testable import StageKit

/// What the logs of a run say, and how much.
@Suite struct StageLogTests {
    private let time = "2026-11-25T10:51:11.042Z"

    @Test func lineSaysWhenHowBadWhoWhereAndAtWhichStep() {
        let origin = LogOrigin("loader-2", host: "gpu1")
        #expect(origin.line("info", "joined", at: time) == "\(time) info loader-2@gpu1: joined\n")
        origin.step = 120
        #expect(origin.line("warning", "slow", at: time) == "\(time) warning loader-2@gpu1 step 120: slow\n")
        origin.step = 0
        #expect(origin.line("info", "idle", at: time) == "\(time) info loader-2@gpu1: idle\n")
    }

    @Test func timesSortAsTexts() {
        let stamp = LogOrigin.timestamp()
        #expect(stamp.utf8.count == 24 && stamp.hasSuffix("Z") && stamp.dropFirst(10).first == "T")
        #expect(stamp <= LogOrigin.timestamp())
    }

    @Test func levelsAreOrderedAndReadFromTheEnvironment() throws {
        #expect(LogLevel.allCases == LogLevel.allCases.sorted() && LogLevel.trace < .error)
        #expect(try LogLevel.from([:]) == .info)
        #expect(try LogLevel.from(["PICOFLOW_LOG": ""]) == .info)
        #expect(try LogLevel.from(["PICOFLOW_LOG": "debug"]) == .debug)
        let error = #expect(throws: UserError.self) { try LogLevel.from(["PICOFLOW_LOG": "debgu"]) }
        #expect(
            error?.description
                == "PICOFLOW_LOG=debgu: must be one of trace, debug, info, warning, error; did you mean 'debug'?")
    }

    /// A line that nobody reads costs no text.
    @Test func whatIsBelowTheLevelIsNotPutTogether() {
        let logger = Logger.stage(LogOrigin("miner-1"), level: .warning)
        var made = 0
        func text() -> String {
            made += 1
            return "this line is part of a test"
        }
        logger.debug("\(text())")
        logger.info("\(text())")
        #expect(made == 0)
        logger.warning("\(text())")
        #expect(made == 1)
    }

    @Test func samplesBelongToTheStepOfTheirMiniBatch() {
        func step(_ position: UInt64, _ batch: UInt64) -> UInt64 {
            SampleTicket(
                position: position, image: 0, seed: 1, dataset: .init(), augmentation: .init(), padding: []
            ).step(ofBatch: batch)
        }
        #expect([0, 7, 8, 15, 16].map { step($0, 8) } == [1, 1, 2, 2, 3])
        // Whatever a peer sends is no trap.
        #expect(step(.max, 1) == 0 && step(3, 0) == 4)
    }

    @Test func stageRefusesALevelThatIsNone() async {
        let result = await #expect(processExitsWith: .exitCode(2), observing: [\.standardErrorContent]) {
            setenv("PICOFLOW_LOG", "loud", 1)
            let words = ["--control", "ipc:///tmp/nowhere", "--run", "fake", "--stage", "loader", "--id", "1"]
            StageMain.run(.loader, arguments: words, fingerprint: { Fingerprint(versions: [:], hash: "h") }) { _ in }
        }
        let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(text.hasPrefix("picoflow-loader: PICOFLOW_LOG=loud: must be one of trace, debug, info, warning, error"))
        #expect(text.split(separator: "\n").count == 1)
    }
}
