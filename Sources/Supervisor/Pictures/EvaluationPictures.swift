import Basics
import Foundation
import Imaging
import StageKit

/// Pictures of some of an evaluation's images, as they are kept in `evaluations/step-NNNNNN/` of a run: one PNG each, and
/// `pictures.json`, which says what they show.
///
/// A picture is a strip of four equal tiles: the image, its label map, the prediction, and where that is wrong. A run keeps those
/// of its newest evaluation; event files have the fixed ones of all.
public struct EvaluationPictures: Codable, Sendable, Equatable {
    public enum Choice: String, Codable, Sendable {
        /// One of the few that every evaluation shows.
        case fixed
        case best
        case worst
    }

    public struct Picture: Codable, Sendable, Equatable {
        /// Index in the split's list.
        public var image: Int
        /// The image's.
        public var name: String
        /// Mean IoU of this image alone, over the classes that it has or is said to have.
        public var mIoU: Double?
        public var choices: [Choice]
        /// Of a tile.
        public var width: Int
        public var height: Int
        /// Name of its PNG.
        public var file: String
        /// The PNG; not in the JSON.
        public var png: [UInt8] = []

        private enum CodingKeys: CodingKey { case image, name, mIoU, choices, width, height, file }
    }

    public var step: UInt64
    public var split: String
    /// In the split's order.
    public var pictures: [Picture]

    public static let listing = "pictures.json"

    /// Those of a choice: the best ones best first, the worst ones worst first.
    public func pictures(_ choice: Choice) -> [Picture] {
        let found = pictures.filter { $0.choices.contains(choice) }
        switch choice {
        case .fixed: return found
        case .best: return found.sorted { ($1.mIoU ?? 0, $0.image) < ($0.mIoU ?? 0, $1.image) }
        case .worst: return found.sorted { ($0.mIoU ?? 0, $0.image) < ($1.mIoU ?? 0, $1.image) }
        }
    }

    // MARK: In a run

    static func folder(inRun directory: String, step: UInt64) -> String {
        "\(directory)/evaluations/\(Checkpoint.folderName(step: step))"
    }

    /// Writes the pictures, whole or not at all, and removes those of other evaluations.
    public func write(inRun directory: String) throws {
        let folder = Self.folder(inRun: directory, step: step)
        let aside = folder + ".partial"
        let files = FileManager.default
        try? files.removeItem(atPath: aside)
        do {
            try files.createDirectory(atPath: aside, withIntermediateDirectories: true)
            for picture in pictures { try ImageFile.write(picture.png, to: aside + "/" + picture.file) }
            try ImageFile.write(Array(prettyJSON().utf8), to: aside + "/" + Self.listing)
            try? files.removeItem(atPath: folder)
            guard rename(aside, folder) == 0 else { throw DurableFile.systemError("cannot rename \(aside) to", folder) }
        } catch {
            try? files.removeItem(atPath: aside)
            throw error
        }
        for other in Self.steps(inRun: directory) where other != step {
            try? files.removeItem(atPath: Self.folder(inRun: directory, step: other))
        }
    }

    /// The newest pictures of a run, their PNGs too; nil where there are none.
    public static func newest(inRun directory: String) -> EvaluationPictures? {
        for step in steps(inRun: directory).reversed() {
            let folder = folder(inRun: directory, step: step)
            guard let bytes = FileManager.default.contents(atPath: folder + "/" + listing),
                var read = try? JSONDecoder().decode(EvaluationPictures.self, from: bytes)
            else { continue }
            read.pictures = read.pictures.compactMap { picture in
                // A name, not a way out of the folder.
                guard !picture.file.contains("/"),
                    let png = FileManager.default.contents(atPath: folder + "/" + picture.file)
                else { return nil }
                var picture = picture
                picture.png = Array(png)
                return picture
            }
            return read
        }
        return nil
    }

    /// Ascending.
    private static func steps(inRun directory: String) -> [UInt64] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory + "/evaluations")) ?? []
        return names.compactMap { Checkpoint.step(inPath: $0) }.sorted()
    }
}
