import ArgumentParser
import Basics
import BenchKit
import ComputeStage
import Configuration
import Foundation
import Tensors

/// One network's steps in this process, printed as `StepFigures`. `StepBench` starts it, one process per measurement, so
/// that memory counts from zero. A peer program takes the same options and prints the same keys.
struct StepCase: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "step-case", shouldDisplay: false)

    @Option(help: "HEAD-BACKBONE, as a recipe names them: deeplabv3-resnet50.") var model: String
    @Option var batch = 8
    @Option(parsing: .upToNextOption, help: "Height and width.") var crop = [240, 320]
    @Option var classes = 11
    @Option var threads = 1
    @Option(help: "How many steps are taken.") var steps = 6
    @Option(help: "How many of them, at the beginning, do not count.") var skip = 2
    @Flag var bf16 = false

    func validate() throws {
        guard crop.count == 2, steps > skip, skip >= 0 else {
            throw ValidationError("--crop takes a height and a width, --skip less than --steps")
        }
    }

    func run() throws {
        guard let network = BenchedNetwork(name: model) else {
            throw UserError("'\(model)' is no network; \(BenchedNetwork.all.map(\.name).joined(separator: ", ")) are")
        }
        var recipe = Recipe()
        recipe.model = network.settings
        recipe.model.precision = bf16 ? .bf16 : .float32
        recipe.augmentation.crop = crop
        recipe.schedule.batch = batch
        recipe.schedule.iterations = steps
        // Labels of noise teach nothing: a small rate keeps the loss a number.
        recipe.schedule.lr = 1e-3
        try Torch.setThreads(threads)
        let rehearsal = try StepRehearsal(recipe, classes: classes)
        let measured = try (0..<steps).map { _ in try rehearsal() }.dropFirst(skip)
        let totals = measured.map { $0.values.reduce(0, +) }
        let figures = StepFigures(
            median: totals.median, least: totals.min()!, most: totals.max()!,
            parts: Dictionary(
                uniqueKeysWithValues: measured.first!.keys.map { key in (key, measured.map { $0[key] ?? 0 }.median) }),
            peakMiB: Double(Usage.peak) / 1_048_576, parametersM: Double(rehearsal.parameterCount) / 1e6)
        print(String(decoding: try JSONEncoder().encode(figures), as: UTF8.self))
    }
}

/// What one process measured; the keys are those of peer programs too.
struct StepFigures: Codable {
    /// Milliseconds per step: forward, loss, backward, optimiser.
    var median: Double
    var least: Double
    var most: Double
    var parts: [String: Double]
    var peakMiB: Double
    var parametersM: Double

    enum CodingKeys: String, CodingKey {
        case median = "median_ms"
        case least = "min_ms"
        case most = "max_ms"
        case parts = "parts_ms"
        case peakMiB = "peak_rss_mb"
        case parametersM = "params_m"
    }
}

/// A combination of head and backbone, and how large a mini-batch of it a machine of 16 GB carries.
struct BenchedNetwork {
    let name: String
    let settings: ModelSettings
    /// Whether it is measured with a quarter of the batch.
    let isLarge: Bool

    static let all = ModelSettings.Head.allCases.flatMap { head in
        head.backbones.map { backbone in
            var settings = ModelSettings()
            (settings.head, settings.backbone) = (head, backbone)
            let large: [ModelSettings.Backbone] = [
                .resnet101, .hrnetv2w48, .mitb3, .mitb4, .mitb5, .vitb16, .vitl16, .swins, .swinb, .swinl,
            ]
            return BenchedNetwork(
                name: "\(head.rawValue)-\(backbone.rawValue)", settings: settings, isLarge: large.contains(backbone))
        }
    }

    private init(name: String, settings: ModelSettings, isLarge: Bool) {
        self.name = name
        self.settings = settings
        self.isLarge = isLarge
    }

    init?(name: String) {
        guard let found = Self.all.first(where: { $0.name == name }) else { return nil }
        self = found
    }
}
