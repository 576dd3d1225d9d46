import ArgumentParser
import Basics
import Foundation

/// The command line: one file per command, each a thin shell over the libraries.
@main
struct PicoFlow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "picoflow",
        abstract: "Trains segmentation networks by cross-image pixel contrast, as a dataflow of processes.",
        subcommands: [
            LaunchCommand.self, SweepCommand.self, StatusCommand.self, TopCommand.self, DashboardCommand.self,
            ScaleCommand.self, SwapCommand.self, StopCommand.self, JoinCommand.self, KeysCommand.self,
            EvalCommand.self, ReportCommand.self, PredictCommand.self, ExportCommand.self, ImportCommand.self,
            ModelsCommand.self, RecipeCommand.self, RecipesCommand.self,
            SchemaCommand.self, InitCommand.self, DoctorCommand.self,
            ValidateCommand.self, GraphCommand.self, RenderCommand.self, DataCommand.self,
        ])

    /// Runs the command that the arguments name.
    ///
    /// What goes wrong is one line on standard error, `picoflow: …`, and exit code 1; a command line that cannot be
    /// parsed shows its usage and exits with 64, as the argument parser has it.
    static func main() {
        fillStandardDescriptors()
        do {
            var command = try parseAsRoot()
            try command.run()
            try flushStandardOutput()
        } catch {
            // Codes that a command chose itself, help and usage errors are the parser's to show.
            if error is ExitCode || exitCode(for: error) != .failure { exit(withError: error) }
            writeToStandardError("picoflow: \(errorLine(error))\n")
            exit(withError: ExitCode.failure)
        }
    }
}
