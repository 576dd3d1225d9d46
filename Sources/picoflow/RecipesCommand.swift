import ArgumentParser
import Basics
import Configuration
import Foundation
import StageKit
import Supervisor

/// `picoflow recipes [FOLDER] [--check]`: what there is to train, and whether all of it could be.
struct RecipesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recipes",
        abstract: "List recipes with dataset, network, loss and iterations; --check builds their networks too.",
        discussion: """
            picoflow recipes
            picoflow recipes Configs/cityscapes --check
            picoflow recipes --check --set dataset.root=/data/camvid Configs/camvid

            Files in folders called parts are what recipes are put together from, and are not listed. Exits with 1 where a \
            recipe is wrong or its network cannot be built; a dataset that is not there is only said.
            """)

    @Argument(
        help: ArgumentHelp("The folder of recipes; PicoFlow's Configs where missing.", valueName: "folder"),
        completion: .directory)
    var folder: String?

    @Flag(help: "Also build each network and look for each dataset.")
    var check = false

    @OptionGroup var set: OverrideOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let folder = try folder ?? Self.shipped()
        let entries = try RecipeFolder(folder, overrides: set.overrides).entries
        var report = RecipesReport(folder: folder, entries: entries)
        if check {
            let questions = report.questions
            let said = try EvaluatorJob.ask(
                ["networks"] + (output.quiet ? ["--quiet", "yes"] : []), input: JSONEncoder().encode(questions))
            let answers = try JSONDecoder().decode([NetworkAnswer].self, from: said)
            guard answers.count == questions.count else {
                throw UserError(
                    "picoflow-evaluator is of another version: it answered \(answers.count) of \(questions.count) questions"
                )
            }
            report.check(networks: Dictionary(uniqueKeysWithValues: zip(questions, answers)))
        }
        try output.result.show(report.facts, report.text)
        if report.isBroken { throw ExitCode.failure }
    }

    /// `Configs` here, or above the folder of the executables, as in a clone of the repository.
    private static func shipped() throws -> String {
        if isFolder("Configs") { return "Configs" }
        var above = URL(fileURLWithPath: try SupervisorRunner.Environment.ofThisProcess().executables)
        while above.path != "/" {
            above.deleteLastPathComponent()
            let configs = above.appendingPathComponent("Configs").path
            if isFolder(configs) { return configs }
        }
        throw UserError("there is no folder Configs here, nor above picoflow's own; name the folder of recipes")
    }
}
