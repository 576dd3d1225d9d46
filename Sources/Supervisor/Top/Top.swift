import Basics
import Foundation
import Glibc
import StageKit
import Wire

/// `picoflow top`: the view of a run that keeps itself up to date.
public enum Top {
    /// Prints the run's state as lines, again and again until the run ends.
    ///
    /// - Parameters:
    ///   - once: prints it one time.
    ///   - json: one object per line instead.
    /// - Throws: `UserError` where the run cannot be asked, or where its supervisor dies.
    public static func print(run path: String, once: Bool, json: Bool, interval: Duration) throws {
        var isFirst = true
        var trouble: String?
        while true {
            do {
                let report = try StatusReport.now(ofRun: path)
                if json {
                    line(String(decoding: try report.wireJSON(), as: UTF8.self))
                } else {
                    if !isFirst { line("") }
                    for text in TopLines.all(report, width: .max) { line(text.text) }
                }
                isFirst = false
                if once { return }
                if report.phase == .ended {
                    guard report.outcome == nil else { return }
                    throw UserError(
                        "the supervisor of \(path) is gone; go on with: picoflow launch --resume \(shellWord(path))")
                }
            } catch let error as UserError {
                // A run that just ended, or begins, is no run that answers; the next look knows more.
                guard !once, RunDirectory.isLive(path) else { throw error }
                if trouble != error.description { writeToStandardError("picoflow: \(error)\n") }
                trouble = error.description
            }
            usleep(UInt32(interval / .microseconds(1)))
        }
    }

    private static func line(_ text: String) {
        Swift.print(text)
        showStandardOutput()
    }

    /// Whether there is a terminal to fill.
    public static var hasTerminal: Bool { Terminal() != nil }

    /// Fills the terminal until the user quits or the run ends.
    ///
    /// - Throws: `UserError` where there is no terminal, or nothing can be known of the run.
    public static func fill(run path: String, interval: Duration) throws {
        guard let terminal = Terminal() else { throw UserError("standard output is no terminal") }
        // A wrong directory is one line, not a screen.
        if !RunDirectory.isLive(path) { _ = try StatusReport.now(ofRun: path) }
        let inbox = Inbox<TopScreen.Event>()
        let signals = TerminalSignals(wakeup: inbox.wakeup)
        terminal.take()
        defer { terminal.giveBack() }
        watch(path, interval, inbox)
        var screen = TopScreen()
        while true {
            let size = Terminal.size(of: STDOUT_FILENO)
            guard terminal.draw(screen.lines(width: size.width, height: size.height)) else { return }
            var descriptors = [
                pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0),
                pollfd(fd: inbox.wakeup.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            _ = poll(&descriptors, 2, 1000)
            inbox.wakeup.clear()
            if let number = signals.takeEnd() {
                terminal.giveBack()
                signals.end(by: number)
            }
            var actions = inbox.take().flatMap { screen.handle($0) }
            if descriptors[0].revents != 0 {
                guard let keys = terminal.keys() else { return }
                actions += keys.flatMap { screen.handle(.key($0)) }
            }
            for action in actions {
                switch action {
                case .ask(let request, let said): ask(request, said, path, inbox)
                case .suspend:
                    terminal.giveBack()
                    kill(getpid(), SIGSTOP)
                    terminal.take()
                case .quit: return
                }
            }
            if screen.isOver, let report = screen.report {
                terminal.giveBack()
                for text in TopLines.all(report, width: size.width) { line(text.text) }
                return
            }
        }
    }

    /// Looks at the run once per interval, on a thread of its own: a supervisor that does not answer must not keep keys
    /// from being heard.
    private static func watch(_ path: String, _ interval: Duration, _ inbox: Inbox<TopScreen.Event>) {
        let thread = Thread {
            var hasEnded = false
            while true {
                // Of a run that has ended nothing new is to be heard until somebody resumes it.
                if !hasEnded || RunDirectory.isLive(path) {
                    do {
                        let report = try StatusReport.now(ofRun: path)
                        hasEnded = report.phase == .ended
                        inbox.put(.report(report))
                    } catch {
                        inbox.put(.silence(errorLine(error)))
                    }
                }
                usleep(UInt32(interval / .microseconds(1)))
            }
        }
        thread.name = "top"
        thread.start()
    }

    private static func ask(
        _ request: ControlClient.Request, _ said: String, _ path: String, _ inbox: Inbox<TopScreen.Event>
    ) {
        Thread {
            do {
                inbox.put(.report(try ControlClient(run: path).ask(request, timeout: request.patience)))
                inbox.put(.done(said))
            } catch {
                inbox.put(.refused(errorLine(error)))
            }
        }.start()
    }
}
