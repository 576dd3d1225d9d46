import Basics
import Configuration
import Datasets
import Imaging
import StageKit
import Wire

/// Measures a checkpoint on a split of the recipe's dataset: one ticket per image to the evaluators, whose confusion
/// matrices it adds up and whose predictions it writes.
public struct PoolEvaluation: CheckpointEvaluation {
    private let split: String?
    private let folder: String?
    private let draws: Bool

    /// - Parameters:
    ///   - split: what to measure on; the recipe's `dataset.evaluationSplit` where nil.
    ///   - folder: where predictions go, as the dataset's test server wants them; none are written where nil.
    ///   - draws: whether the result has pictures of some of the images.
    public init(split: String? = nil, writingTo folder: String? = nil, drawing draws: Bool = false) {
        self.split = split
        self.folder = folder
        self.draws = draws
    }

    /// Tickets under way beyond the result that is waited for. More than evaluators have credit for together, and few
    /// enough for their matrices to take a few megabytes.
    private static let ahead = 64

    /// - Throws: `UserError`: a split that is missing, empty or of no use without labels, before anything is bound; an
    ///   image that cannot be evaluated, by name; or that the evaluation was stopped.
    public func evaluate(_ session: EvaluationSession) throws -> EvaluationResult {
        // Evaluators may run in another working directory; what they say of a file names it as we do.
        let dataset = session.recipe.dataset.absolutePaths()
        let index = try Dataset.open(dataset)
        try Self.check(index.classNames, against: session.classes, of: dataset)
        let split = split ?? session.recipe.dataset.evaluationSplit
        let samples = try index.samples(of: split)
        let digest = try index.digest(of: split)
        let isLabelled = samples.allSatisfy { $0.labelPath != nil }
        guard isLabelled || folder != nil else {
            throw UserError(
                "\(index.root): split '\(split)' has no label maps to evaluate against; 'picoflow eval --write DIR' writes its predictions"
            )
        }
        let predictions = try folder.map {
            try PredictionFolder($0, for: samples, of: index)
        }

        let consumer = try PoolConsumer(
            endpoint: session.endpoint, as: session.sender, epoch: session.epoch, context: session.context,
            settings: Wire.PoolSettings(session.pool))
        defer { consumer.close() }
        // A closed pool ends the wait for a result.
        session.stop.onStop { _ in consumer.close() }
        session.onWorkerLoss { worker, expected in
            expected ? consumer.expectLoss(of: worker) : consumer.reportLoss(of: worker)
        }
        // Training beside it may remove the checkpoint before the end.
        let step = Checkpoint.step(ofFolder: session.checkpoint)
        do {
            var matrix = ConfusionMatrix(classes: index.classes.count)
            var selection = draws && isLabelled ? PictureSelection(images: samples.count) : nil
            var measured = 0
            try Self.collect(samples.count, consumer, session) { image in
                EvaluationTicket(
                    image: image, split: split, digest: digest, dataset: dataset, model: session.recipe.model,
                    evaluation: session.recipe.evaluate, window: session.recipe.evaluationWindow,
                    checkpoint: session.checkpoint, measures: isLabelled,
                    returnsLabels: predictions != nil || selection != nil)
            } each: { image, result in
                let own = isLabelled ? try result.confusion(classes: matrix.classes) : nil
                if let own { try matrix.merge(own) }
                guard predictions != nil || selection != nil else { return }
                let labels = try result.labels(classes: matrix.classes)
                try predictions?.write(labels, ofSample: image)
                let score = own?.meanIoU
                measured += score == nil ? 0 : 1
                selection?.offer(image, score: score, prediction: labels)
            }
            var found = EvaluationResult(
                report: EvaluationReport(
                    isLabelled ? matrix : nil, classes: index.classNames, split: split, images: samples.count,
                    step: step, written: folder))
            if let selection, let step {
                do {
                    found.pictures = try EvaluationPictures(
                        selection.chosen(of: measured), of: samples, in: index, step: step, split: split)
                } catch {
                    // Numbers are what an evaluation is for.
                    found.trouble = "no pictures of this evaluation: \(errorLine(error))"
                }
            }
            return found
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

    /// A description may have been edited since: one that numbers classes otherwise would measure another network. One that
    /// calls them otherwise does not.
    private static func check(_ names: [String], against trained: [String], of dataset: DatasetSettings) throws {
        let moved = trained.enumerated().contains { number, name in
            names.firstIndex(of: name).map { $0 != number } ?? false
        }
        guard moved || names.count != trained.count else { return }
        throw UserError(
            "\(dataset.place): its classes are no longer those that the run was trained on, \(trained.joined(separator: ", ")); "
                + "--set dataset.description=FILE names a description that has them")
    }

    /// Issues tickets 0 ..< `images` and hands on their results in this order.
    private static func collect(
        _ images: Int, _ consumer: PoolConsumer, _ session: EvaluationSession,
        ticket: (_ image: Int) -> EvaluationTicket, each: (_ image: Int, TicketResult) throws -> Void
    ) throws {
        var issued = 0
        session.progress(0, images)
        for image in 0..<images {
            while issued < min(images, image + 1 + ahead) {
                try consumer.issue(Ticket(id: TicketID(UInt64(issued)), body: ticket(issued).wireJSON()))
                issued += 1
            }
            guard let result = try consumer.next() else { throw PoolError.closed }
            try each(image, result)
            session.progress(image + 1, images)
        }
    }
}

extension TicketResult {
    /// - Throws: `UserError` that names the worker, for anything but a confusion matrix of so many classes.
    fileprivate func confusion(classes: Int) throws -> ConfusionMatrix {
        let counts = try tensor("confusion", .int64, [classes, classes])
        do {
            return try ConfusionMatrix(classes: classes, counts: counts.array())
        } catch {
            throw UserError("\(worker) answered ticket \(id) with what is no confusion matrix: \(error)")
        }
    }

    /// - Throws: `UserError` that names the worker, for anything but a map of so many classes.
    fileprivate func labels(classes: Int) throws -> LabelMap {
        guard let tensor = tensors.first(where: { $0.name == "labels" }), tensor.dtype == .uint8,
            tensor.shape.count == 2, tensor.bytes.withUnsafeBytes({ $0.allSatisfy { $0 < classes } })
        else { throw UserError("\(worker) answered ticket \(id) with what is no map of \(classes) classes") }
        return try LabelMap(width: tensor.shape[1], height: tensor.shape[0], values: tensor.bytes)
    }
}
