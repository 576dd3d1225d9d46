import Basics
import Configuration
import Datasets
import Foundation
import Models
import Tensors

/// Says what a file of weights holds and what of it a recipe's network takes: `picoflow import` runs it once.
public enum ImportJob {
    public struct Options: Sendable, Equatable {
        public var file: String
        /// The recipe that names the network; without one, all networks are compared with the file.
        public var recipe: String?
        public var overrides: [String] = []
        /// Where to write what was taken over, under the network's names; nowhere where nil.
        public var output: String?
    }

    /// - Parameters:
    ///   - progress: called after each network that the file is compared with.
    ///   - report: gets a line at a time.
    /// - Returns: what the report says, for programs.
    /// - Throws: `UserError` that names the file: unreadable, damaged, or not for the recipe's network.
    @discardableResult public static func run(
        _ options: Options, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }, report: (String) -> Void
    ) throws -> ImportFacts {
        let file = try WeightFile(path: options.file)
        var facts = ImportFacts(file)
        if let recipe = options.recipe {
            facts.taken = try take(
                file, by: Recipe.resolve(path: recipe, overrides: options.overrides), options.output, report)
        } else {
            facts.tensors = file.tensors.map {
                .init(name: $0.name, shape: $0.tensor.shape, dtype: "\($0.tensor.dtype)")
            }
            facts.fits = try list(file, progress, report).map {
                .init(head: $0.head.rawValue, backbone: $0.backbone.rawValue, classes: $0.classes)
            }
        }
        return facts
    }

    private static func take(
        _ file: WeightFile, by recipe: Recipe, _ output: String?, _ report: (String) -> Void
    ) throws -> ImportFacts.Taken {
        let known = (try? Dataset.open(recipe.dataset))?.classes.count
        /// As a training makes it.
        func load(classes: Int) throws -> (network: any SegmentationNetwork, report: WeightReport) {
            let network = try Network.make(recipe.model, classes: classes, projecting: recipe.contrast.enabled)
            return (network, try network.loadPretrained(file, recipe.model))
        }
        // Where the dataset is elsewhere the file's own number is as good as any.
        var loaded = try load(classes: known ?? 2)
        var whole = loaded
        if let classes = loaded.report.fileClasses, (1...255).contains(classes), classes != known {
            // A training takes no head without its classifier, so the output has the file's own.
            whole = try load(classes: classes)
            if known == nil { loaded = whole }
        }
        let result = loaded.report
        report("network: \(recipe.model.head.rawValue) on \(recipe.model.backbone.rawValue)")
        result.lines.forEach(report)
        if known == nil { report("the recipe's dataset is not there, so its number of classes was not compared") }
        if let output {
            let taken = Set(whole.report.names)
            let state = whole.network.stateDict().renamed { taken.contains($0) ? $0 : nil }
            try Safetensors.write(state, metadata: ["format": "pt"], to: output)
            report("\(output): \(state.count) tensors written, for 'model.pretrained'")
        }
        return ImportFacts.Taken(
            head: recipe.model.head.rawValue, backbone: recipe.model.backbone.rawValue, loaded: result.names,
            values: result.values, missing: result.missing, ofOtherClasses: result.recounted.map { .init($0) },
            ofOtherHeads: result.otherHeads.map { .init($0) }, classes: result.classes,
            classesOfFile: result.fileClasses,
            ignored: result.ignored, isNumberOfClassesKnown: known != nil, output: output)
    }

    private static func list(
        _ file: WeightFile, _ progress: (_ done: Int, _ total: Int) -> Void, _ report: (String) -> Void
    ) throws -> [Network.Fitting] {
        for (name, tensor) in file.tensors { report("\(name)  \(tensor)") }
        report("\(file.path): \(file.tensors.count) tensors, \(file.tensors.elementCount) values (\(file.format))")
        if !file.besides.isEmpty { report("beside them: \(file.besides.joined(separator: ", "))") }
        let fitting = try Network.fitting(file.tensors, progress: progress)
        report(
            fitting.isEmpty
                ? "it fits none of the networks at their published width and window"
                : "it fits " + fitting.map(\.description).joined(separator: ", "))
        return fitting
    }
}

extension ImportJob.Options {
    /// Reads the words behind `import`.
    ///
    /// - Throws: `UserError` for a missing, unknown or ill-formed one.
    public init(arguments: [String]) throws {
        let words = try JobArguments(arguments, options: ["--recipe", "--set", "--output"])
        guard let file = words.rest.first, words.rest.count == 1 else { throw UserError("import takes one file") }
        self.file = file
        recipe = words["--recipe"]
        overrides = words.all("--set")
        output = words["--output"]
    }
}
