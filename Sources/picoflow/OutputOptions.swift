import ArgumentParser
import Basics
import Foundation
import StageKit
import Supervisor

/// `--json`, wherever a command prints a result.
struct ResultOptions: ParsableArguments {
    @Flag(help: "Print the result as JSON, and nothing else on standard output.")
    var json = false

    /// Prints a result in the form that was asked for.
    ///
    /// - Parameters:
    ///   - result: for programs; worked out for them only.
    ///   - text: the same for people.
    func show(
        _ result: @autoclosure () throws -> some Encodable, _ text: @autoclosure () throws -> String,
        terminator: String = "\n"
    ) throws {
        if json { print(try result().prettyJSON()) } else { print(try text(), terminator: terminator) }
    }
}

/// `--json` and `--quiet`, wherever a command works long before it prints its result.
struct OutputOptions: ParsableArguments {
    @OptionGroup var result: ResultOptions

    @Flag(help: "Print warnings, errors and the result only.")
    var quiet = false

    var json: Bool { result.json }

    /// A counter that says nothing where the command shall be quiet.
    func progress(_ verb: String) -> WorkProgress { WorkProgress(verb, quiet: quiet) }

    /// For `picoflow-evaluator`, which does some of the work.
    var arguments: [String] { (json ? ["--json", "yes"] : []) + (quiet ? ["--quiet", "yes"] : []) }

    /// How a run shows where it is: as a block that changes on a terminal, as lines elsewhere.
    var display: any ProgressDisplay { standardErrorIsScreen ? display(TerminalDisplay()) : lines }

    /// The same as lines in any case.
    var lines: any ProgressDisplay { display(LineDisplay()) }

    private func display(_ shown: any ProgressDisplay) -> any ProgressDisplay {
        DetachedDisplay(quiet ? QuietDisplay() : shown)
    }
}

extension LogLevel: ExpressibleByArgument {}

/// `--log-level`, wherever stages are started.
struct LogOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "How much the stages' logs say; what PICOFLOW_LOG says, or info, where missing.", valueName: "level"))
    var logLevel: LogLevel?

    /// This process's environment, in which stages log as much as was asked for.
    ///
    /// - Throws: `UserError` where `PICOFLOW_LOG` says what is no level.
    func environment() throws -> (SupervisorRunner.Environment, LogLevel) {
        var environment = try SupervisorRunner.Environment.ofThisProcess()
        if let logLevel { environment.variables[LogLevel.variable] = logLevel.rawValue }
        return (environment, try .from(environment.variables))
    }
}
