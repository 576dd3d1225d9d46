import ArgumentParser
import Basics
import Foundation
import Supervisor

/// `picoflow stop`: ends a run as Ctrl-C does, with a checkpoint, and waits for that.
struct StopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "Stop a run after its step in hand, with a checkpoint.",
        discussion: """
            picoflow stop
            picoflow stop --run runs/pico-1

            `picoflow launch --resume DIR` goes on from there.
            """)

    @OptionGroup var directory: LiveRunOptions

    @Flag(help: "Do not wait for the run's end.")
    var noWait = false

    @OptionGroup var output: ResultOptions

    /// What `--json` prints.
    private struct Ending: Encodable {
        var run: String
        /// `stopping` with `--no-wait`, else `stopped`.
        var outcome: String
        /// Step of the newest one; not there while the run is stopping.
        var checkpoint: UInt64?
    }

    func run() throws {
        let path = try directory.resolve()
        _ = try ControlClient(run: path).ask(.stop)
        if noWait { return try output.show(Ending(run: path, outcome: "stopping"), "\(path) is stopping") }
        // The supervisor bounds each stage's time to end, so this ends too.
        while RunDirectory.isLive(path) { usleep(100_000) }
        let report = try StatusReport.ofEndedRun(path, iterations: 0)
        guard let outcome = report.outcome, !outcome.hasPrefix("failed") else {
            throw UserError("\(path) did not stop as asked: \(report.outcome ?? "its supervisor has died")")
        }
        try output.show(
            Ending(run: path, outcome: "stopped", checkpoint: report.checkpoint),
            "\(path) stopped"
                + (report.checkpoint.map { " with a checkpoint at step \($0)" } ?? " without a checkpoint"))
    }
}
