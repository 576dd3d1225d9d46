import Basics
import Datasets
import Foundation
import TestSupport

/// A place for runs of one test: a recipe and a topology that train a small network in seconds, a folder of sockets
/// that no other test uses, and what there is to see of the runs in it.
final class Playground: Sendable {
    let folder: TemporaryFolder
    let data: String
    private let sockets: String

    /// Steps of the recipe; contrast sets in after `warmup`.
    static let iterations = 80
    static let warmup = 4

    /// Eight street scenes, drawn once; tests that change files take a copy.
    private static let scenes: Result<TemporaryFolder, any Error> = Result {
        let folder = try TemporaryFolder("scenes")
        var options = Synthesizer.Options()
        (options.width, options.height, options.train, options.val) = (64, 48, 8, 2)
        _ = try Synthesizer.write(to: folder("data"), options: options)
        return folder
    }

    /// - Parameter ownData: a copy of the scenes that the test may spoil.
    init(ownData: Bool = false) throws {
        folder = try TemporaryFolder("p")
        sockets = folder("s")
        try FileManager.default.createDirectory(atPath: sockets, withIntermediateDirectories: true)
        let scenes = try Self.scenes.get()("data")
        if ownData {
            data = folder("data")
            try FileManager.default.copyItem(atPath: scenes, toPath: data)
        } else {
            data = scenes
        }
        try folder.write(recipe, to: "recipe.yaml")
        try folder.write(Self.topology(), to: "topology.yaml")
    }

    /// Nothing that a failed test started may outlive it.
    deinit { for pid in stages().values { kill(pid, SIGKILL) } }

    private var recipe: String {
        """
        dataset: {kind: folder, root: \(data), description: \(data)/dataset.yaml}
        augmentation: {crop: [48, 64]}
        model: {outputStride: 16, atrousRates: [1, 2, 3], embedding: 32, dropout: 0.1}
        contrast: {anchors: 6, hardAnchors: 3, pixelsPerImage: 3}
        sampler: {positives: 16, negatives: 32}
        synthesis: {enabled: true, hardest: 16, pairs: 4, anchorMixes: 2}
        schedule: {iterations: \(Self.iterations), batch: 2, lr: 0.01, warmup: \(Self.warmup), lrWarmup: 2}
        checkpoints: {every: 24, keep: 2}

        """
    }

    /// - Parameters:
    ///   - watch: how stages are watched; seconds that are generous to a busy machine where a test does not wait for them.
    static func topology(loaderThreads: Int = 1, watch: String = "") -> String {
        """
        stages:
          loader: {threads: \(loaderThreads)}
          compute: {samples: loader, mining: miner, memory: bank, threads: 1}
          bank:
          miner: {memory: bank}
          evaluator: {threads: 1}
        \(watch)

        """
    }

    /// Silences that a test can wait for.
    static let impatient = """
        supervisor: {grace: 2 s, heartbeat: 200 ms, silence: 3 s}
        pool: {heartbeat: 200 ms, silence: 1 s}
        """

    var run: String { folder("run") }

    // MARK: Commands

    /// Over this process's own.
    var environment: [String: String] { ["XDG_RUNTIME_DIR": sockets] }

    func start(_ arguments: [String]) throws -> PicoFlowProcess {
        try PicoFlowProcess(arguments, in: folder, environment: environment)
    }

    func launch(_ more: [String] = [], run: String? = nil) throws -> PicoFlowProcess {
        try start(["launch", "topology.yaml", "--recipe", "recipe.yaml", "--run", run ?? self.run] + more)
    }

    func command(_ arguments: String...) throws -> PicoFlowProcess.Ending { try start(arguments).wait() }

    // MARK: What there is to see

    /// The process id of each living stage of this playground, by its name, whoever its supervisor is or was.
    func stages() -> [String: Int32] {
        var found: [String: Int32] = [:]
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let pid = Int32(name), let bytes = FileManager.default.contents(atPath: "/proc/\(name)/cmdline")
            else { continue }
            let words = bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            func value(_ option: String) -> String? {
                words.firstIndex(of: option).flatMap { words.indices.contains($0 + 1) ? words[$0 + 1] : nil }
            }
            // Those of a host that joined are known by their key's file.
            let isOurs =
                value("--control")?.hasPrefix("ipc://\(sockets)/") == true
                || value("--key")?.hasPrefix(folder.path + "/") == true
            guard isOurs, let stage = value("--stage"),
                let id = value("--id")
            else { continue }
            found["\(stage)-\(id)"] = pid
        }
        return found
    }

    func pid(of stage: String) throws -> Int32 {
        guard let pid = stages()[stage] else { throw Trouble("there is no \(stage) among \(stages())") }
        return pid
    }

    var leftoverSockets: [String] { (try? FileManager.default.contentsOfDirectory(atPath: sockets)) ?? [] }

    /// The steps' lines of `metrics.jsonl`.
    func metrics(run: String? = nil) -> [[String: Any]] {
        lines((run ?? self.run) + "/metrics.jsonl").filter { $0["lr"] != nil }
    }

    /// Its evaluations' lines.
    func evaluations() -> [[String: Any]] { lines(run + "/metrics.jsonl").filter { $0["mIoU"] != nil } }

    /// The lines of `ledger.jsonl`.
    func ledger(run: String? = nil) -> [[String: Any]] { lines((run ?? self.run) + "/ledger.jsonl") }

    private func lines(_ path: String) -> [[String: Any]] {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return [] }
        return text.split(separator: "\n").compactMap {
            try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
        }
    }

    /// Waits until so many steps are done.
    func await(step: Int, of process: PicoFlowProcess) throws {
        let isThere = waitUntil(.seconds(60)) { metrics().count >= step || !process.isRunning }
        guard isThere, process.isRunning else { throw Trouble("step \(step) was not reached:\n\(process.errors)") }
    }

    /// Names in a folder, sorted.
    func names(_ path: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    /// SHA-256 of the last step's weights.
    func weights(run: String? = nil) throws -> String {
        let path = (run ?? self.run) + "/checkpoints/step-\(String(format: "%06d", Self.iterations))/model.safetensors"
        guard let bytes = FileManager.default.contents(atPath: path) else { throw Trouble("there is no \(path)") }
        var hash = SHA256()
        bytes.withUnsafeBytes { hash.update($0) }
        return hash.hex()
    }
}
