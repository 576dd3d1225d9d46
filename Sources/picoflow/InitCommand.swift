import ArgumentParser
import Basics
import Datasets
import Foundation

/// `picoflow init DIR --images FOLDER --labels FOLDER`: from one's own folders to a run in three commands.
struct InitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Write a recipe, a topology and a dataset's description for your own images and label maps.",
        discussion: """
            picoflow init mine --images photos --labels masks

            Pairs the files by their names without extension, reads all of them, and decides on classes, crop, batch and \
            splits; folders 'train' and 'val' in both are the splits, else every tenth image is for validation. Everything \
            it decides stands in the files it writes, to be changed there.
            """)

    @Argument(help: ArgumentHelp("Folder for the files.", valueName: "dir"), completion: .directory)
    var folder: String

    @Option(help: ArgumentHelp("JPEG or PNG images.", valueName: "folder"), completion: .directory)
    var images: String

    @Option(
        help: ArgumentHelp("Label maps: PNGs, grey or with a palette, whose values are classes.", valueName: "folder"),
        completion: .directory)
    var labels: String

    @OptionGroup var output: OutputOptions

    /// What `--json` prints.
    private struct Written: Encodable {
        struct Split: Encodable {
            var name: String
            var images: Int
        }
        var recipe: String
        var topology: String
        var splits: [Split]
        /// The label maps' values, a class each.
        var classes: [Int]
        var ignore: Int?
        var crop: [Int]
        var batch: Int
        var iterations: Int
        var leftOut: [String]
        var warnings: [String]

        init(_ scaffold: Scaffold, recipe: String, topology: String) {
            (self.recipe, self.topology) = (recipe, topology)
            splits = scaffold.splits.map { Split(name: $0.name, images: $0.names.count) }
            classes = scaffold.classes.map(\.value)
            (ignore, crop, batch) = (scaffold.ignore, scaffold.crop, scaffold.batch)
            (iterations, leftOut, warnings) = (scaffold.iterations, scaffold.leftOut, scaffold.warnings)
        }
    }

    func run() throws {
        // The description stands in another folder than this command does.
        let survey = try FolderSurvey(
            images: absolutePath(images), labels: absolutePath(labels), progress: output.progress("read").show)
        let scaffold = try Scaffold(survey)
        let processors = ProcessInfo.processInfo.activeProcessorCount
        let (recipe, topology) = try scaffold.write(to: folder, processors: processors)
        try output.result.show(
            Written(scaffold, recipe: recipe, topology: topology),
            """
            \(scaffold.summary)

            Name the classes in \(folder)/dataset.yaml, then:
              picoflow data check \(shellWord(recipe))
              picoflow launch \(shellWord(topology)) --recipe \(shellWord(recipe))
            """)
    }
}
