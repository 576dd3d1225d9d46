import Basics
import Foundation
import TestSupport
import Testing

extension Pipeline {
    /// `picoflow top` beside a run, on a terminal of its own and without one.
    @Suite struct TopTests {
        @Test func terminalShowsScalesStopsAndIsGivenBack() throws {
            let play = try Playground()
            let run = try play.launch(["--set", "schedule.iterations=100000"])
            try play.await(step: 2, of: run)

            // Without a terminal: lines, and objects for programs.
            var report: [String: Any] = [:]
            let isTold = try waitUntil {
                let ending = try play.command("top", "--run", play.run, "--once", "--json")
                guard ending.code == 0 else { throw Trouble("top: \(ending)") }
                report = try JSONSerialization.jsonObject(with: Data(ending.output.utf8)) as? [String: Any] ?? [:]
                let links = report["links"] as? [[String: Any]] ?? []
                return links.filter { ($0["bytesPerSecond"] as? Double ?? 0) > 0 }.count == 5
            }
            #expect(isTold, "\(report["links"] ?? "no links")")
            for stage in try #require(report["stages"] as? [[String: Any]]) {
                let metrics = try #require(stage["metrics"] as? [String: Double])
                #expect(metrics["residentBytes"] ?? 0 > 1_000_000 && metrics["cpuSeconds"] ?? 0 > 0, "\(stage)")
            }
            let lines = try play.command("top", "--run", play.run, "--once")
            #expect(lines.code == 0 && lines.output.contains("loader → compute") && !lines.output.contains("\u{1b}"))

            // A terminal, on which somebody scales and leaves.
            let first = try TerminalProcess(["top", "--run", play.run, "--interval", "0.2"], of: play)
            #expect(first.shows("loader → compute") && first.shows("loader-1"))
            first.resize(columns: 40, rows: 12)
            first.press("jj")
            first.press("+")
            #expect(waitUntil { play.stages()["loader-2"] != nil }, "\(first.output)")
            #expect(first.shows("loader-2"))
            first.signal(SIGTERM)
            #expect(try first.wait() == .signal(SIGTERM))
            #expect(first.isGivenBack, "\(first.output.suffix(200))")

            // Another, on which somebody stops the run and sees its end.
            let second = try TerminalProcess(["top", "--run", play.run, "--interval", "0.2"], of: play)
            #expect(second.shows("loader → compute"))
            second.press("x")
            #expect(second.shows("y/n"))
            second.press("y")
            #expect(try second.wait() == .code(0))
            #expect(second.isGivenBack && second.output.contains("stopped, checkpoint of step"), "\(second.output)")
            #expect(try run.wait().code == 0)

            let after = try play.command("top", "--run", play.run)
            #expect(after.code == 0 && after.output.contains("stopped, checkpoint of step"), "\(after)")
            let wrong = try play.command("top", "--run", play.data)
            #expect(wrong.code == 1 && wrong.errors.split(separator: "\n").count == 1, "\(wrong)")
        }
    }

    /// A command with a pseudo-terminal for its input and output.
    private final class TerminalProcess {
        enum End: Equatable { case code(Int32), signal(Int32) }

        private let master: Int32
        private let slave: Int32
        private let pid: pid_t
        private let before: [UInt8]
        private var bytes: [UInt8] = []
        var output: String { String(decoding: bytes, as: UTF8.self) }

        init(_ arguments: [String], of play: Playground) throws {
            // As posix_openpt, unlockpt and ptsname do, which Swift does not see.
            master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
            var (isLocked, number): (Int32, UInt32) = (0, 0)
            let (setLock, getNumber): (UInt, UInt) = (0x4004_5431, 0x8004_5430)  // TIOCSPTLCK, TIOCGPTN
            guard master >= 0, ioctl(master, setLock, &isLocked) == 0, ioctl(master, getNumber, &number) == 0 else {
                throw Trouble("there is no terminal to be had")
            }
            let path = "/dev/pts/\(number)"
            // Kept open, so that the terminal and its settings outlive the command.
            slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
            before = Self.settings(of: slave)
            var size = winsize(ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0)
            _ = ioctl(master, UInt(TIOCSWINSZ), &size)
            pid = try PicoFlowProcess.spawn(
                arguments, in: play.folder, environment: play.environment.merging(["TERM": "xterm"]) { $1 },
                input: path,
                output: path, errors: path)
            _ = fcntl(master, F_SETFL, O_NONBLOCK)
        }

        deinit {
            if kill(pid, 0) == 0 {
                kill(pid, SIGKILL)
                waitpid(pid, nil, 0)
            }
            close(master)
            close(slave)
        }

        /// Whether the other screen was left, the cursor is back, and keys are read as before.
        var isGivenBack: Bool {
            drain()
            return output.contains("\u{1b}[?1049h") && output.contains("\u{1b}[?25h\u{1b}[?1049l")
                && Self.settings(of: slave) == before
        }

        func press(_ keys: String) { _ = Array(keys.utf8).withUnsafeBytes { write(master, $0.baseAddress, $0.count) } }

        func resize(columns: UInt16, rows: UInt16) {
            var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
            _ = ioctl(master, UInt(TIOCSWINSZ), &size)
            // The kernel tells the terminal's own session only, which a test must not join.
            signal(SIGWINCH)
        }

        func signal(_ number: Int32) { kill(pid, number) }

        /// Waits until a text has been shown.
        func shows(_ text: String) -> Bool {
            waitUntil {
                drain()
                return output.contains(text)
            }
        }

        func wait() throws -> End {
            var status: Int32 = 0
            let hasEnded = waitUntil {
                // What it writes must be read, or it waits for that.
                drain()
                return waitpid(pid, &status, WNOHANG) == pid
            }
            guard hasEnded else { throw Trouble("top did not end:\n\(output)") }
            drain()
            return status & 0x7f == 0 ? .code((status >> 8) & 0xff) : .signal(status & 0x7f)
        }

        private func drain() {
            var chunk = [UInt8](repeating: 0, count: 4096)
            while true {
                let count = read(master, &chunk, chunk.count)
                guard count > 0 else { return }
                bytes += chunk[..<count]
            }
        }

        private static func settings(of descriptor: Int32) -> [UInt8] {
            var settings = termios()
            tcgetattr(descriptor, &settings)
            return withUnsafeBytes(of: settings) { Array($0) }
        }
    }
}
