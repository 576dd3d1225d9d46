import Datasets
import Imaging

/// Which images of an evaluation are shown: a few that are always the same, and those that came out best and worst. Keeps no
/// more predictions than it may show.
struct PictureSelection {
    struct Chosen {
        var image: Int
        var mIoU: Double?
        var prediction: LabelMap
        var choices: [EvaluationPictures.Choice]
    }

    private struct Candidate {
        var image: Int
        var score: Double
        var prediction: LabelMap
    }

    /// How many of each sort.
    static let limit = 4

    let fixed: [Int]
    private var scores: [Int: Double] = [:]
    private var shown: [Int: LabelMap] = [:]
    private var best: [Candidate] = []
    private var worst: [Candidate] = []

    /// - Parameter images: of the split; the fixed ones are spread evenly over it.
    init(images: Int) {
        let count = min(Self.limit, images)
        fixed = (0..<count).map { $0 * images / count }
    }

    /// Takes the next image.
    ///
    /// - Parameter score: its mean IoU; nil where nothing is labelled, which is neither good nor bad.
    mutating func offer(_ image: Int, score: Double?, prediction: LabelMap) {
        if fixed.contains(image) { (shown[image], scores[image]) = (prediction, score) }
        guard let score else { return }
        let candidate = Candidate(image: image, score: score, prediction: prediction)
        // Images come in their order, so of equal ones the first is kept.
        Self.insert(candidate, into: &best) { $0.score > $1.score }
        Self.insert(candidate, into: &worst) { $0.score < $1.score }
    }

    private static func insert(
        _ candidate: Candidate, into list: inout [Candidate], before: (Candidate, Candidate) -> Bool
    ) {
        let place = list.firstIndex { before(candidate, $0) } ?? list.count
        guard place < limit else { return }
        list.insert(candidate, at: place)
        if list.count > limit { list.removeLast() }
    }

    /// In the order of the images. Of few images none is both among the best and the worst.
    ///
    /// - Parameter measured: how many were offered with a score.
    func chosen(of measured: Int) -> [Chosen] {
        var chosen: [Int: Chosen] = [:]
        func add(_ image: Int, _ score: Double?, _ prediction: LabelMap, _ choice: EvaluationPictures.Choice) {
            chosen[image, default: Chosen(image: image, mIoU: score, prediction: prediction, choices: [])]
                .choices.append(choice)
        }
        for image in fixed { shown[image].map { add(image, scores[image], $0, .fixed) } }
        let count = min(Self.limit, measured / 2)
        for found in best.prefix(count) { add(found.image, found.score, found.prediction, .best) }
        for found in worst.prefix(count) { add(found.image, found.score, found.prediction, .worst) }
        return chosen.values.sorted { $0.image < $1.image }
    }
}
