import Basics
import Configuration
import Foundation
import StageKit

/// Trains a plan's runs one after another, in a folder that says by itself how far they are:
///
/// ```
/// VARIANT-seed-N/   a run directory each
/// table.md          means and deviations of the runs that have finished
/// table.csv         the same, one line per variant
/// runs.csv          one line per run
/// ```
public struct Sweep {
    public let plan: SweepPlan
    /// Absolute.
    public let folder: String
    private let topology: String
    private let replicas: [String]

    /// What became of a run.
    public enum Ending {
        case finished(SweepResult)
        /// By signal, whatever else the run had come to by then: the sweep ends with it.
        case stopped
        case failed(String)
    }

    /// - Parameters:
    ///   - topology: path of the topology that each run is launched on.
    ///   - replicas: `loader=3`, …, over the topology's own.
    ///   - folder: of this sweep, made where it is not there and something is to be trained.
    ///   - training: false for who only looks at what has finished, for which no dataset is needed.
    /// - Throws: `UserError` where the topology does not fit a recipe, where its dataset cannot be trained or evaluated on, or
    ///   where a run in the folder is of another recipe, of other data or of another sweep.
    public init(
        _ plan: SweepPlan, topology: String, replicas: [String], in folder: String, training: Bool = true
    ) throws {
        self.plan = plan
        self.topology = topology
        self.replicas = replicas
        if training { try DurableFile.makeFolder(folder) }
        let isThere = FileManager.default.fileExists(atPath: folder)
        self.folder = isThere ? try RunDirectory.absolute(folder) : URL(fileURLWithPath: folder).path
        var datasets: [(settings: DatasetSettings, summary: DatasetSummary)] = []
        for cell in plan.cells {
            _ = try resolvedTopology(for: cell)
            let isBegun = try isBegun(cell)
            if isBegun { try check(cell) }
            guard training else { continue }
            let settings = cell.recipe.dataset
            let known = datasets.first { $0.settings == settings }?.summary
            let summary = try known ?? DatasetSummary(training: settings)
            if known == nil { datasets.append((settings, summary)) }
            if isBegun { try check(cell, trainedOn: summary) }
        }
        if isThere { try checkOthers() }
    }

    /// Keeps other sweeps out of the folder while the result lives: each would take the other's runs for failed.
    ///
    /// - Throws: `UserError` where another sweep trains in it.
    public func lock() throws -> FileLock {
        // On a file, as a share tells other hosts of no locks on folders.
        try FileLock(path: folder + "/sweep.lock", use: "\(folder): another sweep trains there", patience: .zero)
    }

    public func path(of cell: SweepPlan.Cell) -> String { "\(folder)/\(cell.name)" }

    /// The runs that have finished, in the plan's order.
    public func results() throws -> [SweepResult] {
        try plan.cells.compactMap { try SweepResult(of: $0, inRun: path(of: $0)) }
    }

    /// Launches a run, or goes on with it, until it ends.
    public func run(
        _ cell: SweepPlan.Cell, environment: SupervisorRunner.Environment, display: any ProgressDisplay
    ) -> Ending {
        do {
            let launch = try begin(cell, environment)
            let display = LoggedDisplay(
                display, log: launch.directory.logPath(of: "supervisor"), level: try .from(environment.variables))
            let outcome = try launch.run(
                dataset: DatasetSummary(opening: launch.recipe.dataset), evaluation: PoolEvaluation(drawing: true),
                environment: environment, display: display)
            switch outcome {
            case .stopped: return .stopped
            case .failed(let reason): return SignalWatch.hasHeard ? .stopped : .failed(reason)
            case .finished(_, _, let evaluation):
                try evaluation?.save(inRun: launch.directory.path)
                guard let result = try SweepResult(of: cell, inRun: path(of: cell)) else {
                    return .failed("the run ended without an evaluation")
                }
                return SignalWatch.hasHeard ? .stopped : .finished(result)
            }
        } catch {
            return SignalWatch.hasHeard ? .stopped : .failed(errorLine(error))
        }
    }

    /// What has finished so far.
    public func table() throws -> SweepTable { SweepTable(plan, try results()) }

    /// Writes the tables of what has finished so far, each file whole or not at all. Whoever trains or holds the lock does
    /// so: an older table must not take a newer one's place.
    ///
    /// - Returns: what they say.
    @discardableResult public func writeTables() throws -> SweepTable {
        let table = try table()
        try DurableFile.write(table.markdown + "\n", to: folder + "/table.md")
        try DurableFile.write(table.csv, to: folder + "/table.csv")
        try DurableFile.write(table.runsCSV, to: folder + "/runs.csv")
        return table
    }

    private func begin(_ cell: SweepPlan.Cell, _ environment: SupervisorRunner.Environment) throws -> Launch {
        let path = path(of: cell)
        if try isBegun(cell) { return try Launch.resume(path, replicas: replicas, environment: environment) }
        // What was cut off before its journal's first entry has trained nothing.
        if FileManager.default.fileExists(atPath: path), !RunDirectory.isLive(path) {
            try RunDirectory.removeUntrained(path)
        }
        return try Launch.new(
            at: path, recipe: cell.recipe, topology: resolvedTopology(for: cell), environment: environment)
    }

    /// - Throws: `UserError` for a journal that cannot be read: what it tells of must not be trained over.
    private func isBegun(_ cell: SweepPlan.Cell) throws -> Bool {
        let journal = path(of: cell) + "/journal.jsonl"
        guard FileManager.default.fileExists(atPath: journal) else { return false }
        return try !Journal.read(path: journal).isEmpty
    }

    private func resolvedTopology(for cell: SweepPlan.Cell) throws -> Topology {
        try Topology.resolve(path: topology, replicas: replicas, recipe: cell.recipe, programs: .ofThisProcess())
    }

    /// Runs of other variants belong to another sweep, whose tables must not be replaced by this one's.
    private func checkOthers() throws {
        func variant(_ name: String) -> Substring {
            name.range(of: "-seed-", options: .backwards).map { name[..<$0.lowerBound] } ?? name[...]
        }
        let own = Set(plan.cells.map { variant($0.name) })
        for name in try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        where FileManager.default.fileExists(atPath: "\(folder)/\(name)/recipe.yaml") && !own.contains(variant(name)) {
            throw UserError(
                "\(folder) also holds the run \(name), which is none of this sweep's and whose tables would be replaced; move it to "
                    + "another folder, or name another one by --to")
        }
    }

    /// A run that is there must be of the recipe that the plan has for it.
    private func check(_ cell: SweepPlan.Cell) throws {
        let run = path(of: cell)
        let saved = try Recipe.resolve(path: run + "/recipe.yaml")
        let wanted = cell.recipe.absolutePaths()
        let (old, new) = (try saved.yaml().split(separator: "\n"), try wanted.yaml().split(separator: "\n"))
        guard let line = zip(old, new).first(where: { $0 != $1 }) ?? (old.count == new.count ? nil : ("", "")) else {
            return
        }
        let difference =
            line.0.isEmpty ? "" : " ('\(line.0.drop { $0 == " " })' there, '\(line.1.drop { $0 == " " })' now)"
        throw UserError(
            "\(run) was trained from another recipe\(difference); sweep into another folder by --to, or remove it")
    }

    /// A run that is there, finished too, must be of the data that the others will be trained on: a table of both would
    /// compare nothing.
    private func check(_ cell: SweepPlan.Cell, trainedOn dataset: DatasetSummary) throws {
        let run = path(of: cell)
        let noted = run + "/dataset.json"
        guard FileManager.default.fileExists(atPath: noted) else { return }
        do {
            try dataset.checkUnchanged(since: DatasetSummary(contentsOf: noted), root: cell.recipe.dataset.root)
        } catch {
            throw UserError("\(run): \(errorLine(error)); sweep into another folder by --to, or remove it")
        }
    }
}
