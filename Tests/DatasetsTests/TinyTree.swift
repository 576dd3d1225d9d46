import Configuration
import Foundation
import Imaging
import TestSupport
import Testing

@testable import Datasets

/// Every tree that a dataset may come in.
enum TreeLayout: String, CaseIterable, Sendable {
    case ade20k, camvid
    case cityscapes, cityscapesTrainIDs
    case cocoStuff, cocoStuffConverted
    case folder
    case pascalContext, pascalContextConverted, pascalContextPaddle

    var kind: DatasetSettings.Kind {
        switch self {
        case .ade20k: .ade20k
        case .camvid: .camvid
        case .cityscapes, .cityscapesTrainIDs: .cityscapes
        case .cocoStuff, .cocoStuffConverted: .cocoStuff
        case .folder: .folder
        case .pascalContext, .pascalContextConverted, .pascalContextPaddle: .pascalContext
        }
    }
}

/// A dataset of a few small images in its true layout.
final class TinyTree {
    let layout: TreeLayout
    let scratch: Scratch
    private var names: [String: [String]] = [:]

    /// - Parameter root: where in the scratch folder the tree begins.
    init(_ layout: TreeLayout) throws {
        self.layout = layout
        scratch = try Scratch()
        if layout == .folder {
            try scratch.file(
                "d.yaml",
                Array(
                    """
                    classes: [a, b, c]
                    splits:
                      train: {images: train, labels: trainannot}
                      val: {images: val, labels: valannot}
                    """.utf8))
        }
    }

    /// The usual: three training samples whose names sort differently as bytes, as numbers and by locale, and one more.
    static func sample(_ layout: TreeLayout) throws -> TinyTree {
        let tree = try TinyTree(layout)
        for name in ["b10", "B2", "a-ä"] { try tree.add(name, to: "train") }
        try tree.add("v", to: tree.evaluationSplit)
        return tree
    }

    static let sorted = ["B2", "a-ä", "b10"]

    var evaluationSplit: String { layout.kind == .cocoStuff ? "test" : "val" }

    var settings: DatasetSettings {
        var settings = scratch.settings
        settings.kind = layout.kind
        settings.evaluationSplit = evaluationSplit
        if layout == .folder { settings.description = scratch.path + "/d.yaml" }
        return settings
    }

    func open() throws -> DatasetIndex { try Dataset.open(settings, cache: nil) }

    var classes: Int { Dataset.classes(of: layout.kind)?.count ?? 3 }

    /// A number that no label file of this layout may hold.
    var wrongValue: Int { layout == .pascalContext ? 460 : layout == .cocoStuff ? 12 : 200 }

    /// What files hold for a class.
    func raw(ofClass index: Int) -> Int { (0...500).first { mapping[$0] == UInt8(index) }! }

    private var mapping: LabelMapping {
        switch layout {
        case .ade20k: ADE20K.labelMapping
        case .camvid: CamVid.labelMapping
        case .cityscapes: Cityscapes.labelIDMapping
        case .cityscapesTrainIDs: Cityscapes.trainIDMapping
        case .cocoStuff: COCOStuff.labelIDMapping
        case .cocoStuffConverted: COCOStuff.trainIDMapping
        case .folder: LabelMapping(classes: 3, ignored: [])
        case .pascalContext: PASCALContext.labelIDMapping
        case .pascalContextConverted, .pascalContextPaddle: PASCALContext.pngMapping
        }
    }

    /// Adds an image whose columns are the classes in turn, and its label map.
    func add(_ name: String, to split: String, width: Int = 7, height: Int = 5) throws {
        names[split, default: []].append(name)
        let path = imagePath(name, split)
        let picture = image(width, height)
        try scratch.file(path, path.hasSuffix("png") ? PNG.encode(picture) : JPEG.encode(picture))
        try label(name, split, width: width, height: height) { x, _ in self.raw(ofClass: x % self.classes) }
        try writeLists()
    }

    /// Writes a sample's label map anew, with the file's own numbers.
    func label(
        _ name: String, _ split: String, width: Int = 7, height: Int = 5, _ value: (_ x: Int, _ y: Int) -> Int
    ) throws {
        let path = labelPath(name, split)
        guard path.hasSuffix(".mat") else {
            return try scratch.file(path, PNG.encode(labels(width, height) { UInt8(value($0, $1)) }))
        }
        try scratch.file(path, [])
        let matrix = layout == .cocoStuff ? "S" : "LabelMap"
        try writeMATLAB(scratch.path + "/" + path, matrix: matrix, rows: height, columns: width) { row, column in
            UInt16(value(column, row))
        }
    }

    func imagePath(_ name: String, _ split: String) -> String {
        switch layout {
        case .ade20k: "images/\(split == "train" ? "training" : "validation")/\(name).jpg"
        case .camvid, .folder: "\(split)/\(name).JPG"
        case .cityscapes, .cityscapesTrainIDs: "leftImg8bit/\(split)/city/\(name)_leftImg8bit.png"
        case .cocoStuff: "images/\(name).jpg"
        case .cocoStuffConverted: "images/\(split)2014/\(name).jpg"
        case .pascalContext, .pascalContextConverted, .pascalContextPaddle: "JPEGImages/\(name).jpg"
        }
    }

    func labelPath(_ name: String, _ split: String) -> String {
        switch layout {
        case .ade20k: "annotations/\(split == "train" ? "training" : "validation")/\(name).png"
        case .camvid, .folder: "\(split)annot/\(name).png"
        case .cityscapes: "gtFine/\(split)/city/\(name)_gtFine_labelIds.png"
        case .cityscapesTrainIDs: "gtFine/\(split)/city/\(name)_gtFine_labelTrainIds.png"
        case .cocoStuff: "annotations/\(name).mat"
        case .cocoStuffConverted: "annotations/\(split)2014/\(name)_labelTrainIds.png"
        case .pascalContext: "trainval/\(name).mat"
        case .pascalContextConverted: "SegmentationClassContext/\(name).png"
        case .pascalContextPaddle: "Context/\(name).png"
        }
    }

    /// The list of a split's names; nil where folders say them.
    func listPath(_ split: String) -> String? {
        switch layout {
        case .cocoStuff: "imageLists/\(split).txt"
        case .pascalContext: "ImageSets/Main/\(split).txt"
        case .pascalContextConverted: "ImageSets/SegmentationContext/\(split).txt"
        case .pascalContextPaddle: "ImageSets/Segmentation/\(split)_context.txt"
        default: nil
        }
    }

    private func writeLists() throws {
        for (split, names) in names {
            if let list = listPath(split) { try scratch.file(list, Array((names.joined(separator: "\n") + "\n").utf8)) }
        }
    }
}
