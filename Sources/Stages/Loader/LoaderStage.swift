import Basics
import Configuration
import Datasets
import Foundation
import Imaging
import StageKit
import Wire

/// What `picoflow-loader` does: serves sample tickets. It reads, decodes and augments one image per ticket and keeps
/// nothing between tickets but the list of files.
public enum LoaderStage {
    /// Serves until the supervisor says stop, or until every consumer drains it.
    public static func run(_ runtime: StageRuntime) throws {
        let configuration = runtime.configuration
        let datasets = DatasetCache(root: runtime.datasetRoot, digest: configuration.dataset.digest)
        // Before a ticket can come: another list of files is this loader's fault and no image's.
        _ = try datasets.files(0, of: configuration.recipe.dataset.absolutePaths())
        // A ticket in hand beside each one in work: the next decode starts without a round trip.
        let worker = try runtime.poolWorker(.samples, credit: configuration.threads * 2)
        runtime.report(.waiting, waitingOn: "its consumer")
        let batch = UInt64(configuration.recipe.schedule.batch)
        try worker.run(threads: configuration.threads) { ticket, _ in
            let wanted = try JSONDecoder().decode(SampleTicket.self, from: ticket.body)
            return try runtime.execute(step: wanted.step(ofBatch: batch), "image \(wanted.image)") {
                try sample(for: wanted, datasets: datasets)
            }
        }
    }

    /// The sample that a ticket describes: the same bytes whoever makes it.
    ///
    /// - Throws: an error that names the file.
    static func sample(for ticket: SampleTicket, datasets: DatasetCache) throws -> TicketOutput {
        let (files, mapping) = try datasets.files(ticket.image, of: ticket.dataset)
        guard ticket.padding.count == 3 else {
            throw UserError("a ticket's padding has \(ticket.padding.count) values; red, green and blue are needed")
        }
        let crop = try Dataset.readCrop(files, mapping: mapping, settings: ticket.augmentation, seed: ticket.seed)
        let (image, label) = crop.augmented(
            padding: RGB8(ticket.padding[0], ticket.padding[1], ticket.padding[2]))
        return TicketOutput(
            body: try SampleReport(name: files.name).wireJSON(),
            tensors: try SampleTicket.tensors(
                image: image.pixels, label: label.values, height: image.height, width: image.width))
    }

    /// The hash of fixed decodes, whole and in part, and of a resize: loaders that disagree on it would change the run's bits.
    public static func fingerprint() throws -> Fingerprint {
        let pattern = SharedBytes((0..<64 * 48 * 3).map { UInt8(truncatingIfNeeded: ($0 * 7919) >> 3) })
        let image = try Image(width: 64, height: 48, pixels: pattern)
        let decoded = try JPEG.decode(SharedBytes(try JPEG.encode(image, quality: 90)), name: "fingerprint")
        // Versions of libjpeg-turbo differ in how they spread colours that pixels share.
        let parts = try JPEG.ChromaSubsampling.allCases.flatMap { subsampling in
            let file = SharedBytes(try JPEG.encode(image, quality: 90, subsampling: subsampling))
            return try [1, 2, 4, 8].map { shrink in
                let region = PixelRegion(left: 2, top: 1, width: 50 / shrink, height: 40 / shrink)
                return try JPEG.decode(file, region: region, shrink: shrink, name: "fingerprint")
            }
        }
        let label = try LabelMap(width: 64, height: 48, values: SharedBytes([UInt8](repeating: 0, count: 64 * 48)))
        var settings = AugmentationSettings()
        settings.crop = [40, 56]
        let sample = try augment(
            decoded, label, settings: settings, seed: 1, padding: RGB8(0, 0, 0))
        return Fingerprint.compute(versions: [:]) { hash in
            hash.update(decoded.pixels)
            for part in parts { hash.update(part.pixels) }
            hash.update(sample.image.pixels)
        }
    }
}

/// The datasets that tickets named so far, each listed once.
///
/// `@unchecked Sendable`: the lock guards the only mutable state.
final class DatasetCache: @unchecked Sendable {
    private let lock = NSLock()
    private let root: String?
    private let digest: String?
    private var opened: [(settings: DatasetSettings, files: [SampleFiles], mapping: LabelMapping)] = []

    /// - Parameters:
    ///   - root: where this host has the dataset; nil where it is where tickets say.
    ///   - digest: of the split that the run was started with.
    init(root: String? = nil, digest: String? = nil) {
        self.root = root
        self.digest = digest
    }

    /// The files of one image of the settings' split.
    ///
    /// - Throws: `UserError` where the ticket's index is outside the split: the loader sees another dataset than compute.
    func files(_ image: Int, of settings: DatasetSettings) throws -> (SampleFiles, LabelMapping) {
        lock.lock()
        defer { lock.unlock() }
        let known: (settings: DatasetSettings, files: [SampleFiles], mapping: LabelMapping)
        if let found = opened.first(where: { $0.settings == settings }) {
            known = found
        } else {
            let index = try Dataset.open(root.map(settings.moved) ?? settings)
            let files = try index.samples(
                of: settings.split, unchangedFrom: digest,
                since: "the run was started; a loader that begins now would read other images")
            known = (settings, files, index.labelMapping)
            opened.append(known)
        }
        guard known.files.indices.contains(image) else {
            throw UserError(
                "image \(image) of \(settings.root), split '\(settings.split)', which has \(known.files.count) here: "
                    + "do all hosts see the same files?")
        }
        return (known.files[image], known.mapping)
    }
}
