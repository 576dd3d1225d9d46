import NN
import Tensors

@testable import Models

/// A network under test, as its reference builds it.
struct ParityModel {
    let module: Module
    /// The name that published checkpoints give an entry of the module's state.
    let publishedName: (String) -> String
    /// Share of an output's std that float32 may be off.
    let tolerance: Double
    /// All outputs that the case names, and its taps if asked for: those run modules a second time, which in training
    /// would show in their running statistics.
    let run: (_ input: Tensor, _ tapping: Bool) throws -> [String: Tensor]
}

/// The networks there are, by what a case says of its reference. A case with arguments that are not listed here is
/// another network.
enum ParityModels {
    /// The kit's advice: 1e-4 for everything with MobileNetV2, whose ReLU6 and linear bottlenecks amplify rounding.
    private static let mobileNetV2Tolerance = 1e-4

    static func make(_ parity: ParityCase) throws -> ParityModel? {
        let arguments = Arguments(parity.arguments)
        let model: ParityModel?
        switch (parity.reference.package, parity.reference.entry) {
        case ("timm", "mobilenetv2_100"):
            model = try mobileNetV2(
                arguments, classes: "num_classes", names: [],
                taps: ["conv_stem": .stem, "blocks": .stage(6)].merging(
                    (0..<7).map { ("blocks.\($0)", .stage($0)) }, uniquingKeysWith: { $1 }))
        case ("torchvision", "models.mobilenet_v2"):
            model = try mobileNetV2(
                arguments, classes: "num_classes", names: MobileNetV2.torchvisionNames,
                taps: [
                    "features.1": .stage(0), "features.3": .stage(1), "features.6": .stage(2), "features.10": .stage(3),
                    "features.13": .stage(4), "features.16": .stage(5), "features.17": .stage(6), "features.18": .head,
                ])
        case ("timm", "mobilenetv2_100 (features_only) + torchvision DeepLabHead"):
            model = try deepLabV3(arguments, training: parity.train != nil)
        default:
            model = try transformers(parity, arguments)
        }
        return arguments.allUsed ? model : nil
    }

    private enum MobileNetTap {
        case stem, head
        case stage(Int)
    }

    private static func mobileNetV2(
        _ arguments: Arguments, classes: String, names: [(ours: String, theirs: String)], taps: [String: MobileNetTap]
    ) throws -> ParityModel? {
        guard arguments.isFalsy("pretrained"), arguments.isFalsy("weights"), let classes = arguments.int(classes) else {
            return nil
        }
        let network = try MobileNetV2(outputStride: arguments.int("output_stride") ?? 32, classes: classes)
        return ParityModel(
            module: network,
            publishedName: { name in
                guard let dot = name.lastIndex(of: "."), let row = names.first(where: { $0.ours == name[..<dot] })
                else { return name }
                return row.theirs + name[dot...]
            },
            tolerance: mobileNetV2Tolerance,
            run: { x, tapping in
                var tapped = ["out": try network.classify(x)]
                guard tapping else { return tapped }
                var stages = [try network.stemNorm(network.stem(x)).relu6()]
                for stage in network.blocks { stages.append(try stage(stages[stages.count - 1])) }
                for (name, tap) in taps {
                    switch tap {
                    case .stem: tapped[name] = try network.stem(x)
                    case .stage(let index): tapped[name] = stages[index + 1]
                    case .head: tapped[name] = try network.headNorm!(network.headConv!(stages[7])).relu6()
                    }
                }
                return tapped
            })
    }

    private static func deepLabV3(_ arguments: Arguments, training: Bool) throws -> ParityModel? {
        guard arguments.string("backbone") == "mobilenetv2_100", let stride = arguments.int("output_stride"),
            let classes = arguments.int("num_classes"), let rates = arguments.ints("atrous_rates")
        else { return nil }
        let network = try DeepLabV3(
            backbone: MobileNetV2(outputStride: stride), classes: classes, rates: rates,
            dropout: training ? 0 : 0.5)
        return ParityModel(
            module: network, publishedName: { $0 }, tolerance: mobileNetV2Tolerance,
            run: { x, tapping in
                let features = try network.features(x)
                let scores = try network.scores(features).main
                var found = ["out": try network.resized(scores, to: Size2D(x.size(2), x.size(3)))]
                if tapping {
                    found["backbone[0]"] = features[0]
                    found["classifier.0"] = try network.classifier.pyramid(features[0])
                    found["classifier"] = scores
                }
                return found
            })
    }
}

/// Reads a case's arguments and remembers which were read.
final class Arguments {
    private let values: [String: JSONValue]
    private var used: Set<String> = []

    init(_ values: [String: JSONValue]) { self.values = values }

    var allUsed: Bool { used.count == values.count }

    func int(_ key: String) -> Int? { take(key)?.int }
    func ints(_ key: String) -> [Int]? { take(key)?.ints }
    func string(_ key: String) -> String? { take(key)?.string }
    func number(_ key: String) -> Double? { take(key)?.number }
    func bool(_ key: String) -> Bool? { take(key)?.bool }
    /// Missing, null or false: a switch for weights that nobody has here.
    func isFalsy(_ key: String) -> Bool { [nil, .null, .bool(false)].contains(take(key)) }

    private func take(_ key: String) -> JSONValue? {
        guard let value = values[key] else { return nil }
        used.insert(key)
        return value
    }
}
