import Basics
import Configuration
import Datasets
import Foundation
import Imaging
import Models
import StageKit
import Tensors

/// Labels images and videos with a run's network and writes them as overlays: `picoflow predict` runs it once, without a pool.
public enum PredictJob {
    public struct Options: Sendable, Equatable {
        /// The run's directory.
        public var run: String
        /// A checkpoint's folder.
        public var checkpoint: String
        /// Images, videos, and folders of them.
        public var images: [String]
        /// Folder for the overlays; made if missing.
        public var out: String
        /// Folder for label maps as well; made if missing. None are written where nil.
        public var labels: String?
        /// Also writes each picture beside its labels and the overlay.
        public var sideBySide = false
        /// Also writes which colour is which class.
        public var legend = false
        /// `KEY=VALUE` over the run's recipe.
        public var overrides: [String] = []
        /// All processors where nil.
        public var threads: Int?
        public var device: Device = .cpu

        public init(run: String, checkpoint: String, images: [String], out: String) {
            self.run = run
            self.checkpoint = checkpoint
            self.images = images
            self.out = out
        }
    }

    /// Writes for each image
    ///
    /// | file | holds |
    /// |---|---|
    /// | `OUT/NAME-overlay.png` | the image with the classes' colours laid over it |
    /// | `OUT/NAME-side-by-side.png` | image, colours, overlay, where asked for |
    /// | `LABELS/NAME.png` | a class's number per pixel, where asked for |
    ///
    /// and for each video the same as `.mp4`, with a label map per frame, `LABELS/NAME/NNNNNN.png`; and `OUT/legend.svg`,
    /// where asked for.
    ///
    /// - Parameters:
    ///   - note: gets a line now and then while a long video is predicted.
    ///   - progress: called after each image or video.
    ///   - report: gets a line that explains the colours, then one per image or video as it is written.
    /// - Returns: what the report says, for programs.
    /// - Throws: `UserError` that names the file, folder or setting at fault. What was written before stays.
    @discardableResult public static func run(
        _ options: Options, note: (String) -> Void = { _ in },
        progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }, report: (String) -> Void
    ) throws -> Predictions {
        let files = try PredictionFiles.all(of: options)
        // Before a network is read, which takes its time.
        for video in files where video.kind == .video {
            for name in ["ffmpeg", "ffprobe"] { _ = try FFmpeg.program(name, for: video.source) }
        }
        if let threads = options.threads { try Torch.setThreads(threads) }
        try Torch.checkDevice(options.device)

        let recipe = try Recipe.resolve(path: options.run + "/recipe.yaml", overrides: options.overrides)
        try checkSpared(recipe.dataset, by: files)
        let classes = try classes(ofRun: options.run, recipe)
        let network = try Network.trained(recipe.model, classes: classes.count, checkpoint: options.checkpoint)
        let painter = Painter(
            inference: try Inference(
                network: network, settings: recipe.evaluate, window: recipe.evaluationWindow,
                precision: recipe.model.precision, device: options.device), palette: classes.map(\.color))

        for folder in [options.out] + (options.labels.map { [$0] } ?? []) { try DurableFile.makeFolder(folder) }
        report("classes: " + classes.map { "\($0.name) \($0.color.hex)" }.joined(separator: ", "))
        var predictions = Predictions(classes: classes.map { .init(name: $0.name, color: $0.color.hex) })
        if options.legend {
            let path = options.out + "/legend.svg"
            try ImageFile.write(Array(ClassLegend.svg(classes).utf8), to: path)
            report("\(path): the colours' legend")
            predictions.legend = path
        }
        let names = classes.map(\.name)
        for (index, file) in files.enumerated() {
            let (shares, frames) =
                switch file.kind {
                case .image: (try predict(image: file, painter), nil as Int?)
                case .video: try predict(video: file, painter, note: note)
                }
            let count = frames.map { "\($0) frame\($0 == 1 ? "" : "s"), " } ?? ""
            report("\(file.overlay): \(count)\(shares.text(names))")
            predictions.files.append(
                .init(
                    source: file.source, overlay: file.overlay, labels: file.labels, sideBySide: file.besides,
                    frames: frames, shares: shares.shares(names)))
            progress(index + 1, files.count)
        }
        return predictions
    }

    /// - Throws: `UserError` where one of the dataset's own files would be overwritten (`--labels` of `picoflow init` is the
    ///   folder of label maps drawn by hand), or where others would come among them, which are no samples.
    private static func checkSpared(_ settings: DatasetSettings, by files: [PredictionFiles]) throws {
        func isThere(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }
        guard let folder = files.flatMap(\.folders).first(where: isThere) else { return }
        let there = files.flatMap(\.results).filter(isThere)
        let index: DatasetIndex
        do {
            index = try Dataset.open(settings)
        } catch {
            // A dataset that has gone has nothing to lose; of one that is not whole nobody knows what is its own.
            guard !there.isEmpty, isThere(settings.place) else { return }
            throw UserError("\(error); so \(folder) may hold files of the run's dataset: name one that is not there")
        }
        // Of a large dataset that takes a moment.
        let own = there.isEmpty ? [] : Set(index.files.map { DurableFile.real($0) })
        if let path = there.first(where: { own.contains(DurableFile.real($0)) }) {
            throw UserError("\(path) is one of the run's dataset and would be overwritten; name another folder")
        }
        if let path = index.ownFolder(among: files.flatMap(\.folders)) {
            throw UserError("\(path) holds images or label maps of the run's dataset; name another folder")
        }
    }

    private static func predict(image files: PredictionFiles, _ painter: Painter) throws -> ClassShares {
        let painted = try painter.paint(ImageFile.readPhotograph(files.source))
        try ImageFile.write(PNG.encode(painted.overlay), to: files.overlay)
        if let path = files.besides { try ImageFile.write(PNG.encode(painted.sideBySide), to: path) }
        if let path = files.labels { try ImageFile.write(PNG.encode(painted.labels), to: path) }
        var shares = ClassShares()
        painted.labels.values.withUnsafeBytes { shares.add($0) }
        return shares
    }

    private static func predict(
        video files: PredictionFiles, _ painter: Painter, note: (String) -> Void
    ) throws -> (ClassShares, frames: Int?) {
        let reader = try VideoReader(files.source)
        if let folder = files.labels { try DurableFile.makeFolder(folder) }
        var overlay: VideoWriter?
        var besides: VideoWriter?
        var shares = ClassShares()
        var frames = 0
        while let frame = try reader.next() {
            let painted = try painter.paint(frame)
            frames += 1
            if overlay == nil {
                overlay = try VideoWriter(
                    files.overlay, width: frame.width, height: frame.height, rate: reader.rate)
                besides = try files.besides.map {
                    try VideoWriter($0, width: 3 * frame.width, height: frame.height, rate: reader.rate)
                }
            }
            try overlay?.append(painted.overlay)
            if let besides { try besides.append(painted.sideBySide) }
            if let folder = files.labels {
                try ImageFile.write(PNG.encode(painted.labels), to: "\(folder)/\(frames.digits(6)).png")
            }
            painted.labels.values.withUnsafeBytes { shares.add($0) }
            if frames % 100 == 0 { note("\(files.source): \(frames) frames so far") }
        }
        guard frames > 0 else { throw UserError("\(files.source): holds no frame") }
        try overlay?.finish()
        try besides?.finish()
        if let folder = files.labels { try removeFrames(after: frames, in: folder) }
        if let trouble = reader.trouble { note("\(files.source): ffmpeg says: \(trouble); frames may be missing") }
        return (shares, frames)
    }

    /// Removes the label maps of a longer video that was predicted into the same folder before.
    private static func removeFrames(after last: Int, in folder: String) throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
            guard let frame = Int(name.dropLast(4)), frame > last, name == frame.digits(6) + ".png" else { continue }
            try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
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
}

/// Labels pictures and lays the colours over them.
private struct Painter {
    struct Painted {
        var labels: LabelMap
        var overlay: Image
        /// Picture, colours, overlay.
        var sideBySide: Image { Image.strip([picture, labels.colored(with: palette), overlay]) }
        fileprivate var picture: Image
        fileprivate var palette: [RGB8]
    }

    let inference: Inference
    let palette: [RGB8]

    func paint(_ picture: Image) throws -> Painted {
        let labels = try inference.labels(of: picture)
        return Painted(
            labels: labels, overlay: try picture.overlaid(with: labels, palette: palette), picture: picture,
            palette: palette)
    }
}
