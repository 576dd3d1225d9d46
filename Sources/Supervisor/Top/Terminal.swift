import Basics
import Foundation
import Glibc
import Synchronization
import Wire

/// The terminal of standard input and output, taken over for a view that fills it, and given back as it was.
///
/// Belongs to one thread.
final class Terminal {
    private var before = termios()
    private var isTaken = false

    /// Nil where there is no terminal on either side, or one that cannot move its cursor.
    init?() {
        guard isatty(STDIN_FILENO) == 1, isatty(STDOUT_FILENO) == 1, getenv("TERM").map({ strcmp($0, "dumb") }) != 0,
            tcgetattr(STDIN_FILENO, &before) == 0
        else { return nil }
    }

    deinit { giveBack() }

    /// Switches to the other screen, without a cursor; keys come as they are pressed and are not shown, Ctrl-C among them.
    func take() {
        var raw = before
        raw.c_lflag &= ~UInt32(ICANON | ECHO | ISIG | IEXTEN)
        raw.c_iflag &= ~UInt32(IXON | ICRNL)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw)
        isTaken = true
        write("\u{1b}[?1049h\u{1b}[?25l\u{1b}[2J")
    }

    func giveBack() {
        guard isTaken else { return }
        isTaken = false
        write("\u{1b}[?25h\u{1b}[?1049l")
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before)
    }

    /// In characters; 80 by 24 as far as the descriptor's terminal does not say.
    static func size(of descriptor: Int32) -> (width: Int, height: Int) {
        var size = winsize()
        _ = ioctl(descriptor, UInt(TIOCGWINSZ), &size)
        return (size.ws_col > 0 ? Int(size.ws_col) : 80, size.ws_row > 0 ? Int(size.ws_row) : 24)
    }

    /// Draws a whole screen over the last one, in one write, so that nothing flickers.
    ///
    /// - Returns: false where the terminal is gone.
    @discardableResult func draw(_ lines: [TopLines.Line]) -> Bool {
        let rows = lines.map { line in
            let code: String? =
                switch line.style {
                case .plain: nil
                case .title: "1"
                case .header: "4"
                case .selected: "7"
                case .faint: "2"
                case .warning: "33"
                }
            return (code.map { "\u{1b}[\($0)m\(line.text)\u{1b}[0m" } ?? line.text) + "\u{1b}[K"
        }
        return write("\u{1b}[H" + rows.joined(separator: "\r\n") + "\u{1b}[J")
    }

    /// The keys that were pressed; nil where no more will come.
    func keys() -> [TerminalKey]? {
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = read(STDIN_FILENO, &bytes, bytes.count)
        if count > 0 { return TerminalKey.parse(Array(bytes[..<count])) }
        return count < 0 && (errno == EINTR || errno == EAGAIN) ? [] : nil
    }

    @discardableResult private func write(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            (try? DurableFile.writeAll(UnsafeRawBufferPointer(bytes), to: STDOUT_FILENO, path: "the terminal")) != nil
        }
    }
}

/// Signals that concern a full-screen view, as wakeups of its loop. One per process.
final class TerminalSignals {
    /// A bit per signal that came, set by the handler; word-sized atomics are safe there.
    private static let pending = Atomic<UInt>(0)
    private static let descriptor = Atomic<Int32>(-1)
    /// Those that end the program, and the one of another size.
    private static let watched = [SIGINT, SIGTERM, SIGHUP, SIGWINCH]

    init(wakeup: Wakeup) {
        Self.descriptor.store(wakeup.descriptor, ordering: .sequentiallyConsistent)
        for number in Self.watched {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { number in
                let saved = errno
                TerminalSignals.pending.bitwiseOr(1 << UInt(number), ordering: .sequentiallyConsistent)
                var one: UInt64 = 1
                _ = write(TerminalSignals.descriptor.load(ordering: .sequentiallyConsistent), &one, 8)
                errno = saved
            }
            action.sa_flags = SA_RESTART
            sigaction(number, &action, nil)
        }
    }

    /// The signal that asks the program to end, if one came.
    func takeEnd() -> Int32? {
        let signals = Self.pending.exchange(0, ordering: .sequentiallyConsistent)
        return [SIGINT, SIGTERM, SIGHUP].first { signals & (1 << UInt($0)) != 0 }
    }

    /// Ends the process as the signal would have without us.
    func end(by number: Int32) -> Never {
        signal(number, SIG_DFL)
        raise(number)
        _exit(128 + number)
    }
}
