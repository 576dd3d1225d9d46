import Basics
import Configuration
import Datasets
import StageKit
import Wire

/// Measures a checkpoint on a split of the recipe's dataset: one ticket per image to the evaluators, whose confusion
/// matrices it adds up.
public struct PoolEvaluation: FinalEvaluation {
    private let split: String?

    /// - Parameter split: what to measure on; the recipe's `dataset.evaluationSplit` where nil.
    public init(split: String? = nil) { self.split = split }

    /// Tickets under way beyond the result that is waited for. More than evaluators have credit for together, and few
    /// enough for their matrices to take a few megabytes.
    private static let ahead = 64

    /// - Throws: `UserError`: a split that is missing, empty or without labels, before anything is bound; an image that
    ///   cannot be evaluated, by name; or that the evaluation was stopped.
    public func evaluate(_ session: EvaluationSession) throws -> EvaluationSummary {
        // Evaluators may run in another working directory; what they say of a file names it as we do.
        let dataset = session.recipe.dataset.absolutePaths()
        let index = try Dataset.open(dataset)
        let split = split ?? session.recipe.dataset.evaluationSplit
        let samples = try Self.labelledSamples(of: split, in: index)

        let consumer = try PoolConsumer(
            endpoint: session.endpoint, as: session.sender, epoch: session.epoch, context: session.context,
            settings: Wire.PoolSettings(session.pool), strictFingerprint: session.recipe.determinism == .strict)
        defer { consumer.close() }
        // A closed pool ends the wait for a result.
        session.stop.onStop { _ in consumer.close() }
        session.onWorkerLoss { worker, expected in
            expected ? consumer.expectLoss(of: worker) : consumer.reportLoss(of: worker)
        }
        do {
            let matrix = try Self.measure(samples.count, classes: index.classes.count, consumer, session) { image in
                EvaluationTicket(
                    image: image, split: split, dataset: dataset, model: session.recipe.model,
                    evaluation: session.recipe.evaluate, checkpoint: session.checkpoint)
            }
            return try EvaluationReport(
                matrix, classes: index.classNames, split: split, images: samples.count,
                step: Checkpoint.step(ofFolder: session.checkpoint)
            ).summary()
        } catch  where session.stop.isStopped {
            throw UserError("the evaluation was stopped")
        } catch let failure as PoolFailure {
            // A message about a file names it; one about dead evaluators cannot.
            let name = Int(exactly: failure.ticket.rawValue).map { samples[$0].imagePath } ?? "\(failure.ticket)"
            throw UserError(
                failure.message.contains(name)
                    ? failure.message
                    : "\(name): cannot be evaluated (\(failure.workers.joined(separator: ", "))): \(failure.message)")
        }
    }

    /// Issues tickets 0 ..< `images` and adds up their results in this order.
    private static func measure(
        _ images: Int, classes: Int, _ consumer: PoolConsumer, _ session: EvaluationSession,
        ticket: (_ image: Int) -> EvaluationTicket
    ) throws -> ConfusionMatrix {
        var sum = ConfusionMatrix(classes: classes)
        var issued = 0
        session.progress(0, images)
        for image in 0..<images {
            while issued < min(images, image + 1 + ahead) {
                try consumer.issue(Ticket(id: TicketID(UInt64(issued)), body: ticket(issued).wireJSON()))
                issued += 1
            }
            guard let result = try consumer.next() else { throw PoolError.closed }
            let counts = try result.tensor("confusion", .int64, [classes, classes])
            do {
                try sum.merge(ConfusionMatrix(classes: classes, counts: counts.array()))
            } catch {
                throw UserError(
                    "\(result.worker) answered ticket \(result.id) with what is no confusion matrix: \(error)")
            }
            session.progress(image + 1, images)
        }
        return sum
    }

    private static func labelledSamples(of split: String, in index: DatasetIndex) throws -> [SampleFiles] {
        guard try index.listing(of: split).labelFolder != nil else {
            throw UserError(
                "\(index.root): split '\(split)' has no label maps to evaluate against; 'picoflow predict' needs none")
        }
        return try index.samples(of: split)
    }
}
