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
        // A class in work for each thread, and the next at hand.
        let worker = try runtime.poolWorker(.mining, credit: configuration.threads + 1)
        // A ticket in execution may wait for the log, too, and a drain lets it finish.
        let isCatchingUp = Mutex(true)
        runtime.stop.onStop { _ in
            isCatchingUp.withLock { if $0 { follower?.cancel() } }
        }
        if let follower { catchUp(follower, runtime) }
        isCatchingUp.withLock { $0 = false }
        runtime.report(.waiting, waitingOn: "its consumer")
        let miners = MinerCrew(threads: configuration.threads, product: product)
        let classes = configuration.dataset.classes.count
        try worker.run(threads: configuration.threads) { ticket, context in
            let wanted = try JSONDecoder().decode(MiningTicket.self, from: ticket.body)
            return try runtime.execute(step: wanted.step, "class \(wanted.class)") {
                try mine(
                    wanted, ticket, context: context, follower: follower, classes: classes, miners: miners)
            }
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

    private static func mine(
        _ wanted: MiningTicket, _ ticket: Ticket, context: TicketContext, follower: LogFollower<MemoryReplica>?,
        classes: Int, miners: MinerCrew
    ) throws -> TicketOutput {
        guard let anchors = ticket.tensors.first(where: { $0.name == "anchors" }), anchors.dtype == .float32,
            anchors.shape.count == 2
        else { throw UserError("mining ticket \(ticket.id) has no float32 [A, D] tensor 'anchors'") }
        guard let pixels = ticket.tensors.first(where: { $0.name == "pixels" }), pixels.dtype == .int64,
            pixels.shape == [anchors.shape[0]]
        else { throw UserError("mining ticket \(ticket.id) has no int64 [\(anchors.shape[0])] tensor 'pixels'") }
        let input = MiningInput(
            classID: ClassID(wanted.class), anchors: anchors.bytes.array(),
            keys: pixels.bytes.array(of: Int64.self).map { Int($0) }, dimension: anchors.shape[1],
            temperature: wanted.temperature, sampler: wanted.sampler, synthesis: wanted.synthesis, seed: wanted.seed)
        let output: MiningOutput
        if let sequence = wanted.memory {
            guard let follower else {
                throw UserError("mining ticket \(ticket.id) names a memory, but this run keeps none")
            }
            // Without limit: after a rollback the whole memory comes anew, gigabytes over what may be a slow link. A ticket
            // that is no longer wanted ends the wait; a bank that is gone ends the run through the supervisor.
            // Inside the read: a memory taken out of the replica would be copied at the next record.
            output = try follower.read(
                at: sequence, epoch: context.epoch, timeout: nil, unless: context.cancellation
            ) { try miners.mine(input, memory: $0.memory) }
        } else {
            let keys = try ticket.batchKeys(dimension: input.dimension)
            output = try miners.mine(input, memory: Memory(batch: keys, classes: classes))
        }
        let count = Double(max(1, output.contributing))
        return TicketOutput(
            body: try MiningReport(
                loss: output.lossSum, contributing: output.contributing, skipped: output.skipped,
                positiveSimilarity: output.positiveSimilarity / count,
                negativeSimilarity: output.negativeSimilarity / count
            ).wireJSON(),
            tensors: [try WireTensor(name: "gradient", shape: anchors.shape, floats: output.gradient)])
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
