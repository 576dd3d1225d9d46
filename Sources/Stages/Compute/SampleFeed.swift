import Basics
import Configuration
import Contrast
import StageKit
import Wire

/// Keeps the loaders busy ahead of training and hands out batches in the global sample order.
///
/// The position in the order is all its state: step s of batch size B shows positions (s - 1)·B ..< s·B, whoever reads
/// them and whenever. Of several ranks each shows its own stretch of them.
struct SampleFeed {
    private let pool: PoolConsumer
    private let recipe: Recipe
    private let dataset: DatasetSettings
    private let padding: [UInt8]
    private var order: SampleOrder
    /// This rank's images within a mini-batch.
    private let share: Range<Int>
    /// The next step to ask for, and the next to hand out.
    private var asked: UInt64
    private var handedOut: UInt64
    private let end: UInt64

    /// Batches asked for ahead: one being decoded while one waits. More would only grow memory.
    static let batchesAhead: UInt64 = 3

    /// - Parameters:
    ///   - share: which images of each mini-batch; all of them for one rank.
    ///   - images: how many images the split has.
    ///   - padding: red, green and blue beyond an image's edge.
    ///   - steps: the steps done already; the first batch is the one after them.
    init(
        pool: PoolConsumer, recipe: Recipe, share: Range<Int>, images: Int, padding: [UInt8], after steps: UInt64
    ) throws {
        self.pool = pool
        self.recipe = recipe
        self.share = share
        self.padding = padding
        // Loaders may run in another working directory.
        dataset = recipe.dataset.absolutePaths()
        order = SampleOrder(seed: recipe.seed, images: images)
        asked = steps
        handedOut = steps
        end = UInt64(recipe.schedule.iterations)
        try ask()
    }

    /// The next batch; waits for its samples.
    ///
    /// - Parameter check: called while waiting, to give up on a stop.
    /// - Throws: `PoolFailure` where a sample cannot be had, which names it.
    mutating func next(check: () throws -> Void) throws -> Batch {
        var samples: [(image: Int, result: TicketResult)] = []
        for position in positions(of: handedOut) {
            var result: TicketResult?
            while result == nil {
                try check()
                result = try pool.next(timeout: .milliseconds(500))
            }
            samples.append((order.image(at: position), result!))
        }
        handedOut += 1
        try ask()
        let crop = recipe.augmentation.crop
        return try Batch(samples, height: crop[0], width: crop[1])
    }

    /// The positions that this rank shows in the step after so many.
    private func positions(of steps: UInt64) -> Range<UInt64> {
        let start = steps * UInt64(recipe.schedule.batch)
        return start + UInt64(share.lowerBound)..<start + UInt64(share.upperBound)
    }

    private mutating func ask() throws {
        let wanted = min(end, handedOut + Self.batchesAhead)
        while asked < wanted {
            for position in positions(of: asked) {
                let ticket = SampleTicket(
                    position: position, image: order.image(at: position),
                    seed: KeyedRandom.seed(recipe.seed, purpose: "sample", step: position), dataset: dataset,
                    augmentation: recipe.augmentation, padding: padding)
                try pool.issue(Ticket(id: TicketID(position), body: try ticket.wireJSON()))
            }
            asked += 1
        }
    }
}
