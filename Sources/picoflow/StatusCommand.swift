import ArgumentParser
import Basics
import Foundation
import Supervisor

/// `--run DIR`, or the newest run under `runs/` that is at work.
struct LiveRunOptions: ParsableArguments {
    @Option(
        name: .customLong("run"),
        help: ArgumentHelp("The run's directory; the newest live one under runs/ where missing.", valueName: "dir"),
        completion: .directory)
    var directory: String?

    func resolve() throws -> String {
        if let directory { return directory }
        guard let newest = RunDirectory.newestLive(in: "runs") else {
            throw UserError("no run under runs/ is at work; name one by --run")
        }
        return newest
    }
}

/// `picoflow status`: what a run and each of its processes do now.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show what a run does now.",
        discussion: """
            picoflow status
            picoflow status --run runs/pico-1 --json
            """)

    @OptionGroup var directory: LiveRunOptions

    @OptionGroup var output: ResultOptions

    func run() throws {
        let report = try StatusReport.now(ofRun: directory.resolve())
        try output.show(report, report.text)
    }
}
