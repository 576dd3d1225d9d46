import Basics
import Imaging

/// Counts of labels against predictions, and the numbers that segmentation is judged by.
///
/// Pixels whose label is ignored count nowhere. Counts are integers, so the order in which images and parts are added
/// does not matter.
public struct ConfusionMatrix: Codable, Sendable, Equatable {
    public let classes: Int
    /// Pixels by `[label, prediction]`, row-major, `classes * classes`.
    public private(set) var counts: [Int64]

    public init(classes: Int) {
        precondition((1...LabelMapping.mostClasses).contains(classes), "\(classes) classes")
        self.classes = classes
        counts = [Int64](repeating: 0, count: classes * classes)
    }

    /// A matrix from counts that another process made.
    ///
    /// - Throws: `UserError` where there are not `classes * classes` counts, or negative ones.
    public init(classes: Int, counts: [Int64]) throws {
        guard (1...LabelMapping.mostClasses).contains(classes), counts.count == classes * classes,
            counts.allSatisfy({ $0 >= 0 })
        else {
            throw UserError("\(counts.count) counts are no confusion matrix of \(classes) classes")
        }
        self.classes = classes
        self.counts = counts
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            classes: container.decode(Int.self, forKey: .classes),
            counts: container.decode([Int64].self, forKey: .counts))
    }

    /// Adds one image.
    ///
    /// - Throws: `UserError` where sizes differ, or a prediction or a label that is not ignored is no class; nothing
    ///   is added then.
    public mutating func accumulate(
        prediction: LabelMap, label: LabelMap, ignore: UInt8 = IgnoreLabel.value
    ) throws {
        guard prediction.width == label.width, prediction.height == label.height else {
            throw UserError(
                "a prediction of \(prediction.width)x\(prediction.height) cannot be compared with a label map of "
                    + "\(label.width)x\(label.height)")
        }
        // All 256 x 256 pairs: no test within the loop.
        var pairs = [Int32](repeating: 0, count: 1 << 16)
        pairs.withUnsafeMutableBufferPointer { pairs in
            prediction.values.withUnsafeBytes { p in
                label.values.withUnsafeBytes { l in
                    for i in 0..<l.count { pairs[Int(l[i]) << 8 | Int(p[i])] &+= 1 }
                }
            }
        }
        for row in 0..<256 where row != Int(ignore) {
            for column in 0..<256 where (row >= classes || column >= classes) && pairs[row << 8 | column] > 0 {
                throw UserError(
                    "label \(row) predicted as \(column): classes are 0 to \(classes - 1), ignored is \(ignore)")
            }
        }
        for row in 0..<classes where row != Int(ignore) {
            for column in 0..<classes { counts[row * classes + column] += Int64(pairs[row << 8 | column]) }
        }
    }

    /// Adds another part's counts.
    ///
    /// - Throws: `UserError` where the classes differ in number.
    public mutating func merge(_ other: ConfusionMatrix) throws {
        guard other.classes == classes else {
            throw UserError("a confusion matrix of \(other.classes) classes cannot be added to one of \(classes)")
        }
        for i in counts.indices { counts[i] += other.counts[i] }
    }

    public subscript(label label: Int, prediction prediction: Int) -> Int64 { counts[label * classes + prediction] }

    /// Pixels that were counted.
    public var total: Int64 { counts.reduce(0, +) }

    /// Per class, correct / (labelled or predicted as it); nil for a class that is neither labelled nor predicted.
    public var iou: [Double?] {
        (0..<classes).map { ratio(correct($0), labelled($0) + predicted($0) - correct($0)) }
    }

    /// Per class, correct / labelled; nil for a class that is not labelled.
    public var classAccuracy: [Double?] { (0..<classes).map { ratio(correct($0), labelled($0)) } }

    /// Mean of `iou` over the classes that have one; nil where nothing was counted.
    public var meanIoU: Double? { mean(iou) }

    /// Mean of `classAccuracy` over the classes that have one.
    public var meanAccuracy: Double? { mean(classAccuracy) }

    /// Correct pixels / pixels.
    public var pixelAccuracy: Double? { ratio((0..<classes).reduce(0) { $0 + correct($1) }, total) }

    private func correct(_ c: Int) -> Int64 { counts[c * classes + c] }
    private func labelled(_ c: Int) -> Int64 { (0..<classes).reduce(0) { $0 + counts[c * classes + $1] } }
    private func predicted(_ c: Int) -> Int64 { (0..<classes).reduce(0) { $0 + counts[$1 * classes + c] } }
    private func ratio(_ a: Int64, _ b: Int64) -> Double? { b == 0 ? nil : Double(a) / Double(b) }

    private func mean(_ values: [Double?]) -> Double? {
        let present = values.compactMap { $0 }
        return present.isEmpty ? nil : present.reduce(0, +) / Double(present.count)
    }
}
