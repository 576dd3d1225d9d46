import Basics
import Configuration
import Contrast
import Foundation
import MemoryKit
import StageKit
import Synchronization
import Wire

/// What `picoflow-miner` does: follows the bank's log and serves mining tickets, one class's anchors each.
public enum MinerStage {
    /// Tickets that are mined at a time. Each more saves less; several miners share out what is beyond.
    private static let together = 16

    /// Serves until the supervisor says stop, or until every consumer drains it.
    ///
    /// - Parameter product: computes the similarities; a miner on another kind of processor brings its own.
    public static func run(_ runtime: StageRuntime, product: any SimilarityProduct = VectorProduct()) throws {
        let configuration = runtime.configuration
        let follower =
            configuration.recipe.contrast.usesMemory
            ? try LogFollower(
                connect: configuration.endpoint(.memory), as: runtime.sender,
                replica: try MemoryReplica(shape: configuration.memoryShape()),
                context: runtime.context, onNote: { [logger = runtime.logger] in logger.info("\($0)") }) : nil
        let worker = try runtime.poolWorker(.mining, credit: together + 1)
        // A ticket in execution may wait for the log, too, and a drain lets it finish.
        let isCatchingUp = Mutex(true)
        runtime.stop.onStop { _ in
            isCatchingUp.withLock { if $0 { follower?.cancel() } }
        }
        if let follower { catchUp(follower, runtime) }
        isCatchingUp.withLock { $0 = false }
        runtime.report(.waiting, waitingOn: "its consumer")
        let mining = Mining(
            miner: Miner(product: product), threads: configuration.threads, follower: follower,
            classes: configuration.dataset.classes.count)
        try worker.run(together: together, threads: configuration.threads) { tasks in
            let tickets = tasks.map { task in Result { try MinedTicket(task.ticket, task.context) } }
            let step = tickets.lazy.compactMap { try? $0.get().wanted.step }.first
            return runtime.execute(step: step, "\(tasks.count) classes") { mining.mine(tickets) }
        }
        follower?.close()
    }

    /// Takes a snapshot and follows the log to where the bank is, before the pool hears of this worker: no step waits for a
    /// miner that joins while a run trains.
    private static func catchUp(_ follower: LogFollower<MemoryReplica>, _ runtime: StageRuntime) {
        runtime.report(.waiting, waitingOn: "the memory")
        var epoch = runtime.configuration.epoch
        while !runtime.stop.isStopped {
            do {
                // A stop may come just before the wait begins, so the wait is repeated; long enough for many parts of a
                // snapshot, of which each wait costs one.
                return try follower.catchUp(
                    lag: UInt64(runtime.configuration.recipe.contrast.lag), epoch: epoch, timeout: .seconds(10))
            } catch LogError.staleEpoch(_, let current) {
                epoch = current
            } catch LogError.timeout, LogError.cancelled {
                continue
            } catch {
                // A ticket names exactly what it needs, and its failure says what is wrong.
                return runtime.logger.info("the memory could not be fetched ahead: \(error)")
            }
        }
    }

    /// The product's versions, and the hash of what a fixed ticket gives.
    public static func fingerprint(product: any SimilarityProduct = VectorProduct()) throws -> Fingerprint {
        var random = KeyedRandom(seed: 1, purpose: "fingerprint")
        let shape = try MemoryShape(classes: 2, dimension: 64, pixelCapacity: 40, regionCapacity: 1, images: 1)
        var memory = Memory(shape: shape)
        let rows = unitRows(80, dimension: 64, &random)
        let writes = (0..<80).map { SlotWrite(classID: ClassID($0 / 40), part: .pixels, slot: $0 % 40, row: $0) }
        try rows.withUnsafeBufferPointer { try memory.apply(writes, rows: $0, dimension: 64) }
        var sampler = SamplerSettings()
        sampler.strategy = .hardest
        // One less than there are takes a search, while the positives are taken whole, without one.
        sampler.negatives = 39
        var synthesis = SynthesisSettings()
        synthesis.enabled = true
        let output = try Miner(product: product).mine(
            MiningInput(
                classID: 0, anchors: unitRows(4, dimension: 64, &random), dimension: 64, temperature: 0.1,
                sampler: sampler, synthesis: synthesis, seed: 1),
            memory: memory)
        return Fingerprint.compute(versions: product.versions) { hash in
            output.gradient.withUnsafeBytes { hash.update($0) }
            hash.update(output.lossSum.bitPattern)
        }
    }

    private static func unitRows(_ count: Int, dimension: Int, _ random: inout KeyedRandom) -> [Float] {
        (0..<count).flatMap { _ -> [Float] in
            let row = (0..<dimension).map { _ in random.uniform(-1, 1) }
            let length = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
            return row.map { $0 / length }
        }
    }
}
