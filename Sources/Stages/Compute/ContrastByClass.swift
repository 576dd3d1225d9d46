import Contrast

/// What contrast met, class by class, gathered over some steps for the event files.
///
/// | tag | per class |
/// |---|---|
/// | `anchors by class/NAME` | anchors per step |
/// | `hard share by class/NAME` | of these, the part that was mispredicted |
/// | `positive similarity by class/NAME` | mean over the anchors of that with their positives |
/// | `negative similarity by class/NAME` | the same with their negatives, synthetic ones included |
struct ContrastByClass {
    private let names: [String]
    private var steps = 0
    private var anchors: [Int]
    private var hard: [Int]
    private var similarities: SimilaritySums

    init(classes names: [String]) {
        self.names = names
        anchors = names.map { _ in 0 }
        hard = anchors
        similarities = SimilaritySums(classes: names.count)
    }

    /// - Parameters:
    ///   - drawn: of the whole mini-batch.
    ///   - sums: of the same step, of all ranks.
    mutating func add(_ drawn: [ClassAnchors], _ sums: SimilaritySums) {
        steps += 1
        for group in drawn where anchors.indices.contains(group.classID.index) {
            anchors[group.classID.index] += group.pixels.count
            hard[group.classID.index] += group.mispredicted
        }
        similarities.add(sums)
    }

    /// What has gathered, as scalars, and begins anew; classes without anchors have a number of them, 0, and nothing else.
    mutating func take() -> [(tag: String, value: Double)] {
        defer { self = ContrastByClass(classes: names) }
        guard steps > 0 else { return [] }
        return names.indices.flatMap { c -> [(tag: String, value: Double)] in
            var values = [(tag: "anchors by class/\(names[c])", value: Double(anchors[c]) / Double(steps))]
            guard anchors[c] > 0 else { return values }
            values.append(("hard share by class/\(names[c])", Double(hard[c]) / Double(anchors[c])))
            if let (positive, negative) = similarities.means(ofClass: c) {
                values.append(("positive similarity by class/\(names[c])", positive))
                values.append(("negative similarity by class/\(names[c])", negative))
            }
            return values
        }
    }
}

/// Similarities of anchors with what miners sampled for them, by class, as sums that ranks and steps can add up.
///
/// A miner that does not tell its similarities is left out of the means.
struct SimilaritySums: Equatable {
    /// Per class: anchors, the sums over them of their mean similarity with positives and with negatives.
    private(set) var numbers: [Double]

    init(classes: Int) { numbers = Array(repeating: 0, count: 3 * classes) }

    init(numbers: [Double]) { self.numbers = numbers }

    mutating func add(_ report: (anchors: Int, positive: Double, negative: Double), toClass c: Int) {
        guard 3 * c + 2 < numbers.count else { return }
        numbers[3 * c] += Double(report.anchors)
        numbers[3 * c + 1] += Double(report.anchors) * report.positive
        numbers[3 * c + 2] += Double(report.anchors) * report.negative
    }

    mutating func add(_ other: SimilaritySums) {
        for index in numbers.indices where index < other.numbers.count { numbers[index] += other.numbers[index] }
    }

    func means(ofClass c: Int) -> (positive: Double, negative: Double)? { Self.means(numbers[3 * c..<3 * c + 3]) }

    /// Over all classes.
    var means: (positive: Double, negative: Double)? {
        var all = [0.0, 0, 0]
        for (index, number) in numbers.enumerated() { all[index % 3] += number }
        return Self.means(all[...])
    }

    private static func means(_ sums: ArraySlice<Double>) -> (positive: Double, negative: Double)? {
        let (count, start) = (sums[sums.startIndex], sums.startIndex)
        return count > 0 ? (sums[start + 1] / count, sums[start + 2] / count) : nil
    }
}
