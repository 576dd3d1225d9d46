import ArgumentParser
import Basics
import Supervisor
import Wire

/// `picoflow join`: runs stages of a run whose head is another machine.
struct JoinCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "join",
        abstract: "Run loaders and miners for a run on another machine.",
        discussion: """
            picoflow join tcp://head:5810 --key gpu2.key --stage loader=8,miner=2
            picoflow join tcp://head:5810 --key gpu2.key --stage loader=8 --dataset-root /scratch/camvid

            The run must listen ('supervisor.listen: tcp://*:5810' in its topology) and allow the key ('picoflow keys new'). \
            Joining, leaving and vanishing change no bit of the trained weights. Ctrl-C leaves in good order; a second one \
            stops at once.
            """)

    @Argument(help: ArgumentHelp("Where the run listens.", valueName: "tcp://head:port"))
    var address: String

    @Option(help: ArgumentHelp("The client key that 'picoflow keys new' made.", valueName: "file"), completion: .file())
    var key: String

    @Option(
        name: .customLong("stage"), parsing: .singleValue,
        help: ArgumentHelp("What to run here, how many of each. Repeatable.", valueName: "name=count,…"))
    var stages: [String]

    @Option(
        help: ArgumentHelp("Where this machine has the run's dataset, where not at the same path.", valueName: "dir"),
        completion: .directory)
    var datasetRoot: String?

    @Option(
        name: .customLong("run"),
        help: ArgumentHelp("The run's name, where the key file names none.", valueName: "name"))
    var runName: String?

    @Option(help: ArgumentHelp("Folder of the stages' logs.", valueName: "dir"), completion: .directory)
    var logs = "logs"

    @OptionGroup var output: OutputOptions
    @OptionGroup var log: LogOptions

    /// What `--json` prints.
    private struct Ending: Encodable {
        /// How it ended, as a sentence.
        var outcome: String
        /// Folder of the stages' logs.
        var logs: String
    }

    func run() throws {
        let (environment, _) = try log.environment()
        let host = try JoinHost(
            JoinHost.Options(
                address: Endpoint(address), keyFile: absolutePath(key), run: runName, stages: try Self.counts(stages),
                datasetRoot: datasetRoot.map(absolutePath), logs: absolutePath(logs)),
            environment: environment, display: output.lines)
        let outcome = try host.work()
        try output.result.show(Ending(outcome: outcome, logs: absolutePath(logs)), outcome)
    }

    /// `loader=8,miner=2` as counts by name.
    private static func counts(_ words: [String]) throws -> [String: Int] {
        var counts: [String: Int] = [:]
        for word in words.flatMap({ $0.split(separator: ",", omittingEmptySubsequences: false) }) {
            let parts = word.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, let count = UInt16(parts[1]), count > 0 else {
                throw UserError("--stage \(word): NAME=COUNT was expected")
            }
            guard counts[parts[0]] == nil else { throw UserError("--stage names '\(parts[0])' twice") }
            counts[parts[0]] = Int(count)
        }
        return counts
    }
}
