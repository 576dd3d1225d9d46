import Configuration
import Foundation
import StageKit
import Synchronization
import TestSupport
import Testing
import Wire

@testable import Supervisor

/// Real processes, shell scripts most of them.
@Suite(.serialized, .timeLimit(.minutes(2))) struct ProcessTests {
    let folder = try! TemporaryFolder("process")

    private final class Exits: Sendable {
        private let all = Mutex<[ProcessTable.Exit]>([])
        func add(_ exit: ProcessTable.Exit) { all.withLock { $0.append(exit) } }
        var ends: [ProcessEnd] { all.withLock { $0.map(\.end) } }
    }

    private func spawn(_ script: String, _ exits: Exits, environment: [String: String] = ["PATH": "/usr/bin:/bin"])
        throws
        -> (table: ProcessTable, pid: Int32)
    {
        let table = ProcessTable { exits.add($0) }
        let pid = try table.spawn(
            .loader(1), command: ["/bin/sh", "-c", script], environment: environment, log: folder("log"))
        return (table, pid)
    }

    @Test func exitCodeAndOutputArrive() throws {
        let exits = Exits()
        _ = try spawn("echo out; echo $COLOUR >&2; exit 7", exits, environment: ["COLOUR": "blue"])
        #expect(waitUntil { !exits.ends.isEmpty })
        #expect(exits.ends == [.code(7)])
        #expect(folder.read("log") == "out\nblue\n")
        #expect(LogTail.lastLine(of: folder("log")) == "blue")
    }

    @Test func signalsReachALivingProcessOnly() throws {
        let exits = Exits()
        let (table, _) = try spawn("sleep 100", exits)
        table.signal(.loader(2), SIGKILL)
        #expect(table.entries.count == 1)
        table.signal(.loader(1), SIGTERM)
        #expect(waitUntil { !exits.ends.isEmpty })
        #expect(exits.ends == [.signal(SIGTERM)])
        #expect(table.entries.isEmpty)
        table.signal(.loader(1), SIGKILL)
    }

    /// The process id that a script has written.
    private func child() throws -> Int32 {
        #expect(waitUntil { folder.read("log")?.hasSuffix("\n") == true })
        return try #require(folder.read("log").flatMap { Int32($0.dropLast()) })
    }

    /// As `exec: [sh, run.sh]` has it: the stage is the shell's child.
    @Test(arguments: [SIGKILL, SIGTERM]) func signalsReachWhatAWrapperHasStarted(number: Int32) throws {
        let exits = Exits()
        let (table, _) = try spawn("sleep 100 & echo $!; wait", exits)
        let child = try child()
        table.signal(.loader(1), number)
        #expect(waitUntil { !exits.ends.isEmpty && ProcessTable.startTime(of: child) == nil })
    }

    @Test func nothingOfAWrapperThatDiedLivesOn() throws {
        let exits = Exits()
        let (_, pid) = try spawn("sleep 100 & echo $!; wait", exits)
        let child = try child()
        kill(pid, SIGKILL)
        #expect(waitUntil { !exits.ends.isEmpty && ProcessTable.startTime(of: child) == nil })
    }

    @Test func processLeadsItsOwnGroupSoThatCtrlCDoesNotReachIt() throws {
        let exits = Exits()
        let (table, pid) = try spawn("sleep 100", exits)
        #expect(getpgid(pid) == pid)
        table.signal(.loader(1), SIGKILL)
        #expect(waitUntil { !exits.ends.isEmpty })
    }

    @Test func missingProgramIsAnErrorWithItsName() {
        let table = ProcessTable { _ in }
        #expect {
            _ = try table.spawn(.loader(1), command: [folder("absent")], environment: [:], log: folder("log"))
        } throws: { "\($0)".contains("cannot start \(folder("absent")): No such file") }
    }

    @Test func leftoversOfADeadSupervisorAreKilledButNobodyElse() throws {
        let exits = Exits()
        let (table, _) = try spawn("sleep 100", exits)
        let other = Exits()
        let (bystander, _) = try spawn("sleep 100", other)
        var entries = table.entries
        var reused = bystander.entries[0]
        // The id of a process that ended, used again by another since.
        reused.started -= 1
        entries.append(reused)
        let record = ProcessRecord(
            host: ProcessInfo.processInfo.hostName, supervisor: 1, control: "ipc:///tmp/x", processes: entries)
        try record.write(to: folder("processes.json"))
        try #require(ProcessRecord.read(from: folder("processes.json"))).killLeftovers()
        #expect(waitUntil { exits.ends == [.signal(SIGKILL)] })
        #expect(other.ends.isEmpty)
        bystander.signal(.loader(1), SIGKILL)
        #expect(waitUntil { !other.ends.isEmpty })
    }

    /// A supervisor that is killed between starting a stage and listing it.
    @Test func stagesThatNobodyListedAreFoundByTheAddressThatTheyDial() throws {
        let exits = Exits()
        let table = ProcessTable { exits.add($0) }
        let control = "ipc://" + folder("control")
        for (id, address) in [(1, control), (2, control), (3, control + "-of-another-run")] {
            let command = ["/bin/sh", "-c", "sleep 100; true", "sh", "--control", address, "--stage", "loader"]
            _ = try table.spawn(
                .loader(id), command: command + ["--id", "\(id)"], environment: ["PATH": "/usr/bin:/bin"],
                log: folder("log"))
        }
        func unlisted() -> [ProcessTable.Entry] {
            ProcessTable.unlisted(dialling: control, among: table.entries.filter { $0.id == 1 })
        }
        #expect(waitUntil { unlisted().map(\.id) == [2] })
        kill(unlisted()[0].pid, SIGSTOP)
        try ProcessTable.killAll(unlisted())
        #expect(waitUntil { exits.ends == [.signal(SIGKILL)] })
        #expect(table.entries.map(\.id) == [1, 3])
        for id in [1, 3] { table.signal(.loader(id), SIGKILL) }
        #expect(waitUntil { exits.ends.count == 3 })
    }

    @Test func processesOfADeadSupervisorAreWatchedAndSignalled() throws {
        let exits = Exits()
        let (parent, pid) = try spawn("sleep 100", exits)
        let entry = try #require(parent.entries.first)
        let adopted = Exits()
        let table = ProcessTable { adopted.add($0) }
        #expect(try table.adopt(entry))
        #expect(table.entries == [entry])
        table.signal(.loader(1), SIGKILL)
        #expect(waitUntil { !adopted.ends.isEmpty })
        #expect(adopted.ends == [.unknown], "how it ended only its parent is told")
        #expect(table.entries.isEmpty)
        #expect(waitUntil { exits.ends == [.signal(SIGKILL)] })
        #expect(try !table.adopt(entry), "process \(pid) is gone")
    }

    @Test func anotherProcessWithTheSameIdIsNotTakenOver() throws {
        let exits = Exits()
        let (parent, _) = try spawn("sleep 100", exits)
        var entry = try #require(parent.entries.first)
        entry.started -= 1
        let table = ProcessTable { _ in }
        #expect(try !table.adopt(entry))
        table.signal(.loader(1), SIGKILL)
        #expect(exits.ends.isEmpty)
        parent.signal(.loader(1), SIGKILL)
        #expect(waitUntil { !exits.ends.isEmpty })
    }

    @Test func onlyTheSameProgramsOnTheSameRecipeAreTakenOver() throws {
        let exits = Exits()
        let (table, _) = try spawn("exec sleep 100", exits)
        let control = try Endpoint("ipc:///tmp/x")
        let here = ProcessInfo.processInfo.hostName
        var record = ProcessRecord(
            host: here, supervisor: 1, control: control.address, processes: table.entries, recipe: "abc")
        var topology = FakeRun.topology(loaders: 1)
        func canBe(_ record: ProcessRecord, recipe: String = "abc", _ control: Endpoint? = nil) throws -> Bool {
            try record.canBeTakenOver(
                recipe: recipe, topology: topology, control: control ?? Endpoint("ipc:///tmp/x"),
                executables: folder.path)
        }
        #expect(
            waitUntil {
                (try? FileManager.default.destinationOfSymbolicLink(
                    atPath: "/proc/\(table.entries[0].pid)/exe"))?.hasSuffix("sleep") == true
            })
        #expect(try !canBe(record), "no such program here")
        try FileManager.default.createSymbolicLink(
            atPath: folder("picoflow-loader"), withDestinationPath: "/proc/\(table.entries[0].pid)/exe")
        #expect(try canBe(record))
        #expect(try !canBe(record, recipe: "other"))
        #expect(try !canBe(record, Endpoint("ipc:///tmp/y")))
        try FileManager.default.removeItem(atPath: folder("picoflow-loader"))
        topology.stages[0].exec = ["python3", "loader.py"]
        #expect(try canBe(record), "what a command runs is the user's")
        record.host = "elsewhere"
        #expect(try !canBe(record))
        table.signal(.loader(1), SIGKILL)
        #expect(waitUntil { !exits.ends.isEmpty })
        record.host = here
        #expect(try !canBe(record), "nobody lives")
    }

    @Test func processesOfALiveRunWhoseFolderWasCopiedAreNotOurs() throws {
        let (here, there) = (try Endpoint("ipc:///tmp/x"), try Endpoint("ipc:///tmp/y"))
        var record = ProcessRecord(
            host: ProcessInfo.processInfo.hostName, supervisor: getpid(),
            supervisorStarted: ProcessTable.startTime(of: getpid()), control: here.address, processes: [])
        #expect(record.isOfAnotherRun(than: there))
        #expect(!record.isOfAnotherRun(than: here), "this run's own")
        record.supervisorStarted = 1
        #expect(!record.isOfAnotherRun(than: there), "it died, and its number was given again")
    }

    @Test func leftoversOfAnotherHostAreAnError() {
        let record = ProcessRecord(host: "elsewhere", supervisor: 1, control: "", processes: [])
        #expect { try record.killLeftovers() } throws: { "\($0)".contains("elsewhere") }
    }

    @Test func commandCarriesThreadsAndRespectsTheUsersPolicy() throws {
        var settings = StageSettings()
        settings.kind = .compute
        settings.threads = 3
        var timing = SupervisorSettings()
        timing.grace = .milliseconds(1500)
        timing.heartbeat = .milliseconds(250)
        let command = StageCommand(
            .compute, settings: settings, control: try Endpoint("ipc:///tmp/c"), run: "r", timing: timing,
            folder: "/opt",
            inherited: ["GOMP_SPINCOUNT": "5", "OMP_NUM_THREADS": "9", "OPENBLAS_CORETYPE": "Zen", "HOME": "/h"])
        #expect(
            command.command == [
                "/opt/picoflow-compute", "--control", "ipc:///tmp/c", "--run", "r", "--stage", "compute", "--id", "1",
                "--grace", "1500",
                "--heartbeat", "250",
            ])
        #expect(
            command.environment == [
                "GOMP_SPINCOUNT": "5", "OMP_WAIT_POLICY": "passive", "OPENBLAS_THREAD_TIMEOUT": "20",
                "OPENBLAS_CORETYPE": "Zen", "OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3",
                "MKL_NUM_THREADS": "3", "HOME": "/h",
            ])
    }
}
