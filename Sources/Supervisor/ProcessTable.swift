import Basics
import CPidFD
import Foundation
import StageKit
import Synchronization
import Wire

/// The run's child processes on this machine: starts them, signals them, and says when one has ended.
///
/// `@unchecked Sendable`: the table lies behind its mutex; `onExit` is constant and Sendable.
public final class ProcessTable: @unchecked Sendable {
    public struct Exit: Sendable {
        public var replica: Replica
        public var pid: Int32
        public var end: ProcessEnd
    }

    /// One process of the table, as `processes.json` remembers it.
    struct Entry: Codable, Equatable {
        var stage: String
        var id: Int
        var pid: Int32
        /// Clock ticks after boot when it started: with the pid, it names one process for ever.
        var started: UInt64
        /// Whose tickets it executes; absent for the first.
        var generation: Generation?
    }

    let alive = Mutex<[Replica: Entry]>([:])
    /// Descriptors of those that another supervisor started.
    let adopted = Mutex<[Replica: Int32]>([:])
    let onExit: @Sendable (Exit) -> Void

    /// - Parameter onExit: called once per process, on a thread of its own.
    public init(onExit: @escaping @Sendable (Exit) -> Void) { self.onExit = onExit }

    /// Starts a program in a process group of its own, so that a terminal's Ctrl-C does not reach it.
    ///
    /// - Parameters:
    ///   - generation: for the list of processes only.
    ///   - command: path and arguments.
    ///   - environment: all of it.
    ///   - log: file that standard output and error are appended to; standard input is empty.
    /// - Returns: the process id.
    public func spawn(
        _ replica: Replica, generation: Generation = .first, command: [String], environment: [String: String],
        log: String
    ) throws -> Int32 {
        guard let program = command.first else { throw UserError("the command of \(replica) is empty") }
        let logDescriptor = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard logDescriptor >= 0 else { throw DurableFile.systemError("cannot open", log) }
        defer { close(logDescriptor) }

        var files = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&files)
        defer { posix_spawn_file_actions_destroy(&files) }
        posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&files, logDescriptor, 1)
        posix_spawn_file_actions_adddup2(&files, logDescriptor, 2)
        // Nothing else is inherited: all descriptors here are opened close-on-exec.

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))

        var arguments = command.map { strdup($0) } + [nil]
        var variables = environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in arguments + variables { free(text) } }
        var pid: pid_t = 0
        // A bare name is looked up in PATH, as a third-party stage's command may be.
        let error = posix_spawnp(&pid, program, &files, &attributes, &arguments, &variables)
        guard error == 0 else { throw UserError("cannot start \(program): \(String(cString: strerror(error)))") }
        let entry = Entry(
            stage: replica.stage, id: replica.id, pid: pid, started: ProcessTable.startTime(of: pid) ?? 0,
            generation: generation == .first ? nil : generation)
        alive.withLock { $0[replica] = entry }
        reap(replica, pid)
        return pid
    }

    /// Signals a replica's process group, as a third party's command may have started the stage through a shell; nothing
    /// happens where it has ended.
    public func signal(_ replica: Replica, _ number: Int32) {
        let isAdopted = adopted.withLock { adopted in
            // Under the lock the descriptor is not closed.
            adopted[replica].map { descriptor in
                // It is there, or not reaped yet: the group's id is its own.
                guard picoflow_pidfd_send_signal(descriptor, 0) == 0 else { return }
                alive.withLock { alive in
                    if let entry = alive[replica] { _ = kill(-entry.pid, number) }
                }
            } != nil
        }
        if isAdopted { return }
        // Under the lock the process is not reaped, so its id is not another's yet.
        alive.withLock { alive in
            if let entry = alive[replica] { _ = kill(-entry.pid, number) }
        }
    }

    var entries: [Entry] { alive.withLock { alive in alive.keys.sorted().map { alive[$0]! } } }

    /// Waits for the process on a thread of its own: no polling, and nobody else's children are touched.
    private func reap(_ replica: Replica, _ pid: Int32) {
        let thread = Thread { [self] in
            var information = siginfo_t()
            while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0 && errno == EINTR {}
            var status: Int32 = 0
            alive.withLock { alive in
                // Whatever it had started: nobody else would end it. Until it is reaped, the group's id is nobody else's.
                kill(-pid, SIGKILL)
                while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
                if alive[replica]?.pid == pid { alive[replica] = nil }
            }
            let end: ProcessEnd = status & 0x7f == 0 ? .code((status >> 8) & 0xff) : .signal(status & 0x7f)
            onExit(Exit(replica: replica, pid: pid, end: end))
        }
        thread.start()
    }

    /// Field 22 of `/proc/PID/stat`; nil where there is no such process.
    static func startTime(of pid: Int32) -> UInt64? {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            // The program's name, in brackets, may hold anything.
            let bracket = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: bracket)...].split(separator: " ")
        // A zombie is dead already.
        guard fields.count > 19, fields[0] != "Z" else { return nil }
        return UInt64(fields[19])
    }
}

extension ProcessTable {
    /// Living stages that dial a control address but are not listed: their supervisor was killed after it had started them
    /// and before it could write so. Whoever stands still then never learns that another one would refuse it.
    static func unlisted(dialling control: String, among listed: [Entry]) -> [Entry] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap(Int32.init).sorted().compactMap { pid in
            guard let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else { return nil }
            let words = bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            func value(_ option: String) -> String? {
                words.firstIndex(of: option).flatMap { words.indices.contains($0 + 1) ? words[$0 + 1] : nil }
            }
            guard value("--control") == control, let stage = value("--stage"),
                let id = value("--id").flatMap({ Int($0) }),
                let started = startTime(of: pid), !listed.contains(where: { $0.pid == pid && $0.started == started }),
                // A third party's command may have started it through a shell, which is listed.
                !listed.contains(where: { $0.pid == getpgid(pid) && startTime(of: $0.pid) == $0.started })
            else { return nil }
            return Entry(stage: stage, id: id, pid: pid, started: started)
        }
    }

    /// Kills processes and waits until they are gone.
    ///
    /// - Throws: `UserError` where one stays.
    static func killAll(_ entries: [Entry]) throws {
        for process in entries { kill(getpgid(process.pid) == process.pid ? -process.pid : process.pid, SIGKILL) }
        // A killed process with much memory takes a moment to go.
        let deadline = ContinuousClock.now + .seconds(10)
        for process in entries {
            while startTime(of: process.pid) == process.started {
                guard ContinuousClock.now < deadline else {
                    throw UserError(
                        "process \(process.pid) (\(process.stage)-\(process.id)) of the run's last start cannot be killed"
                    )
                }
                usleep(20_000)
            }
        }
    }
}

/// `processes.json`: who works on a run, for whoever finds the run after its supervisor died.
struct ProcessRecord: Codable, Equatable {
    var host: String
    var supervisor: Int32
    /// When it started, as `startTime` has it, as ids are used again.
    var supervisorStarted: UInt64?
    /// Where the supervisor listens.
    var control: String
    var processes: [ProcessTable.Entry]
    /// SHA-256 of the run's `recipe.yaml` as the processes know it.
    var recipe: String?

    func write(to path: String) throws {
        try DurableFile.write(prettyJSON(), to: path)
    }

    static func read(from path: String) -> ProcessRecord? {
        FileManager.default.contents(atPath: path).flatMap { try? JSONDecoder().decode(ProcessRecord.self, from: $0) }
    }

    /// Whether it came with a copy of a live run's directory, whose processes are not ours: this folder's lock would have kept
    /// a living supervisor of this run out.
    ///
    /// - Parameter control: where this folder's run listens.
    func isOfAnotherRun(than control: Endpoint) -> Bool {
        guard host == ProcessInfo.processInfo.hostName, self.control != control.address, let supervisorStarted else {
            return false
        }
        return ProcessTable.startTime(of: supervisor) == supervisorStarted
    }

    /// Kills what a dead supervisor's run left on this machine and waits until it is gone.
    ///
    /// - Throws: `UserError` where one cannot be killed, or where they may live on another machine.
    func killLeftovers() throws {
        guard host == ProcessInfo.processInfo.hostName else {
            throw UserError(
                "the run was last supervised on \(host); go on there, or remove processes.json from the run directory once nothing of it runs there"
            )
        }
        try ProcessTable.killAll(survivors)
    }
}
