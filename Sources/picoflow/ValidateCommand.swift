import ArgumentParser
import Configuration

/// `picoflow validate TOPOLOGY --recipe RECIPE`: would this launch? Checks both files and prints what they come to.
struct ValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate",
        abstract: "Check a topology and a recipe without starting anything.")

    @OptionGroup var topology: TopologyOptions
    @OptionGroup var recipe: RecipeOptions

    func run() throws {
        let recipe = try recipe.resolve()
        let topology = try topology.resolve(for: recipe)
        print(try topology.yaml(), terminator: "")
        let started = topology.stages(for: recipe).map { "\($0.replicas) \($0.name)" }
        print("# valid; starts \(started.joined(separator: ", "))")
    }
}
