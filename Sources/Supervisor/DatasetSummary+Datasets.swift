import Basics
import Configuration
import Datasets
import Foundation
import StageKit

extension DatasetSummary {
    /// Opens a recipe's dataset, so that what is wrong with it is said before anything starts.
    ///
    /// - Throws: `UserError` that names the folder or file.
    public init(opening settings: DatasetSettings) throws { try self.init(Dataset.open(settings), settings) }

    private init(_ index: DatasetIndex, _ settings: DatasetSettings) throws {
        guard try index.listing(of: settings.split).labelFolder != nil else {
            throw UserError(
                "\(index.root): split '\(settings.split)' (dataset.split) has no label maps to train on")
        }
        let images = try index.samples(of: settings.split).count
        guard images > 0 else { throw UserError("\(index.root): split '\(settings.split)' has no images to train on") }
        self.init(
            classes: index.classNames, palette: index.palette.map { [$0.red, $0.green, $0.blue] }, images: images,
            digest: try index.digest(of: settings.split))
    }

    /// Opens the dataset of a training to be, whose network is evaluated in the end: too late to hear then that it cannot be.
    ///
    /// - Throws: `UserError` that names the folder or file.
    public init(training settings: DatasetSettings) throws {
        let index = try Dataset.open(settings)
        try self.init(index, settings)
        let split = settings.evaluationSplit
        let samples = try index.samples(of: split)
        guard !samples.isEmpty, samples.allSatisfy({ $0.labelPath != nil }) else {
            throw UserError(
                "\(index.root): split '\(split)' (dataset.evaluationSplit) has no \(samples.isEmpty ? "images" : "label maps") to evaluate on; name another split"
            )
        }
    }

    /// Reads what a run saved.
    ///
    /// - Throws: `UserError` that names the file.
    public init(contentsOf path: String) throws {
        guard let data = FileManager.default.contents(atPath: path) else { throw UserError("cannot read \(path)") }
        do {
            self = try JSONDecoder().decode(DatasetSummary.self, from: data)
        } catch {
            throw UserError("\(path) is no dataset summary; is it from another version?")
        }
    }

    func write(to path: String) throws {
        try DurableFile.write(prettyJSON(), to: path)
    }

    /// - Throws: `UserError` where the dataset is no longer the one that the run was started with.
    func checkUnchanged(since old: DatasetSummary, root: String) throws {
        if images != old.images {
            throw UserError("\(root): the training split has \(images) images, the run was started with \(old.images)")
        }
        if classes != old.classes {
            throw UserError("\(root): the classes are no longer those that the run was started with")
        }
        if let before = old.digest, let digest, digest != before {
            throw UserError(
                "\(root): the training split has other files, or labels of another meaning, than the run was started with"
            )
        }
    }
}
