import ArgumentParser
import Basics
import Configuration
import Foundation

/// `picoflow render slurm|kubernetes|ssh TOPOLOGY --recipe R`: the run as a job of an engine that is there already.
struct RenderCommand: ParsableCommand {
    enum Engine: String, ExpressibleByArgument, CaseIterable { case slurm, kubernetes, ssh }

    static let configuration = CommandConfiguration(
        commandName: "render",
        abstract: "Write the job of a run for Slurm, Kubernetes or plain ssh.",
        discussion: """
            picoflow render slurm Pipelines/cluster.yaml --recipe Configs/camvid/deeplabv3-mobilenetv2-pico.yaml
            picoflow render kubernetes Pipelines/cluster.yaml --recipe … --image registry/picoflow:1 --out deploy

            Compute, bank, evaluators and the supervisor become the head. Loaders and miners join it from other machines where the \
            topology has 'supervisor.listen', and stay with it where it has not. Nothing is started.
            """)

    @Argument(help: "slurm, kubernetes or ssh.")
    var engine: Engine

    @OptionGroup var topology: TopologyOptions
    @OptionGroup var recipe: RecipeOptions

    @Option(
        name: .customLong("run"), help: ArgumentHelp("The run's name; the recipe's where missing.", valueName: "name"))
    var runName: String?

    @Option(help: ArgumentHelp("Folder of the files to write.", valueName: "dir"), completion: .directory)
    var out = "."

    @Option(help: ArgumentHelp("Kubernetes: the container image, with picoflow in its PATH.", valueName: "image"))
    var image: String?

    @Option(
        help: ArgumentHelp("Kubernetes: the folder of keys that goes into the Secret.", valueName: "dir"),
        completion: .directory)
    var keys: String?

    @OptionGroup var output: ResultOptions

    /// What `--json` prints.
    private struct Written: Encodable { var files: [String] }

    func validate() throws {
        guard engine == .kubernetes || (image == nil && keys == nil) else {
            throw ValidationError("--image and --keys are Kubernetes'.")
        }
        let letters = CharacterSet(charactersIn: "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
        if let runName, runName.isEmpty || !runName.unicodeScalars.allSatisfy(letters.contains) {
            throw ValidationError("--run \(runName): a name of letters, digits, '-', '_' and '.' was expected.")
        }
    }

    func run() throws {
        let recipe = try recipe.resolve()
        // Programs are the other machines'.
        let topology = try topology.resolve(for: recipe, programs: nil)
        let name = runName ?? RunName.stem(ofRecipe: self.recipe.path)
        let plan = try RenderPlan(
            topology: topology, recipe: recipe, topologyPath: self.topology.path, recipePath: self.recipe.path,
            overrides: self.recipe.set.overrides, replicas: self.topology.stage.replicas, name: name)
        let files = try files(plan).map { (file: $0, path: (out as NSString).appendingPathComponent($0.name)) }
        for (_, path) in files { try checkReplaceable(path) }
        try DurableFile.makeFolder(out)
        let paths = try files.map { file, path in
            try DurableFile.write(file.text, to: path)
            if file.isExecutable { chmod(path, 0o755) }
            return path
        }
        try output.show(Written(files: paths), paths.joined(separator: "\n"))
    }

    /// A recipe, a topology or a script of the user's may have the name of what is written.
    private func checkReplaceable(_ path: String) throws {
        guard FileManager.default.fileExists(atPath: path) else { return }
        let start = String(decoding: (FileManager.default.contents(atPath: path) ?? Data()).prefix(400), as: UTF8.self)
        guard start.contains("written by 'picoflow render ") else {
            throw UserError(
                "\(path) is there, and is not of 'picoflow render'; name another folder by --out, or the run by --run")
        }
    }

    private func files(_ plan: RenderPlan) throws -> [RenderPlan.File] {
        switch engine {
        case .slurm: return plan.slurm()
        case .ssh: return plan.ssh()
        case .kubernetes:
            var cluster = RenderPlan.Kubernetes()
            if let image { cluster.image = image }
            if let keys {
                for name in try FileManager.default.contentsOfDirectory(atPath: keys) {
                    guard let data = FileManager.default.contents(atPath: keys + "/" + name) else { continue }
                    cluster.keys[name] = data
                }
            }
            return try plan.kubernetes(cluster)
        }
    }
}
