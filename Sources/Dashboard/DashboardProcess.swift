import Basics
import Foundation
import Glibc
import Synchronization

/// The dashboard beside a launch: `picoflow dashboard` as a process of its own, so that nothing that it does or that is done
/// to it disturbs the supervisor. It ends when the launch does, however that ends.
public final class DashboardProcess: Sendable {
    /// Where it listens, with the token where that address needs one.
    public let url: String
    private let pid: pid_t
    /// The other end of its standard input: closed by the kernel when this process is gone.
    private let lifeline: Int32
    private let isOver = Ending()

    /// Starts it and waits until it listens.
    ///
    /// - Parameters:
    ///   - run: the run's directory, which may not be there yet.
    ///   - executable: `picoflow` itself.
    /// - Throws: `UserError` where the address cannot be listened at.
    public init(run: String, address: String, executable: String) throws {
        var input: [Int32] = [-1, -1]
        var output: [Int32] = [-1, -1]
        guard pipe(&input) == 0, pipe(&output) == 0 else { throw DurableFile.systemError("cannot make", "a pipe") }
        // Stages must not inherit the lifeline.
        for descriptor in input + output { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        defer {
            close(input[0])
            close(output[1])
            close(output[0])
        }
        var files = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&files)
        defer { posix_spawn_file_actions_destroy(&files) }
        posix_spawn_file_actions_adddup2(&files, input[0], 0)
        posix_spawn_file_actions_adddup2(&files, output[1], 1)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A terminal's Ctrl-C is for the launch, which takes a while to write its checkpoint.
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
        let command: [String] = [executable, "dashboard", address, "--run", run, "--launched"]
        var words = command.map { strdup($0) } + [nil]
        var settings = ProcessInfo.processInfo.environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in words + settings { free(text) } }
        var pid: pid_t = 0
        let error = posix_spawn(&pid, executable, &files, &attributes, &words, &settings)
        guard error == 0 else {
            close(input[1])
            throw UserError("cannot start \(executable): \(String(cString: strerror(error)))")
        }
        self.pid = pid
        lifeline = input[1]
        // So that its end is seen as the end of what it says.
        close(output[1])
        output[1] = -1
        let said = Self.line(from: output[0])
        guard let said, said.hasPrefix(Self.listens) else {
            close(input[1])
            waitpid(pid, nil, 0)
            throw UserError(said ?? "the dashboard ended before it listened")
        }
        url = String(said.dropFirst(Self.listens.count))
    }

    /// Whether it is told to end.
    private final class Ending: Sendable { let isAsked = Atomic(false) }

    deinit {
        isOver.isAsked.store(true, ordering: .sequentiallyConsistent)
        close(lifeline)
        waitpid(pid, nil, 0)
    }

    private static let listens = "listens at "

    /// Calls `body`, on a thread of its own, if it ends before the launch does.
    public func onEnd(_ body: @escaping @Sendable () -> Void) {
        let (pid, isOver) = (pid, isOver)
        Thread {
            var information = siginfo_t()
            while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
            if !isOver.isAsked.load(ordering: .sequentiallyConsistent) { body() }
        }.start()
    }

    private static func line(from descriptor: Int32) -> String? {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while true {
            let count = read(descriptor, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count == 1, byte != UInt8(ascii: "\n") else { break }
            bytes.append(byte)
        }
        return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }

    // MARK: In that process

    /// Serves as the process that a launch started: says on standard output where it listens, or in one line what is wrong,
    /// and ends when standard input does.
    public static func serve(run: String, at address: DashboardAddress) -> Never {
        // Training goes first; and whoever floods it fills its own memory only.
        _ = nice(10)
        var limit = rlimit(rlim_cur: 1 << 30, rlim_max: 1 << 30)
        setrlimit(__rlimit_resource_t(RLIMIT_DATA.rawValue), &limit)
        Thread {
            var byte: UInt8 = 0
            while true {
                let count = read(STDIN_FILENO, &byte, 1)
                if count == 0 || count < 0 && errno != EINTR { _exit(0) }
            }
        }.start()
        @Sendable func say(_ text: String) {
            let text = text + "\n"
            _ = text.withCString { write(STDOUT_FILENO, $0, strlen($0)) }
        }
        do {
            try DashboardServer.serve(run: run, at: address) { say(listens + $0) }
        } catch {
            say("\(error)")
            _exit(1)
        }
    }
}
