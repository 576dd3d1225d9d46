import Configuration
import Foundation
import Synchronization
import TestSupport
import Testing
import Wire

@testable import StageKit
@testable import Supervisor

@Suite struct StageControlTests {
    private let supervisor = Incarnation(rawValue: "a")
    private var clock = ManualClock()
    private var control = StageControl(interval: .seconds(1), grace: .seconds(30), now: .zero)

    private mutating func configure() throws {
        let configuration = try #require(try FakeRun.plan().configuration(for: .loader(1)))
        _ = control.handle(.received(.configuration(configuration, from: supervisor)), now: clock.now)
    }

    @Test mutating func helloIsRepeatedUntilConfiguredThenHeartbeatsFollow() throws {
        #expect(control.handle(.tick, now: .zero) == [.sendHello])
        #expect(control.handle(.tick, now: .milliseconds(999)) == [])
        #expect(control.handle(.tick, now: clock.advance(.seconds(1))) == [.sendHello])
        try configure()
        #expect(control.handle(.tick, now: clock.advance(.seconds(1))) == [.sendHeartbeat])
    }

    @Test mutating func configurationCountsOnce() throws {
        let configuration = try #require(try FakeRun.plan().configuration(for: .loader(1)))
        let message = StageControl.Event.received(.configuration(configuration, from: supervisor))
        #expect(control.handle(message, now: .zero) == [.configure(configuration)])
        #expect(control.handle(message, now: .zero) == [])
    }

    @Test mutating func supervisorIsLostOnceAfterItsGrace() throws {
        try configure()
        var lostAt: [Duration] = []
        for _ in 0..<100 {
            let now = clock.advance(.milliseconds(500))
            if control.handle(.tick, now: now).contains(.supervisorLost) { lostAt.append(now) }
        }
        #expect(lostAt == [.seconds(30)])
        let late = StageControl.Event.received(.command(Command(.reloadKeys), from: supervisor))
        #expect(control.handle(late, now: clock.now) == [])
    }

    @Test mutating func anyMessageKeepsTheSupervisorAlive() throws {
        try configure()
        for second in 1...300 {
            let now = clock.advance(.seconds(1))
            if second % 29 == 0 { _ = control.handle(.received(.heartbeat(from: supervisor)), now: now) }
            #expect(!control.handle(.tick, now: now).contains(.supervisorLost))
        }
    }

    @Test mutating func stageThatStoodStillItselfGivesItsSupervisorTime() throws {
        try configure()
        _ = control.handle(.tick, now: clock.advance(.seconds(1)))
        #expect(!control.handle(.tick, now: clock.advance(.seconds(3600))).contains(.supervisorLost))
    }

    @Test mutating func restartedSupervisorIsToldHello() throws {
        try configure()
        let other = Incarnation(rawValue: "b")
        #expect(control.handle(.received(.heartbeat(from: other)), now: .zero) == [.sendHello])
        #expect(control.handle(.received(.heartbeat(from: other)), now: .zero) == [])
    }

    @Test mutating func commandsBecomeActions() {
        for (command, action) in [
            (Command(.stop), StageControl.Action.stop(.stop)), (Command(.drain), .stop(.drain)),
            (Command(.ending), .expectStop),
            (Command(.abandon), .stop(.abandon)), (Command(.reloadKeys), .reloadKeys),
            (Command(.expectLoss, worker: "loader-1"), .loss(worker: "loader-1", expected: true)),
            (Command(.workerLost, worker: "loader-1"), .loss(worker: "loader-1", expected: false)),
        ] {
            #expect(control.handle(.received(.command(command, from: supervisor)), now: .zero) == [action])
        }
    }
}

@Suite struct StageKitTests {
    let folder = try! TemporaryFolder("kit")

    @Test func commandLineIsReadAndMistakesAreNamed() throws {
        let words = ["--control", "ipc:///tmp/c", "--run", "r", "--stage", "loader", "--id", "2", "--grace", "1500"]
        let arguments = try StageLink.Arguments(words, kind: .loader)
        #expect(arguments.replica == .loader(2) && arguments.grace == .milliseconds(1500) && arguments.run == "r")
        #expect(arguments.heartbeat == .seconds(1))
        #expect(try StageLink.Arguments(words + ["--heartbeat", "200"], kind: .loader).heartbeat == .milliseconds(200))
        for (bad, message) in [
            ([], "--control is missing"), (["--contrl", "x"], "did you mean '--control'?"),
            (["--run"], "needs a value"),
            (Array(words.prefix(6)) + ["--id", "0"], "no number from 1"),
            (["--control", "udp://x"] + words.dropFirst(2), "udp://x"),
        ] {
            #expect { _ = try StageLink.Arguments(bad, kind: .loader) } throws: { "\($0)".contains(message) }
        }
    }

    @Test func aStageFromAfarUsesTheHostThatItDialled() throws {
        var configuration = try #require(try FakeRun.plan().configuration(for: .loader(1)))
        configuration.endpoints = ["samples": [try Endpoint("tcp://*:5812")]]
        let dialled = try configuration.dialled(at: Endpoint("tcp://head.example.org:5810"))
        #expect(dialled.endpoints == ["samples": [try Endpoint("tcp://head.example.org:5812")]])
        #expect(try configuration.dialled(at: Endpoint("ipc:///tmp/control")) == configuration)
    }

    @Test func aDatasetElsewhereKeepsWhatIsInsideItsRoot() {
        var settings = DatasetSettings()
        settings.root = "/data/camvid"
        settings.description = "/data/camvid/dataset.yaml"
        let moved = settings.moved(to: "/scratch/c/")
        #expect(moved.root == "/scratch/c" && moved.description == "/scratch/c/dataset.yaml")
        settings.description = "/data/camvid2/dataset.yaml"
        #expect(settings.moved(to: "/scratch/c").description == "/data/camvid2/dataset.yaml")
        // Without a root the description's folder is it.
        settings.root = ""
        let described = settings.moved(to: "/scratch/c")
        #expect(described.root == "/scratch/c" && described.description == "/scratch/c/dataset.yaml")
    }

    @Test func divergedLossIsWrittenAsNullAndReadBack() throws {
        let metrics = StepMetrics(step: 3, lr: 0.1, ce: .nan, nce: .infinity, phases: ["forward": 2, "odd": .nan])
        let text = String(decoding: try metrics.wireJSON(), as: UTF8.self)
        #expect(text.contains("\"ce\":null") && text.contains("\"nce\":null"))
        let back = try JSONDecoder().decode(StepMetrics.self, from: Data(text.utf8))
        #expect(back.ce.isNaN && back.nce?.isNaN == true && back.phases == ["forward": 2])
        let without = try JSONDecoder().decode(StepMetrics.self, from: StepMetrics(step: 1, lr: 1, ce: 1).wireJSON())
        #expect(without.nce == nil)
    }

    @Test func metricsAfterTheCheckpointAreDroppedOnResume() throws {
        let path = folder("metrics.jsonl")
        let first = try MetricsFile(path: path, continuingAfter: 0)
        for step in 1...5 { try first.append(StepMetrics(step: UInt64(step), lr: 0.1, ce: 1)) }
        let torn = try #require(folder.read("metrics.jsonl")) + "{\"step\":6,\"l"
        try folder.write(torn, to: "metrics.jsonl")
        let second = try MetricsFile(path: path, continuingAfter: 3)
        try second.append(StepMetrics(step: 4, lr: 0.2, ce: 2))
        let steps = try MetricsFile.read(path: path)
        #expect(steps.map(\.step) == [1, 2, 3, 4])
        #expect(steps.last?.ce == 2)
    }

    /// Also of a file that is longer than what is read of its end, and whose last line is torn or of an evaluation.
    @Test(arguments: [0, 1, 3000]) func newestStepIsReadFromTheEnd(count: Int) throws {
        let path = folder("metrics.jsonl")
        #expect(MetricsFile.last(path: path) == nil)
        let file = try MetricsFile(path: path, continuingAfter: 0)
        for step in 0..<count { try file.append(StepMetrics(step: UInt64(step + 1), lr: 0.1, ce: 1)) }
        try MetricsFile.append(
            EvaluationScores(step: 4, split: "val", mIoU: 0.5, pixelAccuracy: 0.75, meanAccuracy: nil), to: path)
        try folder.write((folder.read("metrics.jsonl") ?? "") + "{\"step\":9999,\"l", to: "metrics.jsonl")
        #expect(MetricsFile.last(path: path)?.step == (count == 0 ? nil : UInt64(count)))
    }

    @Test func evaluationsStayAmongTheMetricsWhateverIsDoneAgain() throws {
        let path = folder("metrics.jsonl")
        let scores = EvaluationScores(step: 4, split: "val", mIoU: 0.5, pixelAccuracy: 0.75, meanAccuracy: nil)
        let first = try MetricsFile(path: path, continuingAfter: 0)
        try first.append(StepMetrics(step: 1, lr: 0.1, ce: 1))
        // The supervisor, while compute has the file open.
        try MetricsFile.append(scores, to: path)
        for step in 2...5 { try first.append(StepMetrics(step: UInt64(step), lr: 0.1, ce: 1)) }
        // Of steps that are dropped; both stay, in their order.
        var late = scores
        for step in [5, 6] as [UInt64] {
            late.step = step
            try MetricsFile.append(late, to: path)
        }
        let second = try MetricsFile(path: path, continuingAfter: 3)
        try second.append(StepMetrics(step: 4, lr: 0.1, ce: 2))
        #expect(try MetricsFile.read(path: path).map(\.step) == [1, 2, 3, 4])
        let lines = try #require(folder.read("metrics.jsonl")).split(separator: "\n").map { Data($0.utf8) }
        #expect(lines.count == 7)
        let kept = try [1, 4, 5].map { try JSONDecoder().decode(EvaluationScores.self, from: lines[$0]) }
        #expect(kept[0] == scores && kept.map(\.step) == [4, 5, 6])
    }

    @Test func stopTokenKeepsTheFirstReasonAndTellsLateListeners() {
        let token = StopToken()
        let told = Mutex<[String]>([])
        token.onStop { reason in told.withLock { $0.append("early: \(reason)") } }
        token.request(.drain)
        token.request(.stop)
        token.onStop { reason in told.withLock { $0.append("late: \(reason)") } }
        #expect(token.reason == .drain)
        #expect(told.withLock { $0 } == ["early: drain", "late: drain"])
    }

    @Test func abandonmentComesOnTopOfAStop() {
        let token = StopToken()
        let told = Mutex(0)
        token.onAbandon { told.withLock { $0 += 1 } }
        token.request(.stop)
        #expect(!token.isAbandoned && told.withLock { $0 } == 0)
        token.request(.abandon)
        token.request(.abandon)
        #expect(token.reason == .stop && token.isAbandoned && told.withLock { $0 } == 1)
        token.onAbandon { told.withLock { $0 += 1 } }
        #expect(told.withLock { $0 } == 2)
    }

    @Test func fingerprintsExplainTheirDifference() {
        let one = Fingerprint.compute(versions: ["openblas": "0.3.21"]) { $0.update(1) }
        #expect(one == Fingerprint.compute(versions: ["openblas": "0.3.21"]) { $0.update(1) })
        #expect(one.difference(from: one) == nil)
        let other = Fingerprint.compute(versions: ["openblas": "0.3.22"]) { $0.update(1) }
        #expect(other.difference(from: one) == "openblas 0.3.22 instead of 0.3.21")
        #expect(other.difference(from: one, ignoring: ["openblas"]) == nil)
        #expect(Fingerprint.compute(versions: ["openblas": "0.3.21"]) { $0.update(2) }.difference(from: one) != nil)
    }
}
