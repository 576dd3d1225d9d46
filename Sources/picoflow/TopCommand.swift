import ArgumentParser
import Basics
import Foundation
import Supervisor

/// `picoflow top`: what a run does, kept up to date.
struct TopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top", abstract: "Watch a run: its processes, its links, its progress.",
        discussion: """
            picoflow top
            picoflow top --run runs/quick-pico-1
            picoflow top --once --json | jq '.links[] | select(.label == "samples")'

            On a terminal, arrows choose a stage, + and - scale it, s swaps the miners' settings, x stops the run, q quits.
            Elsewhere it prints lines until the run ends.
            """)

    @OptionGroup var directory: LiveRunOptions

    @Flag(help: "Print the state once and exit.")
    var once = false

    @Flag(help: "Print one JSON object per line, as of 'picoflow status --json'.")
    var json = false

    @Option(help: ArgumentHelp("Between two looks; 1 on a terminal, 10 elsewhere.", valueName: "seconds"))
    var interval: Double?

    func validate() throws {
        if let interval, !(0.1...3600).contains(interval) {
            throw ValidationError("--interval \(interval): 0.1 to 3600 seconds can be waited.")
        }
    }

    func run() throws {
        let path = try directory.resolve()
        if !once, !json, Top.hasTerminal {
            try Top.fill(run: path, interval: .seconds(interval ?? 1))
        } else {
            try Top.print(run: path, once: once, json: json, interval: .seconds(interval ?? 10))
        }
    }
}
