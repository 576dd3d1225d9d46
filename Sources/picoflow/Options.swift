import ArgumentParser
import Configuration

/// `--set KEY=VALUE`, wherever a recipe is read.
struct OverrideOptions: ParsableArguments {
    @Option(
        name: .customLong("set"), parsing: .singleValue,
        help: ArgumentHelp(
            "Override a recipe key: schedule.batch=4, model.atrousRates=[6,12,18]; or take another of the recipe's parts: model=NAME or FILE, as loss=ce. Repeatable, in order.",
            valueName: "key=value"))
    var overrides: [String] = []
}

/// `--recipe FILE [--set KEY=VALUE]…`
struct RecipeOptions: ParsableArguments {
    @Option(
        name: .customLong("recipe"), help: ArgumentHelp("What to train: a YAML file, see Configs/.", valueName: "file"),
        completion: .file(extensions: ["yaml"]))
    var path: String

    @OptionGroup var set: OverrideOptions

    func resolve() throws -> Recipe { try Recipe.resolve(path: path, overrides: set.overrides) }
}

/// `--stage NAME=COUNT`, wherever a topology is read.
struct StageOptions: ParsableArguments {
    @Option(
        name: .customLong("stage"), parsing: .singleValue,
        help: ArgumentHelp("Run so many replicas of a stage: loader=3. Repeatable.", valueName: "name=count"))
    var replicas: [String] = []
}

/// `TOPOLOGY [--stage NAME=COUNT]…`
struct TopologyOptions: ParsableArguments {
    @Argument(
        help: ArgumentHelp("Where to train: a YAML file, see Pipelines/.", valueName: "topology"),
        completion: .file(extensions: ["yaml"]))
    var path: String

    @OptionGroup var stage: StageOptions

    /// - Parameters:
    ///   - recipe: what will be trained, so that stages it needs are missed before anything starts.
    ///   - programs: where third-party programs are looked up; nil looks up none.
    func resolve(for recipe: Recipe?, programs: ThirdPartyPrograms? = .ofThisProcess()) throws -> Topology {
        try Topology.resolve(path: path, replicas: stage.replicas, recipe: recipe, programs: programs)
    }
}
