import Basics
import Configuration
import Datasets
import Foundation
import Imaging
import Models
import StageKit
import Tensors

/// Labels images with a run's network and writes them as overlays: `picoflow predict` runs it once, without a pool.
public enum PredictJob {
    public struct Options: Sendable, Equatable {
        /// The run's directory.
        public var run: String
        /// A checkpoint's folder; the run's newest where nil.
        public var checkpoint: String?
        public var images: [String]
        /// Folder for the overlays; made if missing.
        public var out: String
        /// Folder for label maps as well; made if missing. None are written where nil.
        public var labels: String?
        /// All processors where nil.
        public var threads: Int?
        public var device: Tensors.Device = .cpu

        public init(run: String, checkpoint: String? = nil, images: [String], out: String) {
            self.run = run
            self.checkpoint = checkpoint
            self.images = images
            self.out = out
        }
    }

    /// Writes `OUT/NAME-overlay.png` for each image, and `LABELS/NAME.png`, a class's number per pixel, if asked for.
    ///
    /// - Parameter report: gets a line that explains the colours, then one per image as it is written.
    /// - Throws: `UserError` that names the file, folder or setting at fault. Overlays written before stay.
    public static func run(_ options: Options, report: (String) -> Void) throws {
        let targets = try targets(of: options)
        if let threads = options.threads { try Torch.setThreads(threads) }
        try Torch.checkDevice(options.device)

        let recipe = try Recipe.resolve(path: options.run + "/recipe.yaml")
        let classes = try classes(ofRun: options.run, recipe)
        let checkpoint = try options.checkpoint ?? RunCheckpoints.newest(inRun: options.run)
        let network = try Network.trained(recipe.model, classes: classes.count, checkpoint: checkpoint)
        let inference = try Inference(
            network: network, settings: recipe.evaluate, window: recipe.evaluationWindow,
            precision: recipe.model.precision, device: options.device)

        for folder in [options.out] + (options.labels.map { [$0] } ?? []) { try makeFolder(folder) }
        report("classes: " + classes.map { "\($0.name) \(hex($0.color))" }.joined(separator: ", "))
        let palette = classes.map(\.color)
        for (image, target) in zip(options.images, targets) {
            let picture = try ImageFile.readImage(image)
            let labels = try inference.labels(of: picture)
            let overlay = try picture.overlaid(with: labels, palette: palette)
            try ImageFile.write(PNG.encode(overlay), to: target.overlay)
            if let path = target.labels { try ImageFile.write(PNG.encode(labels), to: path) }
            report("\(target.overlay): \(shares(of: labels, classes.map(\.name)))")
        }
    }

    /// What the run noted of its dataset in `dataset.json`, which may have gone since; the dataset itself otherwise.
    static func classes(ofRun directory: String, _ recipe: Recipe) throws -> [ClassInfo] {
        let path = directory + "/dataset.json"
        guard let data = FileManager.default.contents(atPath: path) else {
            return try Dataset.open(recipe.dataset).classes
        }
        guard let summary = try? JSONDecoder().decode(DatasetSummary.self, from: data),
            summary.palette.count == summary.classes.count, summary.palette.allSatisfy({ $0.count == 3 })
        else { throw UserError("\(path): is no description of a dataset as a run writes it") }
        return zip(summary.classes, summary.palette).map { name, color in
            ClassInfo(name: name, color: RGB8(color[0], color[1], color[2]))
        }
    }

    private struct Target {
        var overlay: String
        var labels: String?
    }

    /// Where each image's overlay and label map go.
    ///
    /// - Throws: `UserError` where there is no image, two would be written to the same file, or one be overwritten.
    private static func targets(of options: Options) throws -> [Target] {
        guard !options.images.isEmpty else { throw UserError("predict needs at least one image") }
        let images = Set(options.images.map(absolute))
        var taken: [String: String] = [:]
        return try options.images.map { image in
            let name = ((image as NSString).lastPathComponent as NSString).deletingPathExtension
            let target = Target(
                overlay: "\(options.out)/\(name)-overlay.png", labels: options.labels.map { "\($0)/\(name).png" })
            for path in [target.overlay] + (target.labels.map { [$0] } ?? []) {
                if let other = taken.updateValue(image, forKey: absolute(path)) {
                    throw UserError("\(other) and \(image) would both be written to \(path); predict them apart")
                }
                guard !images.contains(absolute(path)) else {
                    throw UserError("\(path) is one of the images and would be overwritten; name another folder")
                }
            }
            return target
        }
    }

    private static func absolute(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }

    private static func makeFolder(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw UserError("cannot make the folder \(path): \((error as NSError).localizedDescription)")
        }
    }

    /// The three largest classes: `road 41 %, sky 27 %, building 12 %`.
    private static func shares(of labels: LabelMap, _ names: [String]) -> String {
        var counts = [Int](repeating: 0, count: 256)
        labels.values.withUnsafeBytes { for value in $0 { counts[Int(value)] += 1 } }
        let present = names.indices.filter { counts[$0] > 0 }
        let largest = present.sorted { (counts[$1], $0) < (counts[$0], $1) }.prefix(3)
        return largest.map { index in
            let share = 100 * Double(counts[index]) / Double(labels.values.count)
            return "\(names[index]) \(Int(share.rounded())) %"
        }.joined(separator: ", ")
    }

    private static func hex(_ color: RGB8) -> String {
        "#" + [color.red, color.green, color.blue].map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

/// The checkpoints in a run's directory.
public enum RunCheckpoints {
    /// The complete checkpoint of the highest step: its manifest is written last.
    ///
    /// - Throws: `UserError` where there is none.
    public static func newest(inRun directory: String) throws -> String {
        let folder = directory + "/checkpoints"
        guard let newest = Checkpoint.list(in: folder).last else {
            throw UserError("\(folder): holds no complete checkpoint")
        }
        return newest.path
    }
}
