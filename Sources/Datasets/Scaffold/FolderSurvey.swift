import Basics
import Dispatch
import Foundation
import Imaging

/// What is found in somebody's folders of images and label maps, before anything is decided.
public struct FolderSurvey: Sendable, Equatable {
    /// A folder of images and one of label maps, whose files pair by their names without extension.
    public struct Split: Sendable, Equatable {
        /// Of the folders' own names; nil where there is one folder of images with no split of its own.
        public var name: String?
        public var images: String
        public var labels: String
        /// The pairs that can be read, in the order of their names' bytes.
        public var names: [String] = []
        /// What is left out, and why: `FILE: has no label map`.
        public var leftOut: [String] = []
    }

    public var splits: [Split]
    /// Pixels per value of the label files.
    public var pixels: [Int: Int]
    /// Width and height of each image that can be read.
    public var widths: [Int]
    public var heights: [Int]
    /// Photographs among them that EXIF says to turn.
    public var turned = 0
    /// Images of 16 bits a channel.
    public var deep = 0

    /// The splits that folders are named after, ours first.
    private static let splitNames = [["train", "training"], ["val", "valid", "validation", "test", "testing"]]

    /// Lists both folders, pairs their files and reads every label map and image.
    ///
    /// Where both folders hold a `train` and a `val` of their own (or `training`, `validation`, …), these are the splits.
    ///
    /// - Throws: `UserError` where a folder is missing or nothing in them pairs.
    public init(
        images: String, labels: String, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws {
        for (option, folder) in [("--images", images), ("--labels", labels)] where !isFolder(folder) {
            throw UserError("\(option) \(folder): \(whyNoFolder(folder))")
        }
        splits = Self.ownSplits(images, labels) ?? [Split(name: nil, images: images, labels: labels)]
        (pixels, widths, heights) = ([:], [], [])

        let tree = DatasetTree()
        let listings = try splits.map { split in
            try Folders.checkApart(images: split.images, labels: split.labels)
            return try Folders.pair(split: split.name ?? "all", images: split.images, labels: split.labels, in: tree)
        }
        for listing in listings where listing.samples.isEmpty { throw Self.nothingPairs(listing) }
        let total = listings.reduce(0) { $0 + $1.samples.count }
        var done = 0
        for (index, listing) in listings.enumerated() {
            splits[index].leftOut += listing.imagesWithoutLabels.map { "\($0): has no label map" }
            splits[index].leftOut += listing.labelsWithoutImages.map { "\($0): has no image" }
            // Read in portions, on all cores, so that progress shows; counted in their order.
            for start in stride(from: 0, to: listing.samples.count, by: 64) {
                let samples = Array(listing.samples[start..<min(start + 64, listing.samples.count)])
                for (sample, look) in zip(samples, Self.look(at: samples)) { add(sample, look, to: index) }
                done += samples.count
                progress(done, total)
            }
        }
        guard let empty = splits.first(where: \.names.isEmpty) else { return }
        // Behind those that lack their counterpart stand those that could not be read: here all pairs, of which there is one.
        throw UserError("\(empty.images): no image with its label map can be read; \(empty.leftOut.last!)")
    }

    private mutating func add(_ sample: SampleFiles, _ look: Result<Look, UserError>, to split: Int) {
        switch look {
        case .failure(let error): splits[split].leftOut.append(error.description)
        case .success where sample.name.contains(where: \.endsLine):
            splits[split].leftOut.append("\(sample.imagePath): has a line break in its name, which no list can hold")
        case .success(let look):
            splits[split].names.append(sample.name)
            widths.append(look.width)
            heights.append(look.height)
            if look.isTurned { turned += 1 }
            if look.isDeep { deep += 1 }
            for (value, count) in look.pixels.enumerated() where count > 0 { pixels[value, default: 0] += count }
        }
    }

    private static func ownSplits(_ images: String, _ labels: String) -> [Split]? {
        let found = splitNames.compactMap { names in
            names.first { isFolder(Folders.join(images, $0)) && isFolder(Folders.join(labels, $0)) }
        }
        guard found.count == 2 else { return nil }
        return zip(["train", "val"], found).map { name, folder in
            Split(name: name, images: Folders.join(images, folder), labels: Folders.join(labels, folder))
        }
    }

    /// Names an image and a label map that were expected to pair.
    private static func nothingPairs(_ listing: SplitListing) -> UserError {
        func name(_ path: String?) -> String? { path.map { "'\(($0 as NSString).lastPathComponent)'" } }
        let folders = "\(listing.imageFolder) and \(listing.labelFolder ?? "")"
        guard let image = name(listing.imagesWithoutLabels.first), let label = name(listing.labelsWithoutImages.first)
        else {
            let empty = listing.imagesWithoutLabels.isEmpty ? listing.imageFolder : listing.labelFolder ?? ""
            let kinds = listing.imagesWithoutLabels.isEmpty ? "JPEG or PNG images" : "PNG label maps"
            return UserError("\(empty): holds no \(kinds)")
        }
        return UserError(
            "\(folders): no image has a label map of its name; there are, for instance, the image \(image) and the "
                + "label map \(label): rename one kind so that only the extensions differ")
    }

    // MARK: One sample

    private struct Look: Sendable {
        var width: Int
        var height: Int
        var isTurned: Bool
        var isDeep: Bool
        /// Per value of the label file.
        var pixels: [Int]
    }

    private static func look(at samples: [SampleFiles]) -> [Result<Look, UserError>] {
        let slots = Slots(count: samples.count)
        DispatchQueue.concurrentPerform(iterations: samples.count) { i in
            do {
                slots.set(i, .success(try look(at: samples[i])))
            } catch {
                slots.set(i, .failure(error as? UserError ?? UserError("\(samples[i].imagePath): \(error)")))
            }
        }
        return slots.all
    }

    private static func look(at sample: SampleFiles) throws -> Look {
        let bytes = try ImageFile.readBytes(sample.imagePath)
        let image = try ImageFile.decode(bytes, name: sample.imagePath)
        let orientation = Orientation(ofJPEG: bytes)
        guard let path = sample.labelPath else { throw UserError("\(sample.imagePath): has no label map") }
        let label = try ImageFile.readLabels(path)
        do {
            try ImageFile.checkSizes(
                label: (label.width, label.height), path, image: (image.width, image.height), sample.imagePath)
        } catch  where orientation != .upright {
            throw UserError("\(error); \(Orientation.advice)")
        }
        var pixels = [Int](repeating: 0, count: 256)
        label.values.withUnsafeBytes { values in
            for i in 0..<values.count { pixels[Int(values[i])] += 1 }
        }
        return Look(
            width: image.width, height: image.height, isTurned: orientation != .upright, isDeep: PNG.isDeep(bytes),
            pixels: pixels)
    }

    /// One slot per sample, filled by whoever looks at it; `@unchecked Sendable` because the lock guards all access.
    private final class Slots: @unchecked Sendable {
        private let lock = NSLock()
        private var slots: [Result<Look, UserError>]

        init(count: Int) { slots = Array(repeating: .failure(UserError("not looked at")), count: count) }

        func set(_ index: Int, _ look: Result<Look, UserError>) { lock.withLock { slots[index] = look } }

        var all: [Result<Look, UserError>] { lock.withLock { slots } }
    }
}
