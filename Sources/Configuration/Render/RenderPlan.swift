import Basics

/// What runs where when somebody else's engine starts a run: the head, and the workers that join it.
///
/// Compute, bank, evaluators and the supervisor stay together on the head: they share the run's directory. Loaders and miners go to
/// other hosts where the topology listens for them (`supervisor.listen`), and stay on the head where it does not.
public struct RenderPlan: Sendable {
    /// A file to write.
    public struct File: Sendable, Equatable {
        public var name: String
        public var text: String
        public var isExecutable = false
    }

    /// A stage's replicas that run on hosts which join.
    struct Group: Sendable {
        var stage: String
        var replicas: Int
        /// Of each replica.
        var threads: Int
        /// Highest number of a GPU, plus 1.
        var gpus: Int
    }

    /// The run's name, of which files and jobs have theirs.
    let name: String
    let topologyPath: String
    let recipePath: String
    let overrides: [String]
    let replicas: [String]
    let recipe: Recipe
    let topology: Topology
    let groups: [Group]
    /// Port of the head's control address, where workers join; those after it are the links'.
    let port: Int?
    /// Processor cores that the head keeps busy: in training, or in evaluation where that takes more.
    let headCores: Int
    let headGPUs: Int

    /// - Parameters:
    ///   - topology, recipe: checked against each other.
    ///   - topologyPath, recipePath: as the engine's machines have them.
    ///   - overrides: `--set` of the recipe.
    ///   - replicas: `--stage` of the topology, which has them already.
    ///   - name: of the run.
    /// - Throws: `UserError` where compute's threads are left open, as a job asks for a number of cores and the weights' last bits
    ///   depend on it; where a stage of other hosts is autoscaled.
    public init(
        topology: Topology, recipe: Recipe, topologyPath: String, recipePath: String, overrides: [String] = [],
        replicas: [String] = [], name: String
    ) throws {
        self.topology = topology
        self.recipe = recipe
        self.topologyPath = topologyPath
        self.recipePath = recipePath
        self.overrides = overrides
        self.replicas = replicas
        self.name = name
        port = topology.supervisor.listen.flatMap { $0.split(separator: ":").last }.flatMap { Int($0) }
        let stages = topology.stages(for: recipe)
        guard let compute = stages.first(where: { $0.kind == .compute }), let threads = compute.threads else {
            throw UserError(
                "\(topologyPath): stage 'compute' leaves 'threads' open; a job asks for a number of cores, so name it")
        }
        // A program of one's own may need what is on the head only.
        let mayLeave = { (stage: StageSettings) in topology.isJoinable(stage) && stage.exec == nil }
        let isSpread = port != nil
        groups = stages.filter { isSpread && mayLeave($0) && $0.replicas > 0 }.map {
            Group(stage: $0.name, replicas: $0.replicas, threads: $0.threads ?? 1, gpus: RenderPlan.gpus([$0]))
        }
        let leaving = Set(groups.map(\.stage))
        if let scaled = topology.autoscale.first(where: { leaving.contains($0.stage) }) {
            throw UserError(
                "\(topologyPath): stage '\(scaled.stage)' runs on hosts that join (supervisor.listen), as many as the job asks for; leave out 'autoscale.\(scaled.stage)'"
            )
        }
        let staying = stages.filter { !leaving.contains($0.name) }
        let training = staying.filter { $0.kind != .evaluator }.map { $0.replicas * ($0.threads ?? 1) }.reduce(0, +)
        // Evaluators come when training is over. Where theirs are open they take all there is.
        let evaluation = staying.filter { $0.kind == .evaluator }.map { $0.replicas * ($0.threads ?? 1) }.reduce(0, +)
        headCores = max(training, evaluation, threads)
        headGPUs = RenderPlan.gpus(staying)
    }

    private static func gpus(_ stages: [StageSettings]) -> Int {
        let numbers = stages.flatMap(\.device.all).map { if case .cuda(let index) = $0 { index + 1 } else { 0 } }
        return numbers.max() ?? 0
    }

    /// The command that starts the run, or goes on with it where its directory is there.
    ///
    /// - Parameter run: the run's directory, as the shell has it.
    func launch(run: String, topology: String, recipe: String) -> (new: [String], resume: [String]) {
        let leaving = Set(groups.map(\.stage))
        let elsewhere = groups.flatMap { ["--stage", "\($0.stage)=0"] }
        // A resume finds these in the run's own topology.
        let here = replicas.filter { word in !leaving.contains { word.hasPrefix($0 + "=") } }
            .flatMap { ["--stage", Shell.quoted($0)] }
        let set = overrides.flatMap { ["--set", Shell.quoted($0)] }
        return (
            ["picoflow", "launch", topology, "--recipe", recipe] + set + ["--run", run] + here + elsewhere,
            ["picoflow", "launch", "--resume", run] + elsewhere
        )
    }

    /// Words of `picoflow keys new`: the client's name and the folder. Where several runs share one, their clients are told
    /// apart by the runs' names.
    func newKey(_ client: String) -> String {
        guard let keys = topology.supervisor.keys else { return client + #" --run "$run""# }
        return "\(client)-\(name) --keys \(Shell.quoted(keys))"
    }

    /// Where the script keeps its workers' key, for the shell in which `run` is the run's directory: with the run's own keys,
    /// which go when the run is removed, or beside the run.
    func keyFile(_ client: String) -> String {
        topology.supervisor.keys == nil ? "$run/keys/\(client).key" : "$run.key"
    }

    /// Words that name the run to `picoflow join`, where the key does not as it is for several.
    ///
    /// - Parameter run: the run's name, as the shell of `join` has it.
    func joined(_ run: String) -> String { topology.supervisor.keys == nil ? "" : " --run " + run }
}

enum Shell {
    /// A word that a POSIX shell takes for itself.
    static func quoted(_ word: String) -> String {
        let plain = word.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_./=:,@%+".contains($0)) }
        if plain, !word.isEmpty { return word }
        return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
    }
}
