import Basics
import Configuration
import Foundation
import Imaging

/// A class: what it is called and how it is drawn.
public struct ClassInfo: Codable, Sendable, Equatable {
    public var name: String
    public var color: RGB8

    public init(name: String, color: RGB8) {
        self.name = name
        self.color = color
    }
}

/// One sample's files.
public struct SampleFiles: Codable, Sendable, Equatable {
    /// Position in the split's list: the image id of the memory.
    public var id: Int
    /// File name without its extension, and without what all names of the dataset end in.
    public var name: String
    public var imagePath: String
    /// Nil where the split has no labels.
    public var labelPath: String?

    public init(id: Int, name: String, imagePath: String, labelPath: String?) {
        self.id = id
        self.name = name
        self.imagePath = imagePath
        self.labelPath = labelPath
    }
}

/// What one split's folders hold, in the order of the names' bytes, which is the same on every machine.
public struct SplitListing: Sendable, Equatable {
    public var name: String
    public var imageFolder: String
    /// Nil where the split has no labels.
    public var labelFolder: String?
    public var samples: [SampleFiles]
    public var imagesWithoutLabels: [String]
    public var labelsWithoutImages: [String]

    /// Whether it has no image at all.
    var isEmpty: Bool { samples.isEmpty && imagesWithoutLabels.isEmpty }
}

/// A dataset that was found and listed: its classes, and per split the files. No image has been opened yet.
public struct DatasetIndex: Sendable {
    public let kind: DatasetSettings.Kind
    public let root: String
    public let classes: [ClassInfo]
    public let labelMapping: LabelMapping
    /// In the dataset's own order, for instance train, val, test.
    public let splits: [SplitListing]

    public var classNames: [String] { classes.map(\.name) }
    public var palette: [RGB8] { classes.map(\.color) }

    /// All images and label maps of all splits, those that lack their counterpart included.
    public var files: [String] {
        splits.flatMap { split in
            split.samples.flatMap { [$0.imagePath] + ($0.labelPath.map { [$0] } ?? []) } + split.imagesWithoutLabels
                + split.labelsWithoutImages
        }
    }

    /// The first of some folders that holds images or label maps of this dataset: a file that is written there may be taken for
    /// one of them.
    public func ownFolder(among folders: [String]) -> String? {
        func parent(_ path: String) -> String { (path as NSString).deletingLastPathComponent }
        let own = Set(Set(files.map(parent)).map { DurableFile.real($0) })
        return folders.first { own.contains(DurableFile.real($0)) }
    }

    /// A split as it was found, incomplete pairs included; of several, `train+val`, all of them.
    ///
    /// - Throws: `UserError` that lists the splits there are.
    public func listing(of split: String) throws -> SplitListing {
        let parts = try parts(of: split)
        guard parts.count > 1 else { return parts[0] }
        var joined = parts[0]
        joined.name = split
        joined.imageFolder = parts.map(\.imageFolder).joined(separator: ", ")
        let labels = parts.compactMap(\.labelFolder)
        joined.labelFolder = labels.count == parts.count ? labels.joined(separator: ", ") : nil
        for part in parts.dropFirst() {
            joined.samples += part.samples.map { sample in
                var sample = sample
                sample.id += joined.samples.count
                return sample
            }
            joined.imagesWithoutLabels += part.imagesWithoutLabels
            joined.labelsWithoutImages += part.labelsWithoutImages
        }
        return joined
    }

    /// A split's samples for use; image ids are the positions. `train+val` are those of one split, then of the other.
    ///
    /// - Throws: `UserError` where the split is missing or empty, or an image or label map lacks its counterpart.
    public func samples(of split: String) throws -> [SampleFiles] {
        for part in try parts(of: split) {
            if let orphan = part.imagesWithoutLabels.first {
                throw UserError(
                    "\(orphan): has no label map in \(part.labelFolder ?? "") "
                        + "(\(part.imagesWithoutLabels.count) of split '\(part.name)' lack theirs)")
            }
            if let orphan = part.labelsWithoutImages.first {
                throw UserError(
                    "\(orphan): has no image in \(part.imageFolder) "
                        + "(\(part.labelsWithoutImages.count) label maps of split '\(part.name)' lack theirs)")
            }
            guard !part.samples.isEmpty else {
                throw UserError("\(part.imageFolder): holds no .jpg, .jpeg or .png image")
            }
        }
        return try listing(of: split).samples
    }

    /// The same of a split that must be what it was before: a file that came or went since shifts the numbers of those behind
    /// it.
    ///
    /// - Parameters:
    ///   - digest: of the split as it was; nil where nobody noted it.
    ///   - when: what began then, and what follows from a change; ends the error's sentence.
    /// - Throws: also `UserError` where the digest is another one.
    public func samples(of split: String, unchangedFrom digest: String?, since when: String) throws -> [SampleFiles] {
        let samples = try samples(of: split)
        guard let digest, try self.digest(of: split) != digest else { return samples }
        throw UserError("\(root): split '\(split)' has other files, or labels of another meaning, than when \(when)")
    }

    /// A hash of a split's file names in their order, wherever they are, and of what its label files' values mean.
    ///
    /// - Throws: as `samples`.
    public func digest(of split: String) throws -> String {
        var hash = SHA256()
        for sample in try samples(of: split) {
            for path in [sample.imagePath, sample.labelPath ?? ""] {
                hash.update((path as NSString).lastPathComponent + "\n")
            }
        }
        labelMapping.update(&hash)
        return hash.hex()
    }

    /// The splits that a name stands for: the one of this name, or those between its `+` signs.
    private func parts(of split: String) throws -> [SplitListing] {
        if let found = splits.first(where: { $0.name == split }) { return [found] }
        let names = splits.map(\.name)
        let wanted = split.split(separator: "+", omittingEmptySubsequences: false).map(String.init)
        let parts = try wanted.map { name in
            guard let found = splits.first(where: { $0.name == name }) else {
                let what = "\(root): has no split '\(name)' (has \(names.joined(separator: ", ")))"
                if let hint = DatasetSource.hint(forSplit: name, of: kind) { throw UserError("\(what); \(hint)") }
                throw UserError(what + suggestion(for: name, among: names))
            }
            return found
        }
        if let twice = wanted.enumerated().first(where: { wanted[..<$0.offset].contains($0.element) }) {
            throw UserError("split '\(split)' names '\(twice.element)' twice")
        }
        return parts
    }
}

/// The datasets there are.
public enum Dataset {
    /// Finds and lists the dataset that the settings name.
    ///
    /// - Parameter cache: keeps the listings of large datasets from one process to the next; nil lists anew.
    /// - Throws: `UserError`: what was expected where, and how to get it.
    public static func open(_ settings: DatasetSettings, cache: IndexCache? = .standard) throws -> DatasetIndex {
        if let index = cache?.index(of: settings) { return index }
        let tree = DatasetTree()
        let began = Date()
        let index = try read(settings, in: tree)
        cache?.keep(index, of: settings, seen: tree.witnesses, at: began)
        return index
    }

    /// Looks at the files.
    static func read(_ settings: DatasetSettings, in tree: DatasetTree) throws -> DatasetIndex {
        switch settings.kind {
        case .ade20k: try ADE20K.open(root: settings.root, in: tree)
        case .camvid: try CamVid.open(root: settings.root, in: tree)
        case .cityscapes: try Cityscapes.open(root: settings.root, in: tree)
        case .cocoStuff: try COCOStuff.open(root: settings.root, in: tree)
        case .folder: try FolderDataset.open(description: settings.description, root: settings.root, in: tree)
        case .pascalContext: try PASCALContext.open(root: settings.root, in: tree)
        }
    }

    /// The classes of a kind's datasets; nil for kind `folder`, whose description says them.
    public static func classes(of kind: DatasetSettings.Kind) -> [ClassInfo]? {
        switch kind {
        case .ade20k: ADE20K.classes
        case .camvid: CamVid.classes
        case .cityscapes: Cityscapes.classes
        case .cocoStuff: COCOStuff.classes
        case .folder: nil
        case .pascalContext: PASCALContext.classes
        }
    }

    /// Reads a sample: its image, and its classes after the dataset's mapping.
    ///
    /// - Throws: `UserError` that begins with the file at fault: missing, corrupt, cut short, a label map of another size
    ///   than its image, a value outside the classes, or a sample without a label map.
    public static func readSample(_ files: SampleFiles, mapping: LabelMapping) throws -> (image: Image, label: LabelMap)
    {
        let labelPath = try labelPath(of: files)
        let image = try ImageFile.readImage(files.imagePath)
        let label = try readLabel(labelPath, mapping: mapping)
        try ImageFile.checkSizes(
            label: (label.width, label.height), labelPath, image: (image.width, image.height), files.imagePath)
        return (image, label)
    }

    /// What a training sample's crop keeps: of both files only that is decoded.
    ///
    /// - Parameters: as of `augment`.
    /// - Throws: as `readSample`; values outside the classes are noticed within the crop only.
    public static func readCrop(
        _ files: SampleFiles, mapping: LabelMapping, settings: AugmentationSettings, seed: UInt64
    ) throws -> CropSource {
        let labelPath = try labelPath(of: files)
        let image = try ImageFile.readBytes(files.imagePath)
        return try CropSource(image, name: files.imagePath, settings: settings, seed: seed) { region, width, height in
            guard mapping.matrix == nil else {
                let label = try readLabel(labelPath, mapping: mapping)
                try ImageFile.checkSizes(
                    label: (label.width, label.height), labelPath, image: (width, height), files.imagePath)
                return label.cropped(to: region)
            }
            let raw = try ImageFile.readLabels(
                labelPath, region: region, width: width, height: height, of: files.imagePath)
            return try mapping.apply(to: raw, at: (region.left, region.top), file: labelPath)
        }
    }

    private static func labelPath(of files: SampleFiles) throws -> String {
        guard let path = files.labelPath else {
            throw UserError(
                "\(files.imagePath): has no label map; its split can be predicted but not learned or evaluated")
        }
        return path
    }

    /// Reads a label map, a PNG or a matrix in a MATLAB file, as classes and `IgnoreLabel.value`.
    ///
    /// - Throws: `UserError` that begins with `path`: missing, corrupt, cut short, or with a value outside the classes.
    public static func readLabel(_ path: String, mapping: LabelMapping) throws -> LabelMap {
        guard let matrix = mapping.matrix else { return try mapping.apply(to: ImageFile.readLabels(path), file: path) }
        return try mapping.apply(to: MATLABFile.readMatrix(path, named: matrix), file: path)
    }
}
