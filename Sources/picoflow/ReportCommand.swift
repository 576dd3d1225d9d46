import ArgumentParser
import Basics
import Foundation
import Report
import Supervisor

/// `picoflow report`: one HTML page on a run, or on several beside each other.
struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Write an HTML page on a run: curves, classes, images, what was run; several runs are compared.",
        discussion: """
            picoflow report runs/pico-1                             # writes runs/pico-1/report.html
            picoflow report runs/ce-1 runs/pico-1 --to compare.html

            The page is one file that loads nothing else. It shows a run as it is: also one that is being trained, that \
            failed, or that was never evaluated.
            """)

    @Argument(
        help: ArgumentHelp("Run directories; the newest one under runs/ where missing.", valueName: "run"),
        completion: .directory)
    var runs: [String] = []

    @Option(
        help: ArgumentHelp(
            "The page's file; RUN/report.html where missing, and report.html for several runs.", valueName: "file"),
        completion: .file())
    var to: String?

    @OptionGroup var output: ResultOptions

    /// What `--json` prints.
    private struct Written: Encodable {
        var runs: [String]
        var file: String
    }

    func run() throws {
        var paths = runs
        if paths.isEmpty {
            guard let newest = RunDirectory.newest(in: "runs") else {
                throw UserError("there is no run under runs/; name one")
            }
            paths = [newest]
        }
        if let to { try ExportCommand.checkWritable(to) }
        let page = try ReportPage(runs: paths).html
        let file = to ?? (paths.count == 1 ? paths[0] + "/report.html" : "report.html")
        try DurableFile.write(page, to: file)
        try output.show(Written(runs: paths, file: file), file)
    }
}
