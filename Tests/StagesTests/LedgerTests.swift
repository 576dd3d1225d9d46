import Basics
import Configuration
import Foundation
import TestSupport
import Testing

@testable import ComputeStage

@Suite struct LedgerTests {
    private let folder: TemporaryFolder
    private var path: String { folder("ledger.jsonl") }

    init() throws { folder = try TemporaryFolder("ledger") }

    private func line(_ step: UInt64, batch: String = "b", gradient: String? = "g", threads: Int = 1) -> LedgerLine {
        LedgerLine(
            step: step, position: (step - 1) * 2, images: [Int(step), 7], batch: "\(batch)\(step)", record: "r\(step)",
            gradient: gradient,
            mining: LedgerLine.Mining(
                generation: 0, temperature: 0.1, sampler: SamplerSettings(), synthesis: SynthesisSettings()),
            arithmetic: "\(threads) threads")
    }

    private func open(after step: UInt64, threads: Int = 1, isEnforced: Bool = true) throws -> Ledger {
        try Ledger(
            path: path, continuingAfter: step, arithmetic: "\(threads) threads", isEnforced: isEnforced)
    }

    private func write(_ steps: ClosedRange<UInt64>) throws {
        let ledger = try open(after: steps.lowerBound - 1)
        for step in steps { try ledger.enter(line(step)) }
    }

    private var steps: [UInt64] {
        (folder.read("ledger.jsonl") ?? "").split(separator: "\n").compactMap {
            try? JSONDecoder().decode(LedgerLine.self, from: Data($0.utf8)).step
        }
    }

    private func message(_ body: () throws -> Void) -> String {
        do {
            try body()
            return ""
        } catch { return "\(error)" }
    }

    @Test func stepsThatAreDoneAgainAreNotWrittenAgain() throws {
        try write(1...5)
        let before = folder.read("ledger.jsonl")
        let again = try open(after: 2)
        #expect(again.newest == 5)
        for step in UInt64(3)...5 { try again.enter(line(step)) }
        #expect(folder.read("ledger.jsonl") == before)
        try again.enter(line(6))
        #expect(steps == Array(1...6))
        #expect(again.newest == 6)
    }

    @Test func recipesDigestIsOfWhatTrainingComesOutAs() throws {
        func digest(_ change: (inout Recipe) -> Void) throws -> String {
            var recipe = Recipe()
            change(&recipe)
            return try recipe.trainingDigest
        }
        let before = try digest { _ in }
        #expect(before.count == 12)
        // Others make each step's learning rate another.
        #expect(try digest { $0.schedule.iterations += 1 } != before)
        #expect(try digest { $0.contrast.lambda = 0.5 } != before)
        let same = try digest {
            $0.dataset.root = "/moved"
            $0.checkpoints.every = 1
            $0.evaluate.every = 7
            $0.determinism = .relaxed
        }
        #expect(same == before)
        #expect(try digest { $0.contrast.lag = 2 } != digest { ($0.contrast.lag, $0.checkpoints.every) = (2, 1) })
    }

    @Test(.enabled(if: SmallDisk.isPossible, "mounting a small disk needs root"))
    func linesThatFindNoRoomAreWrittenLater() throws {
        let disk = try SmallDisk(at: folder.path, mebibytes: 1)
        let ledger = try open(after: 0)
        try ledger.enter(line(1))
        try disk.fill()
        // More than what is left of the file's own page.
        for step in UInt64(2)...40 { try ledger.enter(line(step)) }
        #expect(throws: UserError.self) { try ledger.sync() }
        #expect(steps.count < 40 && ledger.newest == 40)
        try disk.grow(mebibytes: 2)
        try ledger.sync()
        #expect(steps == Array(1...40))
    }

    @Test func stepThatComesOutOtherwiseIsNamedWithItsFirstDifference() throws {
        try write(1...5)
        let again = try open(after: 2)
        try again.enter(line(3))
        let text = message { try again.enter(line(4, batch: "x", gradient: "y")) }
        #expect(text.contains("step 4, done again"))
        #expect(text.contains("'batch' is x4, \(path):4 says b4"), "\(text)")
        #expect(message { try open(after: 4).enter(line(5, gradient: nil)) }.contains("'gradient' is absent"))
    }

    @Test func tornLastLineIsCutOff() throws {
        try write(1...3)
        let text = try #require(folder.read("ledger.jsonl"))
        try folder.write(String(text.dropLast(9)), to: "ledger.jsonl")
        let again = try open(after: 0)
        #expect(again.newest == 2)
        for step in UInt64(1)...3 { try again.enter(line(step)) }
        #expect(folder.read("ledger.jsonl") == text)
    }

    @Test func otherThreadsAndUnorderedDevicesAreNotHeldToOldLines() throws {
        try write(1...5)
        let other = try open(after: 3, threads: 2)
        #expect(other.newest == 3)
        try other.enter(line(4, batch: "x", threads: 2))
        #expect(steps == [1, 2, 3, 4])
        let loose = try open(after: 1, threads: 2, isEnforced: false)
        try loose.enter(line(2, batch: "x"))
        #expect(steps == [1, 2])
    }

    @Test func runBegunWithoutALedgerHasOneFromItsResumeOn() throws {
        let late = try open(after: 40)
        try late.enter(line(41))
        try late.enter(line(42))
        #expect(try open(after: 41).newest == 42)
        #expect(message { _ = try open(after: 20) }.contains("begins at step 41"))
    }

    @Test func damageIsNamedByItsLine() throws {
        try write(1...3)
        #expect(message { _ = try open(after: 4) }.contains("ends at step 3"))
        var text = try #require(folder.read("ledger.jsonl"))
        text = text.replacingOccurrences(of: "\"step\":3", with: "\"step\":9")
        try folder.write(text, to: "ledger.jsonl")
        #expect(message { _ = try open(after: 1) }.contains("ledger.jsonl:3: this is not the line of step 3"))
        try folder.write("no json\n", to: "ledger.jsonl")
        #expect(message { _ = try open(after: 0) }.contains("ledger.jsonl:1: this is no line"))
    }
}
