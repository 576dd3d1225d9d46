import Foundation
import TestSupport

/// One start of `picoflow` as a real process, its output kept in files so that no pipe can fill up.
final class PicoFlowProcess {
    struct Ending: CustomStringConvertible {
        /// Exit code; nil where a signal ended it.
        var code: Int32?
        var signal: Int32?
        var output: String
        var errors: String

        var description: String {
            (code.map { "exit code \($0)" } ?? "signal \(signal ?? 0)") + "\n" + output + errors
        }
        /// What went wrong as the user reads it: the last line of standard error.
        var message: String { errors.split(whereSeparator: \.isNewline).last.map(String.init) ?? "" }
    }

    let pid: Int32
    private let arguments: [String]
    private let out: String
    private let err: String
    /// As `waitpid` has it; nil while the process runs.
    private var status: Int32?

    /// Standard output so far.
    var output: String { (try? String(contentsOfFile: out, encoding: .utf8)) ?? "" }
    /// Standard error so far.
    var errors: String { (try? String(contentsOfFile: err, encoding: .utf8)) ?? "" }

    /// - Parameters:
    ///   - folder: keeps the output, and is the working directory.
    ///   - environment: over this process's own.
    ///   - name: which of the executables, or another program's path.
    init(
        _ arguments: [String], program name: String = "picoflow", in folder: TemporaryFolder,
        environment: [String: String] = [:]
    ) throws {
        self.arguments = arguments
        let output = "output-\(UUID().uuidString)"
        out = folder(output + ".out")
        err = folder(output + ".err")

        pid = try Self.spawn(
            arguments, program: name, in: folder, environment: environment, input: "/dev/null", output: out, errors: err
        )
    }

    /// Starts an executable with files, or a terminal, for its standard streams.
    static func spawn(
        _ arguments: [String], program name: String = "picoflow", in folder: TemporaryFolder,
        environment: [String: String], input: String, output: String, errors: String
    ) throws -> pid_t {
        var files = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&files)
        defer { posix_spawn_file_actions_destroy(&files) }
        posix_spawn_file_actions_addopen(&files, 0, input, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&files, 1, output, O_WRONLY | O_CREAT, 0o644)
        posix_spawn_file_actions_addopen(&files, 2, errors, O_WRONLY | O_CREAT, 0o644)
        // Threads that run tests block signals, and a child would inherit that.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))

        let program = try name.hasPrefix("/") ? name : executables() + "/" + name
        // Defaults for options that somebody has set for runs of his own are none of the tests'.
        let own = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("PICOFLOW_") }
        let variables = own.merging(environment) { $1 }
        // The shell only changes the folder: what it executes keeps its process id.
        let shell = ["/bin/sh", "-c", "cd \"$0\" && exec \"$@\"", folder.path, program]
        var words = (shell + arguments).map { strdup($0) } + [nil]
        var settings = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in words + settings { free(text) } }
        var child: pid_t = 0
        let error = posix_spawn(&child, shell[0], &files, &attributes, &words, &settings)
        guard error == 0 else { throw Trouble("cannot start \(program): \(String(cString: strerror(error)))") }
        return child
    }

    deinit {
        guard isRunning else { return }
        kill(pid, SIGKILL)
        waitpid(pid, nil, 0)
    }

    var isRunning: Bool {
        if status == nil {
            var found: Int32 = 0
            if waitpid(pid, &found, WNOHANG) == pid { status = found }
        }
        return status == nil
    }

    func signal(_ number: Int32) { if isRunning { kill(pid, number) } }

    /// Waits for its end.
    ///
    /// - Throws: where it has not ended in time; it is killed then.
    func wait(_ timeout: Duration = .seconds(120)) throws -> Ending {
        guard waitUntil(timeout, { !isRunning }), let status else {
            signal(SIGKILL)
            throw Trouble("picoflow \(arguments.joined(separator: " ")) did not end in \(timeout):\n\(errors)")
        }
        let signal = status & 0x7f
        return Ending(
            code: signal == 0 ? (status >> 8) & 0xff : nil, signal: signal == 0 ? nil : signal,
            output: (try? String(contentsOfFile: out, encoding: .utf8)) ?? "", errors: errors)
    }

    /// Where the executables are: `PICOFLOW_BIN`, or beside the test bundle.
    static func executables() throws -> String {
        var candidates = [ProcessInfo.processInfo.environment["PICOFLOW_BIN"]].compactMap { $0 }
        candidates += CommandLine.arguments.map { ($0 as NSString).deletingLastPathComponent }
        candidates.append(Bundle.main.bundlePath)
        candidates.append((Bundle.main.executablePath.map { ($0 as NSString).deletingLastPathComponent }) ?? "")
        guard let found = candidates.first(where: { access($0 + "/picoflow", X_OK) == 0 }) else {
            throw Trouble("no picoflow in \(candidates); set PICOFLOW_BIN to the folder of the executables")
        }
        return found
    }
}

/// What keeps a test from going on.
struct Trouble: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
