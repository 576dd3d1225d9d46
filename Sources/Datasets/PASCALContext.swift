import Basics
import Imaging

/// PASCAL-Context with its 59 frequent classes: the images of PASCAL VOC 2010, of all sizes; 4,998 to train on, 5,105 to
/// validate with. What is none of the 59 is ignored.
///
/// Trees, all in VOC2010 (`JPEGImages/NAME.jpg`):
/// - as downloaded: `trainval/NAME.mat` (the matrix `LabelMap` of 459 label ids), and VOC's own lists
///   `ImageSets/Main/train.txt`, `val.txt`, whose images are just those that were labelled;
/// - as mmsegmentation's and Segmenter's converters make it: `SegmentationClassContext/NAME.png` and
///   `ImageSets/SegmentationContext/train.txt`, `val.txt`;
/// - as PaddleSeg's makes it: `Context/NAME.png` and `ImageSets/Segmentation/train_context.txt`, `val_context.txt`.
///
/// In the PNGs, 1 to 59 are the classes 0 to 58, and 0 is ignored.
///
/// Mottaghi et al., "The Role of Context for Object Detection and Semantic Segmentation in the Wild", CVPR 2014; label ids
/// (their order is the alphabet's): `labels.txt` and `59_labels.txt` at cs.stanford.edu/~roozbeh/pascal-context. The set has no
/// colours of its own; here they are PASCAL VOC's scheme.
public enum PASCALContext {
    public static let classes = zip(table, Palette.generated(table.count)).map { ClassInfo(name: $0.name, color: $1) }

    static let labelIDMapping = LabelMapping(
        classes: table.count,
        values: (0...459).reduce(into: [:]) { values, id in
            values[id] = .some(table.firstIndex { $0.labelID == id }.map { UInt8($0) })
        }, matrix: "LabelMap")

    static let pngMapping = LabelMapping(countingFromOne: table.count)

    static let source = DatasetSource(
        "download http://host.robots.ox.ac.uk/pascal/VOC/voc2010/VOCtrainval_03-May-2010.tar and "
            + "https://cs.stanford.edu/~roozbeh/pascal-context/trainval.tar.gz, unpack the latter in the former's folder "
            + "VOCdevkit/VOC2010 and give that as dataset.root")

    /// One of the trees: label maps, their kind, and the lists of the splits.
    private struct Layout {
        let labels: String
        let extensions: [String]
        let mapping: LabelMapping
        let list: @Sendable (_ split: String) -> String
    }

    private static let layouts = [
        Layout(labels: "SegmentationClassContext", extensions: ["png"], mapping: pngMapping) {
            "ImageSets/SegmentationContext/\($0).txt"
        },
        Layout(labels: "Context", extensions: ["png"], mapping: pngMapping) {
            "ImageSets/Segmentation/\($0)_context.txt"
        },
        Layout(labels: "trainval", extensions: ["mat"], mapping: labelIDMapping) { "ImageSets/Main/\($0).txt" },
    ]

    /// - Throws: `UserError`: what was expected where, and how to get it.
    static func open(root: String, in tree: DatasetTree) throws -> DatasetIndex {
        let base = try source.base(of: root, orIn: ["VOC2010", "VOCdevkit/VOC2010"], having: "JPEGImages", in: tree)
        guard let layout = layouts.first(where: { tree.isFolder(Folders.join(base, $0.labels)) }) else {
            throw source.error(
                "\(base): has no folder \(layouts.map(\.labels).joined(separator: " or ")) of label maps")
        }
        let images = Folders.join(base, "JPEGImages")
        let labels = Folders.join(base, layout.labels)
        let splits = try Folders.pair(
            lists: ["train", "val"].map { (split: $0, path: Folders.join(base, layout.list($0))) },
            images: images, labels: labels, labelExtensions: layout.extensions, source: source, in: tree)
        return DatasetIndex(
            kind: .pascalContext, root: root, classes: classes, labelMapping: layout.mapping, splits: splits)
    }

    /// The classes in their order, with their numbers among the 459.
    private static let table: [(name: String, labelID: Int)] = [
        ("aeroplane", 2), ("bag", 9), ("bed", 18), ("bedclothes", 19), ("bench", 22), ("bicycle", 23), ("bird", 25),
        ("boat", 31), ("book", 33), ("bottle", 34), ("building", 44), ("bus", 45), ("cabinet", 46), ("car", 59),
        ("cat", 65), ("ceiling", 68), ("chair", 72), ("cloth", 80), ("computer", 85), ("cow", 98), ("cup", 104),
        ("curtain", 105), ("dog", 113), ("door", 115), ("fence", 144), ("floor", 158), ("flower", 159), ("food", 162),
        ("grass", 187), ("ground", 189), ("horse", 207), ("keyboard", 220), ("light", 232), ("motorbike", 258),
        ("mountain", 259), ("mouse", 260), ("person", 284), ("plate", 295), ("platform", 296), ("pottedplant", 308),
        ("road", 324), ("rock", 326), ("sheep", 347), ("shelves", 349), ("sidewalk", 354), ("sign", 355),
        ("sky", 360), ("snow", 366), ("sofa", 368), ("table", 397), ("track", 415), ("train", 416), ("tree", 420),
        ("truck", 424), ("tvmonitor", 427), ("wall", 440), ("water", 445), ("window", 454), ("wood", 458),
    ]
}
