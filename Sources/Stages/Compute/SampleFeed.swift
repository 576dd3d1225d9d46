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
    private let classes: Int
    private let padding: [UInt8]
    private var order: SampleOrder
    /// This rank's images within a mini-batch.
    private let share: Range<Int>
    /// The next step to ask for, and the next to hand out.
    private var asked: UInt64
    private var handedOut: UInt64
    private let end: UInt64
    /// Positions whose samples nobody could make, or could not when these steps were first trained.
    private var skipped: Set<UInt64>
    private let onSkip: (_ position: UInt64, _ step: UInt64, _ message: String) -> Void
    private var lostInARow = 0

    /// So many lost samples in a row are no single files' fault.
    private static let mostLostInARow = 16

    /// Batches asked for ahead: one being decoded while one waits. More would only grow memory.
    static let batchesAhead: UInt64 = 3

    /// - Parameters:
    ///   - share: which images of each mini-batch; all of them for one rank.
    ///   - summary: how many images the split has, and which labels.
    ///   - padding: red, green and blue beyond an image's edge.
    ///   - steps: the steps done already; the first batch is the one after them.
    ///   - skipped: positions in the order that were trained without their sample before, and are to be again.
    ///   - onSkip: hears of further ones.
    init(
        pool: PoolConsumer, recipe: Recipe, share: Range<Int>, dataset summary: DatasetSummary, padding: [UInt8],
        after steps: UInt64, skipped: [UInt64] = [],
        onSkip: @escaping (_ position: UInt64, _ step: UInt64, _ message: String) -> Void = { _, _, _ in }
    ) throws {
        self.pool = pool
        self.recipe = recipe
        self.share = share
        classes = summary.classes.count
        self.padding = padding
        // Loaders may run in another working directory.
        dataset = recipe.dataset.absolutePaths()
        order = SampleOrder(seed: recipe.seed, images: summary.images)
        asked = steps
        handedOut = steps
        end = UInt64(recipe.schedule.iterations)
        self.skipped = Set(skipped)
        self.onSkip = onSkip
        try ask()
    }

    /// The next batch; waits for its samples.
    ///
    /// - Parameter check: called while waiting, to give up on a stop.
    /// - Throws: `UserError` where a sample cannot be had, which names it.
    mutating func next(check: () throws -> Void) throws -> Batch {
        var samples: [Sample] = []
        for position in positions(of: handedOut) {
            let result: TicketResult
            do {
                result = try pool.next(check: check)
            } catch let failure as PoolFailure {
                throw UserError(
                    "\(name(of: position)): \(failure.message) (\(failure.workers.joined(separator: ", ")))")
            }
            samples.append(try sample(result, at: position))
        }
        handedOut += 1
        try ask()
        return try Batch(samples, height: recipe.augmentation.crop[0], width: recipe.augmentation.crop[1])
    }

    /// A sample, or what stands in its place: padding that is ignored.
    private mutating func sample(_ result: TicketResult, at position: UInt64) throws -> Sample {
        let image = ImageID(order.image(at: position))
        let (height, width) = (recipe.augmentation.crop[0], recipe.augmentation.crop[1])
        guard result.skipped != nil || skipped.contains(position) else {
            lostInARow = 0
            return try Sample(result, of: image, height: height, width: width, classes: classes)
        }
        if let reason = result.skipped, skipped.insert(position).inserted {
            lostInARow += 1
            guard lostInARow < Self.mostLostInARow else {
                throw UserError(
                    "\(lostInARow) samples in a row could not be made, the last: \(name(of: position)): \(reason)")
            }
            onSkip(position, handedOut + 1, "\(name(of: position)) is ignored: \(reason)")
        }
        return .ignored(image, padding: padding, height: height, width: width)
    }

    /// An image as messages call it: by its place among the split's names, as compute reads no dataset.
    private func name(of position: UInt64) -> String {
        var order = order
        return "image \(order.image(at: position)) of split '\(dataset.split)' in the order of names, from 0"
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
