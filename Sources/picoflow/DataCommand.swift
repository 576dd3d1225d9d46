import ArgumentParser
import Basics
import Configuration
import Datasets
import Foundation

/// `picoflow data …`: what concerns datasets and starts nothing.
struct DataCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "data", abstract: "Check a dataset, or make a synthetic one.",
        subcommands: [Check.self, Synthesize.self])

    /// `picoflow data check RECIPE`: reads every file before a run depends on it.
    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "check",
            abstract: "Read every image and label map of a recipe's dataset and report what is wrong.",
            discussion: """
                picoflow data check Configs/demo/pico.yaml
                picoflow data check Configs/camvid/quick-pico.yaml --set dataset.root=/data/camvid --json

                Exits with 1 where it found problems.
                """)

        @Argument(
            help: ArgumentHelp("The recipe whose dataset is read.", valueName: "recipe"),
            completion: .file(extensions: ["yaml"]))
        var recipe: String
        @OptionGroup var set: OverrideOptions
        @OptionGroup var output: OutputOptions

        func run() throws {
            let settings = try Recipe.resolve(path: recipe, overrides: set.overrides).dataset
            let report = try DataCheck.run(settings, progress: output.progress("checked").show)
            try output.result.show(report, report.text())
            if report.hasProblems { throw ExitCode.failure }
        }
    }

    /// `picoflow data synthesize DIR`
    struct Synthesize: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "synthesize",
            abstract: "Draw a deterministic dataset of small street scenes into a new folder.",
            discussion: """
                picoflow data synthesize demo-data
                picoflow data synthesize tiny --width 64 --height 48 --train 8 --val 2
                """)

        @Argument(help: ArgumentHelp("A new or empty folder.", valueName: "dir"), completion: .directory)
        var folder: String
        @Option(help: "Equal seeds draw equal files.")
        var seed: UInt64 = 0
        @Option(help: "Width of the images in pixels.")
        var width = Synthesizer.Options().width
        @Option(help: "Height of the images in pixels.")
        var height = Synthesizer.Options().height
        @Option(help: "Images to train on.")
        var train = Synthesizer.Options().train
        @Option(help: "Images to evaluate on.")
        var val = Synthesizer.Options().val
        @OptionGroup var output: OutputOptions

        func run() throws {
            var options = Synthesizer.Options()
            options.seed = seed
            options.width = width
            options.height = height
            options.train = train
            options.val = val
            let report = try Synthesizer.write(to: folder, options: options, progress: output.progress("drew").show)
            try output.result.show(report, report.text)
        }
    }
}
