import Basics
import Imaging

/// What `DataCheck` found; encodes to JSON, prints as a table.
public struct DataCheckReport: Codable, Sendable, Equatable {
    public struct Problem: Codable, Sendable, Equatable {
        public var split: String
        public var file: String
        /// For instance "has no label map".
        public var what: String
    }

    public struct ClassCount: Codable, Sendable, Equatable {
        public var name: String
        public var pixels: Int64 = 0
        /// Images in which the class occurs; 0 means that it is absent.
        public var images = 0
    }

    public struct ImageSize: Codable, Sendable, Equatable {
        /// `WIDTHxHEIGHT`.
        public var size: String
        public var images: Int
    }

    public struct Split: Codable, Sendable, Equatable {
        public var name: String
        public var images = 0
        public var sizes: [ImageSize] = []
        public var classes: [ClassCount]
        public var ignoredPixels: Int64 = 0
        /// Whether the split has label maps at all.
        public var labelled = false
        /// Photographs that EXIF says to turn, which training does not do.
        public var turned = 0
        /// Images of 16 bits a channel.
        public var deep = 0

        init(name: String, classes: [String]) {
            self.name = name
            self.classes = classes.map { ClassCount(name: $0) }
        }

        public var absentClasses: [String] { classes.filter { $0.images == 0 }.map(\.name) }

        mutating func add(_ finding: DataCheck.Finding) {
            images += 1
            if let size = finding.size {
                if let at = sizes.firstIndex(where: { $0.size == size }) {
                    sizes[at].images += 1
                } else {
                    sizes.append(ImageSize(size: size, images: 1))
                }
            }
            if finding.isTurned { turned += 1 }
            if finding.isDeep { deep += 1 }
            guard let pixels = finding.pixels else { return }
            labelled = true
            for (index, count) in pixels.enumerated() where count > 0 {
                classes[index].pixels += count
                classes[index].images += 1
            }
            ignoredPixels += finding.ignored
        }
    }

    public var kind: String
    public var root: String
    public var splits: [Split] = []
    public var problems: [Problem] = []

    init(kind: String, root: String) {
        self.kind = kind
        self.root = root
    }

    public var hasProblems: Bool { !problems.isEmpty }

    /// The report for a terminal: a histogram per split, then the problems, at most `mostProblems` of them.
    public func text(mostProblems: Int = 50) -> String {
        var lines = ["dataset \(kind) at \(root)"]
        for split in splits {
            lines += ["", "split \(split.name): \(split.images) images, \(sizes(of: split))"]
            guard split.labelled else {
                lines.append("  no label maps were counted")
                continue
            }
            lines += table(of: split)
            let absent = split.absentClasses
            if split.turned > 0 {
                lines.append("  \(split.turned) photographs are stored turned or mirrored; \(Orientation.advice)")
            }
            if split.deep > 0 { lines.append("  \(split.deep) images have 16 bits a channel; \(PNG.depthAdvice)") }
            if !absent.isEmpty { lines.append("  absent in \(split.name): \(absent.joined(separator: ", "))") }
        }
        lines.append("")
        guard hasProblems else { return (lines + ["no problems found"]).joined(separator: "\n") }
        lines.append("\(problems.count) problem\(problems.count == 1 ? "" : "s") found:")
        lines += problems.prefix(mostProblems).map { "  \($0.file): \($0.what)" }
        if problems.count > mostProblems { lines.append("  … and \(problems.count - mostProblems) more") }
        return lines.joined(separator: "\n")
    }

    private func sizes(of split: Split) -> String {
        switch split.sizes.count {
        case 0: "none readable"
        case 1: split.sizes[0].size
        case 2...4: split.sizes.map { "\($0.size) (\($0.images))" }.joined(separator: ", ")
        default: "\(split.sizes.count) different sizes"
        }
    }

    private func table(of split: Split) -> [String] {
        let all = split.classes.reduce(split.ignoredPixels) { $0 + $1.pixels }
        func share(_ pixels: Int64) -> String {
            let tenths = all == 0 ? 0 : (pixels * 10_000 + all / 2) / all  // hundredths of a percent
            let cents = tenths % 100
            return "\(tenths / 100).\(cents < 10 ? "0" : "")\(cents)%"
        }
        var rows = [["class", "pixels", "share", "images"]]
        for (index, entry) in split.classes.enumerated() {
            rows.append([
                "\(index) \(entry.name)", "\(entry.pixels)", share(entry.pixels),
                entry.images == 0 ? "absent" : "\(entry.images)",
            ])
        }
        rows.append(["ignored", "\(split.ignoredPixels)", share(split.ignoredPixels), ""])
        return alignedColumns(rows, right: [1, 2, 3]).map { "  " + $0.withoutTrailingBlanks }
    }
}
