import NN
import Tensors

@testable import Models

/// The convolutional networks, by what a case says of its reference.
extension ParityModels {
    static func convolutional(_ parity: ParityCase, _ arguments: Arguments) throws -> ParityModel? {
        let entry = parity.reference.entry ?? ""
        let training = parity.train != nil
        switch (parity.reference.package, parity.reference.project) {
        case ("timm", nil):
            if let name = entry.prefix(before: " (features_only) + torchvision DeepLabHead") {
                return try timmDeepLab(name, arguments, training: training)
            }
            return try timmClassifier(entry, arguments)
        default: return nil
        }
    }

    private static func deepLab(
        _ backbone: any Backbone, classes: Int, rates: [Int] = [12, 24, 36], training: Bool,
        tolerance: Double
    ) throws -> ParityModel {
        let network = try DeepLabV3(
            backbone: backbone, classes: classes, rates: rates, dropout: training ? 0 : 0.5)
        return ParityModel(module: network, tolerance: tolerance) { x, tapping in
            let size = Size2D(x.size(2), x.size(3))
            let features = try network.features(x)
            // Each head once, in training too: another pass would show in its running statistics.
            let scores = try network.classifier(features[features.count - 1])
            var found = ["out": try network.resized(scores, to: size)]
            guard tapping else { return found }
            let last = features[features.count - 1]
            found["backbone[0]"] = last
            found["classifier.0"] = try network.classifier.pyramid(last)
            found["classifier"] = scores
            return found
        }
    }

    // MARK: timm

    /// `mobilenetv1_125` has width 1.25.
    private static func width(_ name: String, of family: String) -> Double? {
        name.suffix(after: family + "_").flatMap { Int($0) }.map { Double($0) / 100 }
    }

    private static func timmDeepLab(_ entry: String, _ arguments: Arguments, training: Bool) throws -> ParityModel? {
        guard arguments.string("backbone") == entry, let stride = arguments.int("output_stride"),
            let classes = arguments.int("num_classes"), let rates = arguments.ints("atrous_rates")
        else { return nil }
        let backbone: any Backbone
        var share = tolerance
        if let width = width(entry, of: "mobilenetv1") {
            backbone = try MobileNetV1(width: width, outputStride: stride)
        } else if let width = width(entry, of: "mobilenetv2") {
            backbone = try MobileNetV2(width: width, outputStride: stride)
            share = mobileNetV2Tolerance
        } else {
            return nil
        }
        return try deepLab(backbone, classes: classes, rates: rates, training: training, tolerance: share)
    }

    private static func timmClassifier(_ entry: String, _ arguments: Arguments) throws -> ParityModel? {
        if let width = width(entry, of: "mobilenetv1") { return try mobileNetV1(width, arguments) }
        if let width = width(entry, of: "mobilenetv2") {
            return try mobileNetV2(
                arguments, width: width, classes: "num_classes", names: [], taps: timmMobileNetV2Taps)
        }
        return nil
    }

    private static func mobileNetV1(_ width: Double, _ arguments: Arguments) throws -> ParityModel? {
        guard arguments.isFalsy("pretrained"), let classes = arguments.int("num_classes") else { return nil }
        let network = try MobileNetV1(
            width: width, outputStride: arguments.int("output_stride") ?? 32, classes: classes)
        return ParityModel(module: network, tolerance: tolerance) { x, tapping in
            var found = ["out": try network.classify(x)]
            guard tapping else { return found }
            found["conv_stem"] = try network.stem(x)
            var y = try network.stemNorm(network.stem(x)).relu6()
            for (index, stage) in network.blocks.enumerated() {
                y = try stage(y)
                found["blocks.\(index)"] = y
            }
            found["blocks"] = y
            return found
        }
    }
}

extension ParityModel {
    /// A module whose state keys are the published ones.
    init(
        module: Module, tolerance: Double,
        run: @escaping (_ input: Tensor, _ tapping: Bool) throws -> [String: Tensor]
    ) {
        self.init(module: module, publishedName: { $0 }, tolerance: tolerance, run: run)
    }
}

extension String {
    fileprivate func suffix(after prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
    fileprivate func prefix(before suffix: String) -> String? {
        hasSuffix(suffix) ? String(dropLast(suffix.count)) : nil
    }
}
