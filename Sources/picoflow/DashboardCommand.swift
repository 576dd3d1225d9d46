import ArgumentParser
import Basics
import Dashboard
import Foundation
import Supervisor

/// `picoflow dashboard`: a page that shows a run, at work or not.
struct DashboardCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dashboard", abstract: "Serve a page that shows a run and steers it.",
        discussion: """
            picoflow dashboard
            picoflow dashboard 9000 --run runs/quick-pico-1
            picoflow dashboard 0.0.0.0:8642 --run runs/quick-pico-1

            The page shows topology, curves, pictures, memory and logs, and scales, swaps and stops; /metrics is for
            Prometheus. On 127.0.0.1 whoever uses this machine can open it. On any other address it needs the token in the
            URL that is printed, or in a header 'Authorization: Bearer TOKEN'; HTTP is not encrypted, so over a network
            that others listen to an ssh tunnel is better. 'picoflow launch --dashboard' serves it with a run.
            """)

    @Argument(help: ArgumentHelp("A port, or ADDRESS:PORT.", valueName: "port"))
    var address = DashboardAddress.defaultPort

    @Option(
        name: .customLong("run"),
        help: ArgumentHelp("The run's directory; the newest one under runs/ where missing.", valueName: "dir"),
        completion: .directory)
    var directory: String?

    @OptionGroup var output: ResultOptions

    /// What `--json` prints once the page is served.
    private struct Page: Encodable {
        var run: String
        var url: String
    }

    /// As a process of `picoflow launch`.
    @Flag(help: .hidden)
    var launched = false

    func run() throws {
        let address = try DashboardAddress(address)
        if launched, let directory { DashboardProcess.serve(run: directory, at: address) }
        guard let run = directory ?? RunDirectory.newest(in: "runs") else {
            throw UserError("there is no run under runs/; name one by --run")
        }
        // A wrong directory is an error here, not on the page.
        _ = try StatusReport.now(ofRun: run)
        let path = try RunDirectory.absolute(run)
        try DashboardServer.serve(run: path, at: address) { url in
            // Two texts are always JSON.
            try? output.show(Page(run: path, url: url), "\(run) at \(url)")
            fflush(nil)
        }
    }
}
