import ArgumentParser
import Configuration

extension ConfigurationSchema: ExpressibleByArgument {}

/// `picoflow schema recipe|topology`: what editors complete and check YAML files by.
struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema",
        abstract: "Print the JSON Schema of recipes or of topologies, for editors.",
        discussion: """
            picoflow schema recipe > recipe.schema.json
            picoflow schema topology > topology.schema.json

            Editors with yaml-language-server (VS Code, Neovim, Emacs, Helix) complete and check a file that begins with \
            the line `# yaml-language-server: $schema=recipe.schema.json`, its path being relative to the file.
            """)

    @Argument(help: "What the schema is of.")
    var kind: ConfigurationSchema

    func run() { print(kind.json) }
}
