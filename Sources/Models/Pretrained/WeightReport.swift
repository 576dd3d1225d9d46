import NN
import Tensors

/// What became of a file's tensors when a network took them over.
public struct WeightReport: Sendable, Equatable {
    public let path: String
    /// As `WeightFile.format` has it.
    public let format: String
    /// The network's names of the tensors that were taken over, and how many values these have.
    public let names: [String]
    public let values: Int
    /// What was not taken because it is for another number of classes.
    public let recounted: [StateMismatch.Shape]
    public let classes: Int
    public let fileClasses: Int?
    /// Names of the network that the file lacks.
    public let missing: [String]
    /// One tensor of each head that the file has otherwise.
    public let otherHeads: [StateMismatch.Shape]
    /// Names of the file that the network has no use for.
    public let ignored: [String]
    public let besides: [String]

    init(_ file: WeightFile, _ fit: WeightFit, classes: Int) {
        path = file.path
        format = file.format
        names = fit.taken
        values = fit.taken.reduce(0) { $0 + (fit.state[$1]?.count ?? 0) }
        recounted = fit.recounted
        self.classes = classes
        fileClasses = fit.fileClasses
        missing = fit.missing
        otherHeads = fit.otherHeads
        ignored = fit.ignored(of: file.tensors)
        besides = file.besides
    }

    /// One statement each, for a terminal.
    public var lines: [String] {
        var lines = ["\(path): \(names.count) tensors loaded, \(values) values (\(format))"]
        if !missing.isEmpty { lines.append("missing, so at their first values: \(Self.grouped(missing))") }
        if !otherHeads.isEmpty {
            let shapes = otherHeads.map { "\($0.name) is \($0.state), the network's \($0.network)" }
            lines.append("another head in the file: \(Self.listed(shapes))")
        }
        if let fileClasses, !recounted.isEmpty {
            lines.append(
                "of \(fileClasses) classes instead of \(classes), so at their first values: "
                    + Self.grouped(recounted.map(\.name)))
        }
        if !ignored.isEmpty { lines.append("ignored: \(Self.grouped(ignored))") }
        if !besides.isEmpty { lines.append("beside the tensors, ignored: \(Self.listed(besides))") }
        return lines
    }

    /// All of it, for a log.
    public var line: String { lines.joined(separator: "; ") }

    /// `classifier (18), layer4.0 (12), pos_embed`: names by the first component in which they differ, in their order.
    static func grouped(_ names: [String]) -> String {
        let paths = names.map { $0.split(separator: ".").map(String.init) }
        guard let first = paths.first else { return "" }
        var depth = 0
        while depth + 1 < first.count, paths.allSatisfy({ $0.count > depth + 1 && $0[depth] == first[depth] }) {
            depth += 1
        }
        var order: [String] = []
        var counts: [String: Int] = [:]
        for path in paths {
            let group = path.prefix(depth + 1).joined(separator: ".")
            if counts[group] == nil { order.append(group) }
            counts[group, default: 0] += 1
        }
        return listed(order.map { counts[$0]! == 1 ? $0 : "\($0) (\(counts[$0]!))" })
    }

    /// The first eight: a line of a terminal or two.
    private static func listed(_ items: [String]) -> String {
        items.prefix(8).joined(separator: ", ") + (items.count > 8 ? " and \(items.count - 8) more" : "")
    }
}
