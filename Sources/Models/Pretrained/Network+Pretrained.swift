import Basics
import Configuration
import NN
import Tensors

extension SegmentationNetwork {
    /// Takes over published weights of the backbone, or of a whole network trained by us or elsewhere, from a file of any
    /// format. What the file lacks keeps its values.
    ///
    /// - Returns: what was taken over, what is missing and what was ignored.
    /// - Throws: `UserError` that names the file: unreadable, or another network's, and then whose it is.
    @discardableResult
    public func loadPretrained(_ path: String, _ settings: ModelSettings) throws -> WeightReport {
        try loadPretrained(WeightFile(path: path), settings)
    }

    @discardableResult
    public func loadPretrained(_ file: WeightFile, _ settings: ModelSettings) throws -> WeightReport {
        let fit = WeightFit.best(of: file.tensors, for: self)
        guard fit.isFit else {
            let fitting = try Network.fitting(file.tensors)
            throw UserError(
                "\(file.path): not the weights of \(settings.head.rawValue) on \(settings.backbone.rawValue) "
                    + "as the recipe has it; \(fit.mismatch)"
                    + (fitting.isEmpty ? "" : "; it fits \(fitting.map(\.description).joined(separator: ", "))"))
        }
        try fit.load(into: self)
        return WeightReport(file, fit, classes: classes)
    }

    /// Takes over tensors in memory that hold the backbone, or the whole network.
    ///
    /// - Throws: `StateMismatch` where they are another network's.
    public func loadBackbone(_ weights: NamedTensors) throws {
        let fit = WeightFit.best(of: weights, for: self)
        guard fit.isFit else { throw fit.mismatch }
        try fit.load(into: self)
    }
}

extension Network {
    /// A network that a file's tensors fit.
    public struct Fitting: Sendable, Equatable, CustomStringConvertible {
        public let head: ModelSettings.Head
        public let backbone: ModelSettings.Backbone
        /// Of the file, if it holds the head too.
        public let classes: Int?

        public var description: String {
            "\(head.rawValue) on \(backbone.rawValue)" + (classes.map { " with its head for \($0) classes" } ?? "")
        }
    }

    /// A file of fewer tensors is no network's, and is not compared with all of them.
    private static let fewestTensors = 50

    /// Which networks, at their published width, the tensors fit: their backbone, or all of them.
    ///
    /// Every network is made once for that, which takes seconds.
    ///
    /// - Parameter progress: called after each of them.
    public static func fitting(
        _ tensors: NamedTensors, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws -> [Fitting] {
        guard tensors.count >= fewestTensors else { return [] }
        var found: [Fitting] = []
        let total = ModelSettings.Head.allCases.reduce(0) { $0 + $1.backbones.count }
        var done = 0
        for head in ModelSettings.Head.allCases {
            for backbone in head.backbones {
                var settings = ModelSettings()
                (settings.head, settings.backbone) = (head, backbone)
                let network = try make(settings, classes: 2)
                done += 1
                defer { progress(done, total) }
                let fit = WeightFit.best(of: tensors, for: network)
                guard fit.isFit else { continue }
                let hasHead = fit.taken.contains(head.classifierWeight)
                found.append(.init(head: head, backbone: backbone, classes: hasHead ? 2 : fit.fileClasses))
            }
        }
        return found
    }
}
