import Basics
import Foundation
import Imaging

/// Makes a dataset of small street scenes, for trying the program out without downloading anything.
///
/// JPEG images and PNG label maps in CamVid's layout (`train`, `trainannot`, `val`, `valannot`), and `dataset.yaml`, which
/// `FolderDataset` reads. Ten classes, and the own car's bonnet as an ignored place. Surfaces of different classes share
/// colours and textures, so that place and shape decide. Scenes of train and val come from different draws.
public enum Synthesizer {
    public struct Options: Sendable, Equatable {
        /// The same seed gives the same files, byte for byte.
        public var seed: UInt64 = 0
        public var width = 160
        public var height = 120
        /// Numbers of images.
        public var train = 160
        public var val = 40
        /// JPEG quality; compression noise at colour borders is part of the task.
        public var quality = 85

        public init() {}
    }

    /// What was written.
    public struct Report: Codable, Sendable, Equatable {
        public var root: String
        /// Path of the description that a recipe names as `dataset.description`.
        public var description: String
        public var train: Int
        public var val: Int
        public var width: Int
        public var height: Int

        public var text: String {
            "\(train) training and \(val) validation images of \(width)x\(height) pixels in \(root), described by \(description)"
        }
    }

    /// Names and colours of the classes.
    public static let classes: [ClassInfo] = [
        ClassInfo(name: "sky", color: RGB8(70, 130, 180)), ClassInfo(name: "building", color: RGB8(70, 70, 70)),
        ClassInfo(name: "road", color: RGB8(128, 64, 128)), ClassInfo(name: "pavement", color: RGB8(244, 35, 232)),
        ClassInfo(name: "tree", color: RGB8(107, 142, 35)), ClassInfo(name: "car", color: RGB8(0, 0, 142)),
        ClassInfo(name: "pole", color: RGB8(153, 153, 153)), ClassInfo(name: "person", color: RGB8(220, 20, 60)),
        ClassInfo(name: "sign", color: RGB8(220, 220, 0)), ClassInfo(name: "fence", color: RGB8(190, 153, 153)),
    ]

    /// Writes the dataset into a new or empty folder.
    ///
    /// - Parameter progress: called before the first and after each image.
    /// - Throws: `UserError` for impossible options, a folder that holds something, or a failed write.
    public static func write(
        to root: String, options: Options = Options(), progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws -> Report {
        try check(options)
        guard !root.isEmpty else { throw UserError("a folder to write the dataset to is expected") }
        if let found = try? FileManager.default.contentsOfDirectory(atPath: root), !found.isEmpty {
            throw UserError("\(root): is not empty; give a new folder, or remove this one first")
        }
        let total = options.train + options.val
        var done = 0
        progress(done, total)
        for (split, count, first) in [("train", options.train, 0), ("val", options.val, 1 << 32)] {
            let images = Folders.join(root, split)
            try DurableFile.makeFolder(images)
            try DurableFile.makeFolder(images + "annot")
            for index in 0..<count {
                let sample = render(options: options, index: UInt64(first + index))
                let name = index.digits(5)
                try ImageFile.write(
                    try JPEG.encode(sample.image, quality: options.quality), to: "\(images)/\(name).jpg")
                try ImageFile.write(try PNG.encode(sample.label), to: "\(images)annot/\(name).png")
                done += 1
                progress(done, total)
            }
        }
        let description = Folders.join(root, "dataset.yaml")
        try ImageFile.write(Array(yaml(options).utf8), to: description)
        return Report(
            root: root, description: description, train: options.train, val: options.val, width: options.width,
            height: options.height)
    }

    /// One scene; `index` 2^32 and up are the validation scenes.
    static func render(options: Options, index: UInt64) -> (image: Image, label: LabelMap) {
        StreetPainter(
            scene: StreetScene(seed: options.seed, index: index), width: options.width, height: options.height
        ).paint()
    }

    private static func yaml(_ options: Options) -> String {
        var lines = [
            "# \(options.train) + \(options.val) synthetic street scenes, seed \(options.seed). Value 255: ignored.",
            "classes:",
        ]
        for info in classes {
            lines.append(
                "  - {name: \(info.name), color: [\(info.color.red), \(info.color.green), \(info.color.blue)]}")
        }
        lines += [
            "ignore: 255", "splits:", "  train: {images: train, labels: trainannot}",
            "  val: {images: val, labels: valannot}", "",
        ]
        return lines.joined(separator: "\n")
    }

    private static func check(_ options: Options) throws {
        guard (16...4096).contains(options.width), (16...4096).contains(options.height) else {
            throw UserError("size \(options.width)x\(options.height): sides of 16 to 4096 pixels are possible")
        }
        guard (1...99_999).contains(options.train), (1...99_999).contains(options.val) else {
            throw UserError("\(options.train) training and \(options.val) validation images: 1 to 99999 are possible")
        }
        guard (1...100).contains(options.quality) else {
            throw UserError("JPEG quality \(options.quality) is not between 1 and 100")
        }
    }
}
