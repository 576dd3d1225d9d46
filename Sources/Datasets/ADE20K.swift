import Basics
import Foundation
import Imaging

/// ADE20K as the scene-parsing challenge of 2016 gives it out: scenes of all kinds, 150 classes, sizes of all kinds; 20,210
/// images to train on, 2,000 to validate with.
///
/// Tree: `images/training`, `images/validation` (JPEG, a few of them grey) and `annotations/training`,
/// `annotations/validation` (PNG of the same names), as ADEChallengeData2016.zip unpacks. File values 1 to 150 are the
/// classes 0 to 149, 0 is ignored. The challenge's test images, release_test.zip, are the split `test` where
/// `release_test/testing` stands beside them or beside the folder that the other archive unpacks to.
///
/// Zhou et al., "Scene Parsing through ADE20K Dataset", CVPR 2017; names (of each class the first) and colours:
/// `objectInfo150.txt` and `visualizationCode/color150.mat` of github.com/CSAILVision/sceneparsing, where road and skyscraper
/// have the same grey.
public enum ADE20K {
    public static let classes = zip(names, colors).map { ClassInfo(name: $0, color: $1) }

    static let labelMapping = LabelMapping(countingFromOne: names.count)

    static let source = DatasetSource(
        "download http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip, unpack it and give its folder "
            + "ADEChallengeData2016 as dataset.root")

    static let testSource = DatasetSource(
        "download http://data.csail.mit.edu/places/ADEchallenge/release_test.zip and unpack it in dataset.root or beside it"
    )

    /// - Throws: `UserError`: what was expected where, and how to get it.
    static func open(root: String, in tree: DatasetTree) throws -> DatasetIndex {
        let base = try source.base(of: root, orIn: ["ADEChallengeData2016"], having: "images", in: tree)
        var splits: [SplitListing] = []
        for (split, folder) in [("train", "training"), ("val", "validation")] {
            let images = Folders.join(base, "images/\(folder)")
            let labels = Folders.join(base, "annotations/\(folder)")
            for folder in [images, labels] where !tree.isFolder(folder) {
                throw source.error("\(folder): \(whyNoFolder(folder))")
            }
            let listing = try Folders.pair(split: split, images: images, labels: labels, in: tree)
            guard !listing.isEmpty else { throw source.error("\(images): holds no .jpg image") }
            splits.append(listing)
        }
        // Beside a link as well as beside what it leads to.
        let beside = [Folders.join(root, ".."), (root as NSString).deletingLastPathComponent]
        let test = ([root, base] + beside).map { Folders.join($0, "release_test/testing") }.first { tree.isFolder($0) }
        if let test { splits.append(try Folders.pair(split: "test", images: test, labels: nil, in: tree)) }
        return DatasetIndex(kind: .ade20k, root: root, classes: classes, labelMapping: labelMapping, splits: splits)
    }

    private static let names = [
        "wall", "building", "sky", "floor", "tree", "ceiling", "road", "bed", "windowpane", "grass", "cabinet",
        "sidewalk", "person", "earth", "door", "table", "mountain", "plant", "curtain", "chair", "car", "water",
        "painting", "sofa", "shelf", "house", "sea", "mirror", "rug", "field", "armchair", "seat", "fence", "desk",
        "rock", "wardrobe", "lamp", "bathtub", "railing", "cushion", "base", "box", "column", "signboard",
        "chest of drawers", "counter", "sand", "sink", "skyscraper", "fireplace", "refrigerator", "grandstand",
        "path", "stairs", "runway", "case", "pool table", "pillow", "screen door", "stairway", "river", "bridge",
        "bookcase", "blind", "coffee table", "toilet", "flower", "book", "hill", "bench", "countertop", "stove",
        "palm", "kitchen island", "computer", "swivel chair", "boat", "bar", "arcade machine", "hovel", "bus",
        "towel", "light", "truck", "tower", "chandelier", "awning", "streetlight", "booth", "television", "airplane",
        "dirt track", "apparel", "pole", "land", "bannister", "escalator", "ottoman", "bottle", "buffet", "poster",
        "stage", "van", "ship", "fountain", "conveyer belt", "canopy", "washer", "plaything", "swimming pool",
        "stool", "barrel", "basket", "waterfall", "tent", "bag", "minibike", "cradle", "oven", "ball", "food", "step",
        "tank", "trade name", "microwave", "pot", "animal", "bicycle", "lake", "dishwasher", "screen", "blanket",
        "sculpture", "hood", "sconce", "vase", "traffic light", "tray", "ashcan", "fan", "pier", "crt screen",
        "plate", "monitor", "bulletin board", "shower", "radiator", "glass", "clock", "flag",
    ]

    private static let colors = [
        RGB8(120, 120, 120), RGB8(180, 120, 120), RGB8(6, 230, 230), RGB8(80, 50, 50), RGB8(4, 200, 3),
        RGB8(120, 120, 80), RGB8(140, 140, 140), RGB8(204, 5, 255), RGB8(230, 230, 230), RGB8(4, 250, 7),
        RGB8(224, 5, 255), RGB8(235, 255, 7), RGB8(150, 5, 61), RGB8(120, 120, 70), RGB8(8, 255, 51),
        RGB8(255, 6, 82), RGB8(143, 255, 140), RGB8(204, 255, 4), RGB8(255, 51, 7), RGB8(204, 70, 3),
        RGB8(0, 102, 200), RGB8(61, 230, 250), RGB8(255, 6, 51), RGB8(11, 102, 255), RGB8(255, 7, 71),
        RGB8(255, 9, 224), RGB8(9, 7, 230), RGB8(220, 220, 220), RGB8(255, 9, 92), RGB8(112, 9, 255),
        RGB8(8, 255, 214), RGB8(7, 255, 224), RGB8(255, 184, 6), RGB8(10, 255, 71), RGB8(255, 41, 10),
        RGB8(7, 255, 255), RGB8(224, 255, 8), RGB8(102, 8, 255), RGB8(255, 61, 6), RGB8(255, 194, 7),
        RGB8(255, 122, 8), RGB8(0, 255, 20), RGB8(255, 8, 41), RGB8(255, 5, 153), RGB8(6, 51, 255),
        RGB8(235, 12, 255), RGB8(160, 150, 20), RGB8(0, 163, 255), RGB8(140, 140, 140), RGB8(250, 10, 15),
        RGB8(20, 255, 0), RGB8(31, 255, 0), RGB8(255, 31, 0), RGB8(255, 224, 0), RGB8(153, 255, 0), RGB8(0, 0, 255),
        RGB8(255, 71, 0), RGB8(0, 235, 255), RGB8(0, 173, 255), RGB8(31, 0, 255), RGB8(11, 200, 200),
        RGB8(255, 82, 0), RGB8(0, 255, 245), RGB8(0, 61, 255), RGB8(0, 255, 112), RGB8(0, 255, 133), RGB8(255, 0, 0),
        RGB8(255, 163, 0), RGB8(255, 102, 0), RGB8(194, 255, 0), RGB8(0, 143, 255), RGB8(51, 255, 0),
        RGB8(0, 82, 255), RGB8(0, 255, 41), RGB8(0, 255, 173), RGB8(10, 0, 255), RGB8(173, 255, 0), RGB8(0, 255, 153),
        RGB8(255, 92, 0), RGB8(255, 0, 255), RGB8(255, 0, 245), RGB8(255, 0, 102), RGB8(255, 173, 0),
        RGB8(255, 0, 20), RGB8(255, 184, 184), RGB8(0, 31, 255), RGB8(0, 255, 61), RGB8(0, 71, 255),
        RGB8(255, 0, 204), RGB8(0, 255, 194), RGB8(0, 255, 82), RGB8(0, 10, 255), RGB8(0, 112, 255), RGB8(51, 0, 255),
        RGB8(0, 194, 255), RGB8(0, 122, 255), RGB8(0, 255, 163), RGB8(255, 153, 0), RGB8(0, 255, 10),
        RGB8(255, 112, 0), RGB8(143, 255, 0), RGB8(82, 0, 255), RGB8(163, 255, 0), RGB8(255, 235, 0),
        RGB8(8, 184, 170), RGB8(133, 0, 255), RGB8(0, 255, 92), RGB8(184, 0, 255), RGB8(255, 0, 31),
        RGB8(0, 184, 255), RGB8(0, 214, 255), RGB8(255, 0, 112), RGB8(92, 255, 0), RGB8(0, 224, 255),
        RGB8(112, 224, 255), RGB8(70, 184, 160), RGB8(163, 0, 255), RGB8(153, 0, 255), RGB8(71, 255, 0),
        RGB8(255, 0, 163), RGB8(255, 204, 0), RGB8(255, 0, 143), RGB8(0, 255, 235), RGB8(133, 255, 0),
        RGB8(255, 0, 235), RGB8(245, 0, 255), RGB8(255, 0, 122), RGB8(255, 245, 0), RGB8(10, 190, 212),
        RGB8(214, 255, 0), RGB8(0, 204, 255), RGB8(20, 0, 255), RGB8(255, 255, 0), RGB8(0, 153, 255),
        RGB8(0, 41, 255), RGB8(0, 255, 204), RGB8(41, 0, 255), RGB8(41, 255, 0), RGB8(173, 0, 255), RGB8(0, 245, 255),
        RGB8(71, 0, 255), RGB8(122, 0, 255), RGB8(0, 255, 184), RGB8(0, 92, 255), RGB8(184, 255, 0),
        RGB8(0, 133, 255), RGB8(255, 214, 0), RGB8(25, 194, 194), RGB8(102, 255, 0), RGB8(92, 0, 255),
    ]
}
