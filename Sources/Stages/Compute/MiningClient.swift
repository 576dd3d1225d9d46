import Basics
import Configuration
import Contrast
import StageKit
import Wire

/// Sends a step's anchors to the miners, a ticket per class, and adds up what they answer.
///
/// Classes are the units of work and are added in ascending order, so the sum does not depend on who mined them.
struct MiningClient {
    /// What the miners said of one step.
    struct Outcome {
        /// L_NCE: the mean of L_i over the contributing anchors; 0 where there were none.
        var loss = 0.0
        var contributing = 0
        var skipped = 0
        /// dL_NCE / d(anchors), `[anchors, D]`, in the order of `pixels`.
        var gradient: [Float] = []
        /// The anchors' places in the embedding grid.
        var pixels: [Int] = []

        /// SHA-256 of the gradient.
        var digest: String {
            var hash = SHA256()
            gradient.withUnsafeBytes { hash.update($0) }
            return hash.hex()
        }
    }

    private let pool: PoolConsumer
    private let recipe: Recipe
    private var ticket: UInt64 = 0

    init(pool: PoolConsumer, recipe: Recipe) {
        self.pool = pool
        self.recipe = recipe
    }

    /// Sends one ticket per class. The miners mine in the memory as it was `lag` steps ago, whatever has reached
    /// them since.
    mutating func send(_ anchors: [ClassAnchors], of grid: EmbeddingGrid, step: UInt64) throws {
        let lag = UInt64(recipe.contrast.lag)
        for group in anchors {
            ticket += 1
            let body = MiningTicket(
                step: step, class: group.classID.index, memory: SequenceNumber(step > lag ? step - lag : 0),
                seed: KeyedRandom.seed(
                    recipe.seed, purpose: "mine", step: step, index: UInt64(group.classID.rawValue)),
                temperature: recipe.contrast.temperature, sampler: recipe.sampler, synthesis: recipe.synthesis)
            let rows = grid.rows(at: group.pixels)
            try pool.issue(
                Ticket(
                    id: TicketID(ticket), body: try body.wireJSON(),
                    tensors: [WireTensor(name: "anchors", shape: [group.pixels.count, grid.dimension], floats: rows)]))
        }
    }

    /// Collects the answers to `send`'s tickets; waits for them.
    func collect(_ anchors: [ClassAnchors], dimension: Int, check: () throws -> Void) throws -> Outcome {
        var outcome = Outcome()
        for group in anchors {
            var answer: TicketResult?
            while answer == nil {
                try check()
                answer = try pool.next(timeout: .milliseconds(500))
            }
            let result = answer!
            let report: MiningReport = try result.report()
            let gradient = try result.tensor("gradient", .float32, [group.pixels.count, dimension])
            outcome.loss += report.loss
            outcome.contributing += report.contributing
            outcome.skipped += report.skipped
            outcome.gradient += gradient.array(of: Float.self)
            outcome.pixels += group.pixels
        }
        guard outcome.contributing > 0 else { return outcome }
        outcome.loss /= Double(outcome.contributing)
        let scale = 1 / Float(outcome.contributing)
        for index in outcome.gradient.indices { outcome.gradient[index] *= scale }
        return outcome
    }
}
