import Basics
import Configuration
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
    /// File name without its extension.
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

    /// A split as it was found, incomplete pairs included.
    ///
    /// - Throws: `UserError` that lists the splits there are.
    public func listing(of split: String) throws -> SplitListing {
        if let found = splits.first(where: { $0.name == split }) { return found }
        let names = splits.map(\.name)
        throw UserError(
            "\(root): has no split '\(split)' (has \(names.joined(separator: ", ")))\(suggestion(for: split, among: names))"
        )
    }

    /// A split's samples for use; image ids are the positions.
    ///
    /// - Throws: `UserError` where the split is missing or empty, or an image or label map lacks its counterpart.
    public func samples(of split: String) throws -> [SampleFiles] {
        let listing = try listing(of: split)
        if let orphan = listing.imagesWithoutLabels.first {
            throw UserError(
                "\(orphan): has no label map in \(listing.labelFolder ?? "") "
                    + "(\(listing.imagesWithoutLabels.count) of split '\(split)' lack theirs)")
        }
        if let orphan = listing.labelsWithoutImages.first {
            throw UserError(
                "\(orphan): has no image in \(listing.imageFolder) "
                    + "(\(listing.labelsWithoutImages.count) label maps of split '\(split)' lack theirs)")
        }
        guard !listing.samples.isEmpty else {
            throw UserError("\(listing.imageFolder): holds no .jpg, .jpeg or .png image")
        }
        return listing.samples
    }
}

/// The datasets there are.
public enum Dataset {
    /// Finds and lists the dataset that the settings name.
    ///
    /// - Throws: `UserError`: what was expected where.
    public static func open(_ settings: DatasetSettings) throws -> DatasetIndex {
        switch settings.kind {
        case .camvid: try CamVid.open(root: settings.root)
        case .folder: try FolderDataset.open(description: settings.description, root: settings.root)
        }
    }

    /// Reads a sample: its image, and its classes after the dataset's mapping.
    ///
    /// - Throws: `UserError` that begins with the file at fault: missing, corrupt, cut short, a label map of another size
    ///   than its image, a value outside the classes, or a sample without a label map.
    public static func readSample(_ files: SampleFiles, mapping: LabelMapping) throws -> (image: Image, label: LabelMap)
    {
        guard let labelPath = files.labelPath else {
            throw UserError(
                "\(files.imagePath): has no label map; its split can be predicted but not learned or evaluated")
        }
        let image = try ImageFile.readImage(files.imagePath)
        let raw = try ImageFile.readLabels(labelPath)
        guard raw.width == image.width, raw.height == image.height else {
            throw UserError(
                "\(labelPath): the label map is \(raw.width)x\(raw.height) but its image "
                    + "\(files.imagePath) is \(image.width)x\(image.height)")
        }
        return (image, try mapping.apply(to: raw, file: labelPath))
    }
}
