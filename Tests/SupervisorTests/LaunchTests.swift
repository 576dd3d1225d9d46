import Basics
import Configuration
import Foundation
import Logging
import Synchronization
import TestSupport
import Testing
import Wire

@testable import StageKit
@testable import Supervisor

/// Whole launches: real run directory, sockets and processes. The processes are shells that sleep; what a stage would say
/// is said by threads of this process, which end "their" shell when they are told to stop.
@Suite(.serialized, .timeLimit(.minutes(2))) struct LaunchTests {
    let folder = try! TemporaryFolder("launch")

    private final class Lines: ProgressDisplay {
        let all = Mutex<[String]>([])
        func show(_ report: StatusReport, evaluated: (done: Int, total: Int)?, now: Duration) {}
        func log(_ level: LogLevel, _ text: String) { all.withLock { $0.append(text) } }
        func end(_ report: StatusReport) {}
        var text: String { all.withLock { $0.joined(separator: "\n") } }
    }

    private struct Naming: CheckpointEvaluation {
        func evaluate(_ session: EvaluationSession) throws -> EvaluationResult {
            session.progress(1, 1)
            return EvaluationResult(report: Self.report(of: session.checkpoint))
        }

        static func report(of checkpoint: String) -> EvaluationReport {
            EvaluationReport(split: "of \(checkpoint)", images: 1, classes: [])
        }
    }

    private func environment() -> SupervisorRunner.Environment {
        SupervisorRunner.Environment(
            executables: folder.path, variables: ["PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": folder.path],
            watchesSignals: false)
    }

    /// A topology whose stages note their command line and process id, then run `script`.
    private func topology(_ script: String = "exec sleep 1000") throws -> Topology {
        var topology = FakeRun.topology(loaders: 2)
        let path = try folder.write(
            "#!/bin/sh\necho \"$$ $*\" >> \(folder("started"))\n\(script)\n", to: "stage", executable: true)
        for index in topology.stages.indices {
            // Through the shell: a file just written may still be open in a process that another test is starting, and
            // such a file cannot be executed itself.
            topology.stages[index].exec = ["/bin/sh", path]
            switch topology.stages[index].kind {
            case .compute:
                topology.stages[index].samples = "loader"
                topology.stages[index].mining = "miner"
                topology.stages[index].memory = "bank"
            case .miner: topology.stages[index].memory = "bank"
            default: break
            }
        }
        return topology
    }

    private func recipe() -> Recipe {
        var recipe = Recipe()
        recipe.dataset.root = folder.path
        recipe.schedule.iterations = 10
        return recipe
    }

    /// Speaks for each process that is started, until `isOver`.
    ///
    /// - Parameter compute: what compute does after its configuration; then it says goodbye and ends.
    private func speak(
        isOver: @escaping @Sendable () -> Bool, compute: @escaping @Sendable (StageLink, StageConfiguration) -> Void
    ) {
        let path = folder("started")
        Thread {
            var heard = 0
            while !isOver() {
                usleep(5000)
                let lines = ((try? String(contentsOfFile: path, encoding: .utf8)) ?? "").split(separator: "\n").map(
                    String.init)
                for line in lines[min(heard, lines.count)...] { LaunchTests.speak(for: line, compute) }
                heard = lines.count
            }
        }.start()
    }

    private static func speak(for line: String, _ compute: @escaping @Sendable (StageLink, StageConfiguration) -> Void)
    {
        let words = line.split(separator: " ").map(String.init)
        guard let pid = Int32(words[0]), let stage = words.firstIndex(of: "--stage"),
            let kind = StageKind(rawValue: words[stage + 1]),
            let arguments = try? StageLink.Arguments(Array(words.dropFirst()), kind: kind)
        else { return }
        Thread {
            let link = StageLink(
                arguments: arguments, kind: kind, fingerprint: Fingerprint(versions: [:], hash: "h"),
                logger: Logger(label: "fake") { _ in SwiftLogNoOpLogHandler() }, onLost: {})
            link.start()
            if let configuration = try? link.awaitConfiguration() {
                if kind == .compute {
                    compute(link, configuration)
                } else {
                    while !link.stop.isStopped { usleep(2000) }
                }
            }
            link.send(.bye, Bye(.stopped))
            link.end()
            kill(pid, SIGTERM)
        }.start()
    }

    private func sockets(_ launch: Launch) -> String {
        SocketsFolder(run: launch.directory.path, environment: environment().variables).path
    }

    /// Stages are threads of this process here, which other tests' networks keep from the cores for seconds at a time.
    private var patient: Launch.Options {
        var timing = SupervisionTiming()
        timing.workerSilence = .seconds(120)
        timing.stateSilence = .seconds(120)
        return Launch.Options(timing: timing)
    }

    @Test func runTrainsEvaluatesAndLeavesNothingBehind() throws {
        let launch = try Launch.new(
            at: folder("run"), recipe: recipe(), topology: topology(), options: patient, environment: environment())
        let box = Shared(false)
        speak(isOver: { box.value }) { link, configuration in
            let path = configuration.runDirectory + "/checkpoints/step-000010"
            link.send(.event, StageEvent(.checkpoint, "checkpoint of step 10", step: 10, path: path))
            link.send(.event, StageEvent(.finished, "done", step: 10, path: path))
        }
        let display = Lines()
        let outcome = try launch.run(
            dataset: FakeRun.dataset, evaluation: Naming(), environment: environment(), display: display)
        box.value = true
        let path = launch.directory.checkpointsPath + "/step-000010"
        #expect(outcome == .finished(step: 10, checkpoint: path, evaluation: Naming.report(of: path)))
        #expect(!FileManager.default.fileExists(atPath: sockets(launch)))
        #expect(!FileManager.default.fileExists(atPath: launch.directory.path + "/processes.json"))
        let entries = try Journal.read(path: launch.directory.journalPath)
        guard case .epoch(let start)? = entries.first else { return #expect(Bool(false), "\(entries)") }
        #expect(start.epoch == Epoch(1) && start.from == nil && start.computeThreads == 1)
        #expect(entries.last == .ended(outcome.summary))
        let started = try #require(folder.read("started")).split(separator: "\n")
        #expect(started.count == 6, "bank, compute, 2 loaders, miner, evaluator")
        #expect(started.allSatisfy { !isAlive($0) })
    }

    private func isAlive(_ line: Substring) -> Bool {
        line.split(separator: " ").first.flatMap { Int32($0) }.map { ProcessTable.startTime(of: $0) != nil } ?? false
    }

    @Test func clientsSeeAndStopTheRun() throws {
        let launch = try Launch.new(
            at: folder("run"), recipe: recipe(), topology: topology(), options: patient, environment: environment())
        let box = Shared(false)
        speak(isOver: { box.value }) { link, _ in
            link.report(.running, waitingOn: nil)
            link.report(StepMetrics(step: 3, lr: 0.1, ce: 1, imagesPerSecond: 8))
            while !link.stop.isStopped { usleep(2000) }
            link.send(.event, StageEvent(.checkpoint, "checkpoint", step: 4, path: "/c4"))
        }
        let result = Shared<RunOutcome?>(nil)
        let environment = environment()
        // Only that thread uses it from here on.
        nonisolated(unsafe) let launched = launch
        Thread {
            result.value = try? launched.run(
                dataset: FakeRun.dataset, evaluation: nil, environment: environment, display: Lines())
        }.start()
        var report: StatusReport?
        #expect(
            waitUntil {
                report = try? ControlClient(run: folder("run")).ask(.status)
                return report?.step == 3 && report?.stages.allSatisfy { $0.state != .starting } == true
            })
        #expect(report?.phase == .training && report?.imagesPerSecond == 8)
        #expect(
            report?.stages.map { "\($0.stage)-\($0.id)" } == ["bank-1", "compute-1", "loader-1", "loader-2", "miner-1"])
        #expect(RunDirectory.newestLive(in: folder.path) == folder("run"))
        #expect(try ControlClient(run: folder("run")).ask(.stop).phase == .stopping)
        #expect(waitUntil { result.value != nil })
        box.value = true
        #expect(result.value == .stopped(step: 4, checkpoint: "/c4"))
    }

    @Test func failingStageEndsTheRunAndIsNamed() throws {
        let launch = try Launch.new(
            at: folder("run"), recipe: recipe(),
            topology: topology("case \"$*\" in *compute*) echo 'libtorch is missing'; exit 3;; esac\nexec sleep 1000"),
            environment: environment())
        let outcome = try launch.run(
            dataset: FakeRun.dataset, evaluation: nil, environment: environment(), display: Lines())
        guard case .failed(let message) = outcome else { return #expect(Bool(false), "\(outcome)") }
        #expect(message.hasPrefix("compute-1 failed first: it exited with code 3; its last line: libtorch is missing"))
        let started = try #require(folder.read("started")).split(separator: "\n")
        #expect(started.allSatisfy { !isAlive($0) })
    }

    @Test func stageThatIgnoresSIGTERMIsKilled() throws {
        var timing = SupervisionTiming()
        timing.kill = .milliseconds(300)
        let launch = try Launch.new(
            at: folder("run"), recipe: recipe(),
            topology: topology(
                "case \"$*\" in *compute*) sleep 1; exit 3;; esac\ntrap '' TERM\nwhile true; do sleep 0.1; done"),
            options: Launch.Options(timing: timing), environment: environment())
        _ = try launch.run(dataset: FakeRun.dataset, evaluation: nil, environment: environment(), display: Lines())
        let started = try #require(folder.read("started")).split(separator: "\n")
        #expect(started.count == 5 && started.allSatisfy { !isAlive($0) })
    }

    // MARK: Resuming

    private func makeRun(checkpoint step: UInt64? = nil) throws {
        let launch = try Launch.new(
            at: folder("run"), recipe: recipe(), topology: topology("exit 1"), environment: environment())
        _ = try launch.run(dataset: FakeRun.dataset, evaluation: nil, environment: environment(), display: Lines())
        guard let step else { return }
        let path = launch.directory.checkpointsPath + "/" + Checkpoint.folderName(step: step)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try DurableFile.write("{}", to: path + "/manifest.json")
        try DurableFile.write("", to: path + "/bank.snapshot")
    }

    /// More iterations for a finished run, for instance.
    @Test func aCheckpointWithoutMemoryIsNotGoneOnFrom() throws {
        try makeRun(checkpoint: 5)
        let checkpoint = folder("run") + "/checkpoints/step-000005"
        try FileManager.default.removeItem(atPath: checkpoint + "/bank.snapshot")
        #expect { _ = try Launch.resume(folder("run"), environment: environment()) } throws: {
            "\($0)".contains("step-000005 has no memory to go on with")
        }
    }

    @Test func resumeTakesTheNewestCheckpointAndANewEpoch() throws {
        try makeRun(checkpoint: 5)
        try folder.write("", to: "started")
        try folder.write(
            "#!/bin/sh\necho \"$$ $*\" >> \(folder("started"))\nexec sleep 1000\n", to: "stage", executable: true)
        let launch = try Launch.resume(folder("run"), environment: environment())
        #expect(launch.startStep == 5)
        let box = Shared(false)
        let seen = Shared("")
        speak(isOver: { box.value }) { link, configuration in
            seen.value = "\(configuration.epoch) \(configuration.resume ?? "nothing")"
            link.send(.event, StageEvent(.finished, "done", step: 10, path: "/c10"))
        }
        _ = try launch.run(dataset: FakeRun.dataset, evaluation: nil, environment: environment(), display: Lines())
        box.value = true
        #expect(seen.value == "2 \(launch.directory.checkpointsPath)/step-000005")
    }

    @Test func resumeWithOtherThreadsIsRefusedUnlessAllowed() throws {
        try makeRun()
        let path = folder("run") + "/topology.yaml"
        var other = try Topology.resolve(path: path)
        for index in other.stages.indices where other.stages[index].kind == .compute { other.stages[index].threads = 4 }
        try DurableFile.write(other.yaml(), to: path)
        #expect { _ = try Launch.resume(folder("run"), environment: environment()) } throws: {
            "\($0)".contains("compute has 4 threads, but the run was trained with 1")
                && "\($0)".contains("--allow-different-threads")
        }
        _ = try Launch.resume(
            folder("run"), options: Launch.Options(allowsDifferentThreads: true), environment: environment())
    }

    @Test func resumeWithOtherRanksIsRefusedUnlessAllowed() throws {
        try makeRun()
        let batch = try Recipe.resolve(path: folder("run") + "/recipe.yaml").schedule.batch
        try #require(batch % 2 == 0)
        #expect {
            _ = try Launch.resume(folder("run"), replicas: ["compute=2"], environment: environment())
        } throws: {
            "\($0)".contains("compute has 2 replicas, but the run was trained with 1")
                && "\($0)".contains("--allow-different-ranks")
        }
        _ = try Launch.resume(
            folder("run"), replicas: ["compute=2"], options: Launch.Options(allowsDifferentRanks: true),
            environment: environment())
    }

    @Test func finishedRunIsOnlyEvaluatedAgain() throws {
        try makeRun(checkpoint: 10)
        let launch = try Launch.resume(folder("run"), environment: environment())
        #expect(launch.isTrained)
        let path = launch.directory.checkpointsPath + "/step-000010"
        #expect(
            try launch.run(dataset: FakeRun.dataset, evaluation: nil, environment: environment(), display: Lines())
                == .finished(step: 10, checkpoint: path, evaluation: nil))
    }

    @Test func missingExecutableIsNamedBeforeAnythingIsWritten() throws {
        var topology = try topology()
        for index in topology.stages.indices { topology.stages[index].exec = nil }
        #expect {
            _ = try Launch.new(at: folder("run"), recipe: recipe(), topology: topology, environment: environment())
        } throws: { "\($0)".contains("\(folder.path)/picoflow-") && "\($0)".contains("is not there") }
        #expect(!FileManager.default.fileExists(atPath: folder("run")))
    }

    /// A value that threads of a test share.
    private final class Shared<Value: Sendable>: Sendable {
        private let state: Mutex<Value>
        init(_ value: Value) { state = Mutex(value) }
        var value: Value {
            get { state.withLock { $0 } }
            set { state.withLock { $0 = newValue } }
        }
    }
}
