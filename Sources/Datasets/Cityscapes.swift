import Basics
import Imaging

/// Cityscapes: street scenes of 50 cities, 2048x1024, 19 classes; 2,975 finely labelled images to train on, 500 to
/// validate with, 1,525 whose labels are with the test server.
///
/// Tree: `leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png` and `gtFine/SPLIT/CITY/NAME_gtFine_labelIds.png`, as the packages
/// leftImg8bit_trainvaltest and gtFine_trainvaltest unpack. Where there are no such label maps, `…_labelTrainIds.png`
/// are read, which the set's own scripts make. The test split has images only: what stands under `gtFine/test` is blank.
///
/// Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016; label ids, classes and
/// colours: `cityscapesscripts/helpers/labels.py` of the set's own scripts (PyPI: cityscapesscripts).
public enum Cityscapes {
    /// The classes that are evaluated, in the order of their train ids, with their label ids.
    private static let table: [(name: String, labelID: Int, color: RGB8)] = [
        ("road", 7, RGB8(128, 64, 128)), ("sidewalk", 8, RGB8(244, 35, 232)), ("building", 11, RGB8(70, 70, 70)),
        ("wall", 12, RGB8(102, 102, 156)), ("fence", 13, RGB8(190, 153, 153)), ("pole", 17, RGB8(153, 153, 153)),
        ("traffic light", 19, RGB8(250, 170, 30)), ("traffic sign", 20, RGB8(220, 220, 0)),
        ("vegetation", 21, RGB8(107, 142, 35)), ("terrain", 22, RGB8(152, 251, 152)), ("sky", 23, RGB8(70, 130, 180)),
        ("person", 24, RGB8(220, 20, 60)), ("rider", 25, RGB8(255, 0, 0)), ("car", 26, RGB8(0, 0, 142)),
        ("truck", 27, RGB8(0, 0, 70)), ("bus", 28, RGB8(0, 60, 100)), ("train", 31, RGB8(0, 80, 100)),
        ("motorcycle", 32, RGB8(0, 0, 230)), ("bicycle", 33, RGB8(119, 11, 32)),
    ]

    public static let classes = table.map { ClassInfo(name: $0.name, color: $0.color) }

    /// The label id of each class: what the test server wants to see.
    public static let labelIDs = table.map { UInt8($0.labelID) }

    /// Label ids are 0 to 33; those that are no class are ignored. (Licence plates have -1, and are drawn in no file.)
    static let labelIDMapping = LabelMapping(
        classes: table.count,
        values: (0...33).reduce(into: [:]) { values, id in
            values[id] = .some(table.firstIndex { $0.labelID == id }.map { UInt8($0) })
        })

    static let trainIDMapping = LabelMapping(classes: table.count, ignored: [255])

    static let source = DatasetSource(
        "register at https://www.cityscapes-dataset.com, download leftImg8bit_trainvaltest.zip and "
            + "gtFine_trainvaltest.zip, unpack both into one folder and give it as dataset.root")

    /// Lists the splits that are there; `train` must be among them.
    ///
    /// - Throws: `UserError`: what was expected where, and how to get it.
    static func open(root: String, in tree: DatasetTree) throws -> DatasetIndex {
        try source.checkRoot(root, in: tree)
        let images = Folders.join(root, "leftImg8bit")
        let labels = Folders.join(root, "gtFine")
        for folder in [images, labels] where !tree.isFolder(folder) {
            throw source.error("\(folder): \(whyNoFolder(folder))")
        }
        guard tree.isFolder(images + "/train") else {
            throw source.error(
                "\(images)/train: \(whyNoFolder(images + "/train")); folders of cities are expected there")
        }

        // The files as they are downloaded come first; train ids are what somebody made of them.
        let encodings = [("_gtFine_labelIds", labelIDMapping), ("_gtFine_labelTrainIds", trainIDMapping)]
        let found = try encodings.first { ending, _ in
            try !files(below: labels + "/train", ending: ending, in: tree).isEmpty
        }
        guard let (ending, mapping) = found else {
            throw source.error("\(labels)/train: holds no label maps CITY/NAME_gtFine_labelIds.png")
        }
        var splits: [SplitListing] = []
        for split in ["train", "val", "test"] where tree.isFolder("\(images)/\(split)") {
            let folder = "\(images)/\(split)"
            let labelFolder = split == "test" ? nil : "\(labels)/\(split)"
            let listing = Folders.pair(
                split: split, imageFolder: folder, labelFolder: labelFolder,
                images: try files(below: folder, ending: "_leftImg8bit", in: tree),
                labels: try labelFolder.map { try files(below: $0, ending: ending, in: tree) })
            guard !listing.isEmpty else { throw source.error("\(folder): holds no images CITY/NAME_leftImg8bit.png") }
            splits.append(listing)
        }
        return DatasetIndex(kind: .cityscapes, root: root, classes: classes, labelMapping: mapping, splits: splits)
    }

    private static func files(below folder: String, ending: String, in tree: DatasetTree) throws -> [Folders.Named] {
        guard tree.isFolder(folder) else { throw source.error("\(folder): \(whyNoFolder(folder))") }
        return try tree.folders(in: folder).flatMap { city in
            try Folders.files(in: "\(folder)/\(city)", extensions: ["png"], ending: ending, of: tree)
        }
    }
}
