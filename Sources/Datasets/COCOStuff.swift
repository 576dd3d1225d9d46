import Basics
import Imaging

/// COCO-Stuff 10K: photographs of all kinds and sizes (some grey), 171 classes of things and stuff; 9,000 images to train
/// on, 1,000 to test with.
///
/// Trees:
/// - as cocostuff-10k-v1.1.zip unpacks: `images/NAME.jpg`, `annotations/NAME.mat` (the matrix `S` of label ids), and
///   `imageLists/train.txt`, `imageLists/test.txt` with a NAME per line;
/// - as mmsegmentation's converter makes it of that: `images/train2014`, `images/test2014` and
///   `annotations/train2014/NAME_labelTrainIds.png`, `annotations/test2014/…`, in which 1 to 171 are the classes.
///
/// Label ids are 1 to 182 and 0 for unlabelled; eleven of them were taken out of COCO and occur nowhere, the others in their
/// order are the 171 classes.
///
/// Caesar, Uijlings & Ferrari, "COCO-Stuff: Thing and Stuff Classes in Context", CVPR 2018; label ids: `labels.txt` of
/// github.com/nightrome/cocostuff. The authors' colours are a shuffled MATLAB colour map; here they are PASCAL VOC's scheme.
public enum COCOStuff {
    public static let classes = zip(names, Palette.generated(names.count)).map { ClassInfo(name: $0, color: $1) }

    /// The label ids that occur nowhere: street sign, hat, shoe, eye glasses, plate, mirror, window, desk, door, blender,
    /// hair brush.
    private static let removed: Set = [12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91]

    static let labelIDMapping: LabelMapping = {
        var values: [Int: UInt8?] = [0: UInt8?.none]
        for (index, id) in (1...182).filter({ !removed.contains($0) }).enumerated() { values[id] = UInt8(index) }
        return LabelMapping(classes: names.count, values: values, matrix: "S")
    }()

    static let trainIDMapping = LabelMapping(countingFromOne: names.count)

    static let source = DatasetSource(
        "download http://calvin.inf.ed.ac.uk/wp-content/uploads/data/cocostuffdataset/cocostuff-10k-v1.1.zip, unpack it and "
            + "give the folder that holds images, annotations and imageLists as dataset.root")

    /// - Throws: `UserError`: what was expected where, and how to get it.
    static func open(root: String, in tree: DatasetTree) throws -> DatasetIndex {
        let base = try source.base(of: root, orIn: ["cocostuff-10k-v1.1"], having: "images", in: tree)
        let images = Folders.join(base, "images")
        let labels = Folders.join(base, "annotations")
        guard tree.isFolder(labels) else { throw source.error("\(labels): \(whyNoFolder(labels))") }
        if [images, labels].contains(where: { tree.isFolder($0 + "/train2014") }) {
            let splits = try ["train", "test"].map { split in
                try converted(split, images: "\(images)/\(split)2014", labels: "\(labels)/\(split)2014", in: tree)
            }
            return DatasetIndex(
                kind: .cocoStuff, root: root, classes: classes, labelMapping: trainIDMapping, splits: splits)
        }
        let splits = try Folders.pair(
            lists: ["train", "test"].map { (split: $0, path: Folders.join(base, "imageLists/\($0).txt")) },
            images: images, labels: labels, labelExtensions: ["mat"], source: source, in: tree)
        return DatasetIndex(
            kind: .cocoStuff, root: root, classes: classes, labelMapping: labelIDMapping, splits: splits)
    }

    private static func converted(_ split: String, images: String, labels: String, in tree: DatasetTree) throws
        -> SplitListing
    {
        for folder in [images, labels] where !tree.isFolder(folder) {
            throw source.error("\(folder): \(whyNoFolder(folder))")
        }
        return Folders.pair(
            split: split, imageFolder: images, labelFolder: labels,
            images: try Folders.files(in: images, extensions: Folders.imageExtensions, of: tree),
            labels: try Folders.files(in: labels, extensions: ["png"], ending: "_labelTrainIds", of: tree))
    }

    private static let names = [
        "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
        "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
        "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
        "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
        "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
        "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
        "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
        "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear",
        "hair drier", "toothbrush", "banner", "blanket", "branch", "bridge", "building-other", "bush", "cabinet",
        "cage", "cardboard", "carpet", "ceiling-other", "ceiling-tile", "cloth", "clothes", "clouds", "counter",
        "cupboard", "curtain", "desk-stuff", "dirt", "door-stuff", "fence", "floor-marble", "floor-other",
        "floor-stone", "floor-tile", "floor-wood", "flower", "fog", "food-other", "fruit", "furniture-other", "grass",
        "gravel", "ground-other", "hill", "house", "leaves", "light", "mat", "metal", "mirror-stuff", "moss",
        "mountain", "mud", "napkin", "net", "paper", "pavement", "pillow", "plant-other", "plastic", "platform",
        "playingfield", "railing", "railroad", "river", "road", "rock", "roof", "rug", "salad", "sand", "sea",
        "shelf", "sky-other", "skyscraper", "snow", "solid-other", "stairs", "stone", "straw", "structural-other",
        "table", "tent", "textile-other", "towel", "tree", "vegetable", "wall-brick", "wall-concrete", "wall-other",
        "wall-panel", "wall-stone", "wall-tile", "wall-wood", "water-other", "waterdrops", "window-blind",
        "window-other", "wood",
    ]
}
