import ArgumentParser
import Configuration

/// `picoflow recipe RECIPE`: what a recipe comes to once its parts, its keys and the overrides are put together.
struct RecipeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recipe",
        abstract: "Print a recipe with all its settings.",
        discussion: """
            picoflow recipe Configs/demo/pico.yaml --set schedule.batch=4
            picoflow recipe --keys

            The output is a recipe itself: saved to a file, it trains the same.
            """)

    @Argument(
        help: ArgumentHelp("A YAML file, see Configs/.", valueName: "recipe"), completion: .file(extensions: ["yaml"]))
    var path: String?

    @OptionGroup var set: OverrideOptions

    @Flag(help: "List every key with its default and its meaning instead.")
    var keys = false

    @OptionGroup var output: ResultOptions

    func validate() throws {
        guard keys != (path != nil) else { throw ValidationError("Give a recipe or --keys.") }
    }

    func run() throws {
        if let path {
            let recipe = try Recipe.resolve(path: path, overrides: set.overrides)
            try output.show(recipe.json, recipe.yaml(), terminator: "")
        } else {
            try output.show(
                Recipe.keys.map(Key.init), Recipe.keys.map { Self.line(for: $0) + "\n" }.joined(), terminator: "")
        }
    }

    /// A key as `--json` has it.
    private struct Key: Encodable {
        var key: String
        /// As YAML.
        var `default`: String
        var meaning: String
        /// Each completes "must be …".
        var rules: [String]

        init(_ key: KeyDescription) {
            self.key = key.path
            `default` = key.defaultValue
            meaning = key.summary
            rules = ["\(key.shape)"] + key.rules
        }
    }

    private static func line(for key: KeyDescription) -> String {
        let constraints = (["\(key.shape)"] + key.rules).joined(separator: "; ")
        return "\(key.path): \(key.defaultValue)\n    \(key.summary) (\(constraints))"
    }
}
