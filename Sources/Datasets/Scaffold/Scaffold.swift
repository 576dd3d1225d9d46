import Basics
import Foundation
import Imaging

/// The decisions that `picoflow init` takes for somebody's own images, each to be changed in the files it writes.
public struct Scaffold: Sendable, Equatable {
    /// A class to be: its value in the label files, and a name to be replaced.
    public struct Class: Sendable, Equatable {
        public var value: Int
        public var name: String
        public var color: RGB8
    }

    public struct Split: Sendable, Equatable {
        public var name: String
        public var images: String
        public var labels: String
        public var names: [String]
        /// Whether the folders hold more than these names, so that a list of them is needed.
        public var needsList: Bool
    }

    public var classes: [Class]
    /// The value that is left out of training and evaluation; nil where it means a class.
    public var ignore: Int?
    public var splits: [Split]
    /// By how much images are reduced, in training and in use: a crop of a much larger photograph would show too little of it.
    public var reduction: Double
    /// `[height, width]`, of reduced images.
    public var crop: [Int]
    public var batch: Int
    public var iterations: Int
    /// What was left out of the folders.
    public var leftOut: [String]
    /// What to look at before training, a sentence each.
    public var warnings: [String] = []

    /// - Throws: `UserError` where the label maps hold no classes that can be told apart, or there is only one pair.
    public init(_ survey: FolderSurvey) throws {
        let values = survey.pixels.keys.sorted()
        // 255 is what most tools write for "not labelled"; beside nothing but 0 it is the white of a mask.
        let isMask = values == [0, 255]
        let ignore = isMask ? nil : 255
        let kept = values.filter { $0 != ignore }
        guard (1...LabelMapping.mostClasses).contains(kept.count) else {
            throw UserError(
                "the label maps hold \(values.count) different values; a class has one, and there may be 1 to "
                    + "\(LabelMapping.mostClasses) classes")
        }
        let colors = Palette.generated(kept.count)
        classes = zip(kept, colors).map { value, color in
            Class(value: value, name: isMask ? (value == 0 ? "background" : "object") : "class-\(value)", color: color)
        }
        self.ignore = ignore
        splits = try Self.splits(survey)
        leftOut = survey.splits.flatMap(\.leftOut)

        let (height, width) = (Self.middle(survey.heights), Self.middle(survey.widths))
        // A crop then shows about half of the shorter side.
        let shorter = Double(min(height, width))
        let reduction = shorter > 1400 ? (100 * 1024 / shorter).rounded() / 100 : 1
        self.reduction = reduction
        crop = [height, width].map { Self.side(Int(Double($0) * reduction)) }
        // As many pixels a step as the demo of eight 512x512 crops, which a GPU of 12 GiB and any CPU's memory hold.
        let train = splits[0].names.count
        batch = max(2, min(16, 8 * 512 * 512 / (crop[0] * crop[1]), train))
        // A hundred passes, within what shows results at all and what takes days.
        iterations = max(500, min(40_000, 100 * train / batch))

        if kept.count == 1 { warnings.append("there is a single class, so there is nothing to tell apart") }
        if kept.count > 60, kept.last! - kept[0] >= kept.count {
            warnings.append(
                "so many values with gaps between them often mean that label maps were scaled or saved with colours blended"
            )
        }
        if survey.turned > 0 {
            warnings.append("\(survey.turned) photographs are stored turned or mirrored; \(Orientation.advice)")
        }
        if survey.deep > 0 { warnings.append("\(survey.deep) images have 16 bits a channel; \(PNG.depthAdvice)") }
        if train < 20 { warnings.append("\(train) images are few to train on: expect it to learn them by heart") }
    }

    private static func splits(_ survey: FolderSurvey) throws -> [Split] {
        guard survey.splits.count == 1, let all = survey.splits.first else {
            return survey.splits.map {
                Split(
                    name: $0.name ?? "train", images: $0.images, labels: $0.labels, names: $0.names,
                    needsList: !$0.leftOut.isEmpty)
            }
        }
        guard all.names.count > 1 else {
            throw UserError(
                "\(all.images): holds one image with a label map; at least two are needed, to train and to test")
        }
        // Every tenth, spread over the names; the last of fewer.
        let period = min(10, all.names.count)
        func names(_ isValidation: Bool) -> [String] {
            all.names.enumerated().filter { ($0.offset % period == period - 1) == isValidation }.map(\.element)
        }
        return [("train", false), ("val", true)].map { name, isValidation in
            Split(name: name, images: all.images, labels: all.labels, names: names(isValidation), needsList: true)
        }
    }

    private static func middle(_ lengths: [Int]) -> Int { lengths.sorted()[lengths.count / 2] }

    /// A side's length, at most 512, in steps of 32 that no network's strides break up.
    private static func side(_ length: Int) -> Int { max(32, min(512, length) / 32 * 32) }

    /// Whether the files' values are the classes' numbers.
    var valuesAreNumbers: Bool { classes.map(\.value) == Array(0..<classes.count) }
}
