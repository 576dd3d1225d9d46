import Basics
import Configuration
import Contrast
import Foundation
import StageKit
import Wire

/// Keeps the loaders busy ahead of training and hands out batches in the global sample order.
///
/// The position in the order is all its state: step s of batch size B shows positions (s - 1)·B ..< s·B, whoever reads
/// them and whenever.
struct SampleFeed {
    private let pool: PoolConsumer
    private let recipe: Recipe
    private let dataset: DatasetSettings
    private let padding: [UInt8]
    private var order: SampleOrder
    /// The next position to ask for, and the next to hand out.
    private var asked: UInt64
    private var handedOut: UInt64
    /// Positions below this exist in the run.
    private let end: UInt64

    /// Batches asked for ahead: one being decoded while one waits. More would only grow memory.
    static let batchesAhead: UInt64 = 3

    /// - Parameters:
    ///   - images: how many images the split has.
    ///   - padding: red, green and blue beyond an image's edge.
    ///   - steps: the steps done already; the first batch is the one after them.
    init(pool: PoolConsumer, recipe: Recipe, images: Int, padding: [UInt8], after steps: UInt64) throws {
        self.pool = pool
        self.recipe = recipe
        self.padding = padding
        // Loaders may run in another working directory.
        var dataset = recipe.dataset
        dataset.root = URL(fileURLWithPath: dataset.root).standardizedFileURL.path
        dataset.description = dataset.description.map { URL(fileURLWithPath: $0).standardizedFileURL.path }
        self.dataset = dataset
        order = SampleOrder(seed: recipe.seed, images: images)
        asked = steps * UInt64(recipe.schedule.batch)
        handedOut = asked
        end = UInt64(recipe.schedule.iterations) * UInt64(recipe.schedule.batch)
        try ask()
    }

    /// The next batch; waits for its samples.
    ///
    /// - Parameter check: called while waiting, to give up on a stop.
    /// - Throws: `PoolFailure` where a sample cannot be had, which names it.
    mutating func next(check: () throws -> Void) throws -> Batch {
        var samples: [(image: Int, result: TicketResult)] = []
        while samples.count < recipe.schedule.batch {
            try check()
            guard let result = try pool.next(timeout: .milliseconds(500)) else { continue }
            samples.append((order.image(at: handedOut), result))
            handedOut += 1
        }
        try ask()
        let crop = recipe.augmentation.crop
        return try Batch(samples, height: crop[0], width: crop[1])
    }

    private mutating func ask() throws {
        let wanted = min(end, handedOut + Self.batchesAhead * UInt64(recipe.schedule.batch))
        while asked < wanted {
            let ticket = SampleTicket(
                position: asked, image: order.image(at: asked),
                seed: KeyedRandom.seed(recipe.seed, purpose: "sample", step: asked), dataset: dataset,
                augmentation: recipe.augmentation, padding: padding)
            try pool.issue(Ticket(id: TicketID(asked), body: try ticket.wireJSON()))
            asked += 1
        }
    }
}
