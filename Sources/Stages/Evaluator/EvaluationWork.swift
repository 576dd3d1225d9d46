import Basics
import Configuration
import Datasets
import Imaging
import Models
import StageKit
import Tensors

/// Executes evaluation tickets, one image each; keeps the dataset's listing and the network of the last ones.
///
/// One owner: it is called from one thread.
final class EvaluationWork {
    private struct NetworkKey: Equatable {
        let checkpoint: String, model: ModelSettings, classes: Int, evaluation: EvaluationSettings, window: [Int]?
    }

    /// What a ticket asked for.
    struct Outcome {
        var confusion: ConfusionMatrix?
        var labels: LabelMap?
    }

    private let device: Device
    private var dataset: (settings: DatasetSettings, index: DatasetIndex)?
    private var samples: (split: String, digest: String?, files: [SampleFiles])?
    private var inference: (key: NetworkKey, inference: Inference)?

    init(device: Device) { self.device = device }

    /// Labels one image, and counts its labels against that.
    ///
    /// - Throws: `UserError` that names the file or the setting at fault.
    func execute(_ ticket: EvaluationTicket) throws -> Outcome {
        let index = try dataset(ticket.dataset)
        let files = try samples(ticket, index)
        guard files.indices.contains(ticket.image) else {
            throw UserError("split '\(ticket.split)' has \(files.count) images; there is no image \(ticket.image)")
        }
        let inference = try inference(ticket, classes: index.classes.count)
        var outcome = Outcome()
        let prediction: LabelMap
        if ticket.measures {
            let (image, label) = try Dataset.readSample(files[ticket.image], mapping: index.labelMapping)
            prediction = try inference.labels(of: image)
            var confusion = ConfusionMatrix(classes: index.classes.count)
            try confusion.accumulate(prediction: prediction, label: label)
            outcome.confusion = confusion
        } else {
            prediction = try inference.labels(of: ImageFile.readImage(files[ticket.image].imagePath))
        }
        if ticket.returnsLabels { outcome.labels = prediction }
        return outcome
    }

    private func dataset(_ settings: DatasetSettings) throws -> DatasetIndex {
        if let dataset, dataset.settings == settings { return dataset.index }
        let index = try Dataset.open(settings)
        dataset = (settings, index)
        samples = nil
        return index
    }

    private func samples(_ ticket: EvaluationTicket, _ index: DatasetIndex) throws -> [SampleFiles] {
        let split = ticket.split
        if let samples, samples.split == split, samples.digest == ticket.digest { return samples.files }
        let files = try index.samples(
            of: split, unchangedFrom: ticket.digest, since: "this evaluation began; evaluate again")
        samples = (split, ticket.digest, files)
        return files
    }

    /// A checkpoint's folder is never written twice, so its path stands for its contents.
    private func inference(_ ticket: EvaluationTicket, classes: Int) throws -> Inference {
        let key = NetworkKey(
            checkpoint: ticket.checkpoint, model: ticket.model, classes: classes, evaluation: ticket.evaluation,
            window: ticket.window)
        if let inference, inference.key == key { return inference.inference }
        inference = nil  // the old network's memory first
        let network = try Network.trained(ticket.model, classes: classes, checkpoint: ticket.checkpoint)
        let made = try Inference(
            network: network, settings: ticket.evaluation, window: ticket.window, precision: ticket.model.precision,
            device: device)
        inference = (key, made)
        return made
    }
}
