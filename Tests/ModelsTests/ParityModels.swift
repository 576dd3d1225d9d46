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
    static let mobileNetV2Tolerance = 1e-4
    /// The kit's advice for all others.
    static let tolerance = 2e-5

    static func make(_ parity: ParityCase) throws -> ParityModel? {
        let arguments = Arguments(parity.arguments)
        let model: ParityModel?
        switch (parity.reference.package, parity.reference.entry) {
        case ("torchvision", "models.mobilenet_v2"):
            model = try mobileNetV2(
                arguments, classes: "num_classes", names: MobileNetV2.torchvisionNames,
                taps: [
                    "features.1": .stage(0), "features.3": .stage(1), "features.6": .stage(2), "features.10": .stage(3),
                    "features.13": .stage(4), "features.16": .stage(5), "features.17": .stage(6), "features.18": .head,
                ])
        default:
            model = try transformers(parity, arguments) ?? convolutional(parity, arguments)
        }
        return arguments.allUsed ? model : nil
    }

    static let timmMobileNetV2Taps: [String: MobileNetTap] =
        ["conv_stem": .stem, "blocks": .stage(6)].merging(
            (0..<7).map { ("blocks.\($0)", .stage($0)) }, uniquingKeysWith: { $1 })

    enum MobileNetTap {
        case stem, head
        case stage(Int)
    }

    static func mobileNetV2(
        _ arguments: Arguments, width: Double = 1, classes: String, names: [(ours: String, theirs: String)],
        taps: [String: MobileNetTap]
    ) throws -> ParityModel? {
        guard arguments.isFalsy("pretrained"), arguments.isFalsy("weights"), let classes = arguments.int(classes) else {
            return nil
        }
        let network = try MobileNetV2(
            width: width, outputStride: arguments.int("output_stride") ?? 32, classes: classes)
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
    func object(_ key: String) -> [String: JSONValue]? { take(key)?.object }
    /// Missing, null or false: a switch for weights that nobody has here.
    func isFalsy(_ key: String) -> Bool { [nil, .null, .bool(false)].contains(take(key)) }

    private func take(_ key: String) -> JSONValue? {
        guard let value = values[key] else { return nil }
        used.insert(key)
        return value
    }
}
