import ArgumentParser
import Configuration

/// `picoflow validate TOPOLOGY [--recipe RECIPE]`: would this launch? Checks the files and prints what they come to.
struct ValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate",
        abstract: "Check a topology and a recipe without starting anything.",
        discussion: """
            picoflow validate Pipelines/local.yaml --recipe Configs/demo/pico.yaml

            What is wrong is said with file and line: keys, values, who is wired to whom, and the programs of third-party
            stages, which are looked up from here. Without --recipe the topology alone is checked.
            """)

    @OptionGroup var topology: TopologyOptions

    @Option(
        name: .customLong("recipe"), help: ArgumentHelp("What to train: a YAML file, see Configs/.", valueName: "file"),
        completion: .file(extensions: ["yaml"]))
    var recipe: String?

    @OptionGroup var set: OverrideOptions

    @OptionGroup var output: ResultOptions

    /// What `--json` prints of files that are right.
    private struct Valid: Encodable {
        var topology: ConfigurationJSON
        var recipe: ConfigurationJSON?
        /// Processes of each stage that a launch starts.
        var starts: [String: Int]
    }

    func validate() throws {
        guard recipe != nil || set.overrides.isEmpty else { throw ValidationError("--set goes with --recipe.") }
    }

    func run() throws {
        let recipe = try recipe.map { try Recipe.resolve(path: $0, overrides: set.overrides) }
        let topology = try topology.resolve(for: recipe)
        let started = recipe.map(topology.stages(for:)) ?? topology.stages
        try output.show(
            Valid(
                topology: topology.json, recipe: recipe?.json,
                starts: Dictionary(uniqueKeysWithValues: started.map { ($0.name, $0.replicas) })),
            topology.yaml() + "# valid; starts \(started.map { "\($0.replicas) \($0.name)" }.joined(separator: ", "))")
    }
}
