/// What was predicted, for programs: what `picoflow predict --json` prints.
public struct Predictions: Encodable, Sendable {
    public struct Class: Encodable, Sendable {
        public var name: String
        /// `#rrggbb`
        public var color: String
    }

    /// An image or a video, and the files that came of it.
    public struct File: Encodable, Sendable {
        public var source: String
        public var overlay: String
        public var labels: String?
        public var sideBySide: String?
        /// Of a video.
        public var frames: Int?
        /// Of the classes that are in it, in their order: their parts of all that was labelled.
        public var shares: [Share]
    }

    public struct Share: Encodable, Sendable {
        public var name: String
        public var share: Double
    }

    public var classes: [Class]
    public var legend: String?
    public var files: [File] = []
}

/// How much of what was labelled is of each class.
struct ClassShares {
    private var counts = [Int](repeating: 0, count: 256)

    /// - Parameter values: a class's number per pixel.
    mutating func add(_ values: UnsafeRawBufferPointer) { for value in values { counts[Int(value)] += 1 } }

    func shares(_ names: [String]) -> [Predictions.Share] {
        let all = Double(max(1, counts.reduce(0, +)))
        return names.indices.filter { counts[$0] > 0 }.map {
            Predictions.Share(name: names[$0], share: Double(counts[$0]) / all)
        }
    }

    /// The three largest classes: `road 41 %, sky 27 %, building 12 %`.
    func text(_ names: [String]) -> String {
        let all = Double(counts.reduce(0, +))
        let present = names.indices.filter { counts[$0] > 0 }
        let largest = present.sorted { (counts[$1], $0) < (counts[$0], $1) }.prefix(3)
        return largest.map { "\(names[$0]) \(Int((100 * Double(counts[$0]) / all).rounded())) %" }
            .joined(separator: ", ")
    }
}
