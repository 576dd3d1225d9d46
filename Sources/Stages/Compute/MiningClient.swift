import Basics
import Configuration
import Contrast
import StageKit
import Wire

/// Sends this rank's anchors of a step to the miners, a ticket per class, and adds up what they answer.
///
/// Classes are the units of work and are added in ascending order, so the sum does not depend on who mined them.
struct MiningClient {
    /// What the miners said of one step.
    struct Outcome {
        /// The sum of L_i over the contributing anchors.
        var loss = 0.0
        var contributing = 0
        var skipped = 0
        /// d(loss) / d(anchors), `[anchors, D]`, in the order of `pixels`.
        var gradient: [Float] = []
        /// The anchors' places in this rank's embedding grid.
        var pixels: [Int] = []
        /// As far as the miners tell.
        var similarities = SimilaritySums(classes: 0)

        /// Turns sums into means over the contributing anchors of all ranks: L_NCE and its gradient, 0 where there are
        /// none.
        mutating func average(over ranks: Ranks) throws {
            let sums = try ranks.sum([loss, Double(contributing), Double(skipped)] + similarities.numbers)
            (loss, contributing, skipped) = (sums[0], Int(sums[1]), Int(sums[2]))
            similarities = SimilaritySums(numbers: Array(sums[3...]))
            guard contributing > 0 else { return }
            loss /= Double(contributing)
            let scale = 1 / Float(contributing)
            for index in gradient.indices { gradient[index] *= scale }
        }

        /// SHA-256 of the gradient.
        var digest: String { gradient.withUnsafeBytes { SHA256.hex($0) } }
    }

    /// A step's tickets that are under way.
    struct Tickets {
        fileprivate let anchors: [ClassAnchors]
        fileprivate let dimension: Int
        fileprivate let firstPixel: Int
    }

    private let pool: PoolConsumer
    private let recipe: Recipe
    private let classes: Int
    private var ticket: UInt64 = 0

    init(pool: PoolConsumer, recipe: Recipe, classes: Int) {
        self.pool = pool
        self.recipe = recipe
        self.classes = classes
    }

    /// Sends one ticket per class of which there are anchors in the grid. The miners mine in the memory as it was `lag` steps ago, whatever has reached
    /// them since, or in the keys that the tickets bring.
    ///
    /// - Parameters:
    ///   - drawn: of the mini-batch of all ranks. Their numbers in it key the miners' draws.
    ///   - oldest: the memory of that step at least, however large the lag.
    ///   - settings: what holds at this step, for all of its tickets.
    ///   - keys: the whole mini-batch's, to be mined instead of the memory; nil where there is one.
    mutating func send(
        _ drawn: [ClassAnchors], of grid: EmbeddingGrid, step: UInt64, since oldest: UInt64,
        settings: SwapSchedule.Settings, keys: MemoryRecord?
    ) throws -> Tickets {
        let anchors = drawn.compactMap { $0.within(grid.pixels) }
        let firstPixel = grid.pixels.lowerBound
        let lag = UInt64(recipe.contrast.lag)
        let batch = try keys.map(Self.tensors) ?? []
        for group in anchors {
            ticket += 1
            let body = MiningTicket(
                step: step, class: group.classID.index,
                memory: keys == nil ? SequenceNumber(max(step > lag ? step - lag : 0, oldest)) : nil,
                seed: KeyedRandom.seed(
                    recipe.seed, purpose: "mine", step: step, index: UInt64(group.classID.rawValue)),
                temperature: settings.mining.temperature, sampler: settings.mining.sampler,
                synthesis: settings.mining.synthesis, generation: settings.generation)
            let rows = try grid.rows(at: group.pixels.map { $0 - firstPixel })
            // A miner would say the same of them, but as its own failure.
            if let bad = rows.firstIndex(where: { !$0.isFinite }) {
                throw ContrastError.notUnit(what: "anchor", row: bad / grid.dimension, squaredLength: .nan)
            }
            try pool.issue(
                Ticket(
                    id: TicketID(ticket), body: try body.wireJSON(),
                    tensors: [
                        WireTensor(name: "anchors", shape: [group.pixels.count, grid.dimension], floats: rows),
                        WireTensor(
                            name: "pixels", dtype: .int64, shape: [group.pixels.count],
                            bytes: SharedBytes(group.pixels.map(Int64.init))),
                    ] + batch, generation: settings.workers))
        }
        return Tickets(anchors: anchors, dimension: grid.dimension, firstPixel: firstPixel)
    }

    /// A mini-batch's keys as its tickets bring them; all of a step share their memory.
    private static func tensors(of keys: MemoryRecord) throws -> [WireTensor] {
        let (pixels, regions) = (keys.pixelClasses.count, keys.regionClasses.count)
        return [
            try WireTensor(name: "batchPixels", shape: [pixels, keys.dimension], floats: Array(keys.pixelRows)),
            try WireTensor(
                name: "batchPixelClasses", dtype: .int32, shape: [pixels], bytes: SharedBytes(keys.pixelClasses)),
            try WireTensor(name: "batchRegions", shape: [regions, keys.dimension], floats: Array(keys.regionRows)),
            try WireTensor(
                name: "batchRegionClasses", dtype: .int32, shape: [regions], bytes: SharedBytes(keys.regionClasses)),
        ]
    }

    /// Collects the answers to a step's tickets; waits for them.
    ///
    /// - Parameter check: called while waiting, to give up.
    func collect(_ tickets: Tickets, check: () throws -> Void) throws -> Outcome {
        var outcome = Outcome()
        outcome.similarities = SimilaritySums(classes: classes)
        for group in tickets.anchors {
            let result = try pool.next(check: check)
            let report: MiningReport = try result.report()
            let gradient = try result.tensor("gradient", .float32, [group.pixels.count, tickets.dimension])
                .array(of: Float.self)
            let possible = 0...group.pixels.count
            guard report.loss.isFinite, possible.contains(report.contributing), possible.contains(report.skipped),
                gradient.allSatisfy(\.isFinite)
            else {
                throw UserError(
                    "\(result.worker) answered ticket \(result.id) with a loss, count or gradient that no anchors have")
            }
            outcome.loss += report.loss
            outcome.contributing += report.contributing
            outcome.skipped += report.skipped
            if let positive = report.positiveSimilarity, let negative = report.negativeSimilarity {
                outcome.similarities.add((report.contributing, positive, negative), toClass: group.classID.index)
            }
            outcome.gradient += gradient
            outcome.pixels += group.pixels.map { $0 - tickets.firstPixel }
        }
        return outcome
    }
}
