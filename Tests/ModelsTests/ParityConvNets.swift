import NN
import Tensors

@testable import Models

/// The convolutional networks, by what a case says of its reference.
extension ParityModels {
    static func convolutional(_ parity: ParityCase, _ arguments: Arguments) throws -> ParityModel? {
        let entry = parity.reference.entry ?? ""
        let training = parity.train != nil
        switch (parity.reference.package, parity.reference.project) {
        case ("torchvision", nil):
            guard arguments.isFalsy("weights"), arguments.isFalsy("weights_backbone"),
                let classes = arguments.int("num_classes")
            else { return nil }
            if let name = entry.suffix(after: "models.segmentation.deeplabv3_") {
                return try torchvisionDeepLab(name, arguments, classes: classes, training: training)
            }
            guard let name = entry.suffix(after: "models.") else { return nil }
            if name == "mobilenet_v3_large" { return try mobileNetV3(classes: classes) }
            return try residualNetworks[name].map { try resNet($0, classes: classes) }
        case ("timm", nil):
            if let name = entry.prefix(before: " (features_only) + torchvision DeepLabHead") {
                return try timmDeepLab(name, arguments, training: training)
            }
            return try timmClassifier(entry, arguments)
        case (nil, "HRNet-Semantic-Segmentation"):
            return try highResolutionNetwork(parity, arguments)
        default: return nil
        }
    }

    // MARK: torchvision

    private static let residualNetworks: [String: ResNet.Configuration] = {
        var wide = ResNet.Configuration.resnet50
        wide.widthPerGroup = 128
        var grouped = ResNet.Configuration.resnet50
        (grouped.groups, grouped.widthPerGroup) = (32, 4)
        return [
            "resnet18": .resnet18, "resnet34": .resnet34, "resnet50": .resnet50, "resnet101": .resnet101,
            "resnet152": .resnet152, "wide_resnet50_2": wide, "resnext50_32x4d": grouped,
        ]
    }()

    private static func resNet(_ configuration: ResNet.Configuration, classes: Int) throws -> ParityModel {
        let network = try ResNet(configuration, classes: classes)
        return ParityModel(module: network, tolerance: tolerance) { x, tapping in
            var found = ["out": try network.classify(x)]
            guard tapping else { return found }
            found["maxpool"] = try network.pooledStem(x)
            let maps = try network.features(x)
            for (index, map) in maps.enumerated() { found["layer\(index + 1)"] = map }
            found["avgpool"] = try maps[3].mean(dims: [2, 3], keepDim: true)
            return found
        }
    }

    private static func mobileNetV3(classes: Int) throws -> ParityModel {
        let network = try MobileNetV3Classifier(classes: classes)
        return ParityModel(module: network, tolerance: tolerance) { x, tapping in
            var found = ["out": try network(x)]
            if tapping { try tapLayers(network.backbone, x, "features.", &found) }
            return found
        }
    }

    private static func tapLayers(
        _ network: MobileNetV3, _ x: Tensor, _ prefix: String, _ found: inout [String: Tensor]
    ) throws {
        var x = x
        for (index, layer) in network.layers.enumerated() {
            x = try layer(x)
            found["\(prefix)\(index)"] = x
        }
    }

    private static func torchvisionDeepLab(
        _ name: String, _ arguments: Arguments, classes: Int, training: Bool
    ) throws -> ParityModel? {
        let backbone: any Backbone
        if name == "mobilenet_v3_large" {
            backbone = try MobileNetV3(outputStride: 16)
        } else if let configuration = residualNetworks[name] {
            backbone = try ResNet(configuration, outputStride: 8)
        } else {
            return nil
        }
        let auxiliary = arguments.bool("aux_loss") ?? !arguments.isFalsy("aux_loss")
        return try deepLab(backbone, classes: classes, auxiliary: auxiliary, training: training, tolerance: tolerance)
    }

    private static func deepLab(
        _ backbone: any Backbone, classes: Int, rates: [Int] = [12, 24, 36], auxiliary: Bool = false, training: Bool,
        tolerance: Double
    ) throws -> ParityModel {
        let network = try DeepLabV3(
            backbone: backbone, classes: classes, rates: rates, dropout: training ? 0 : 0.5, auxiliary: auxiliary,
            auxiliaryDropout: training ? 0 : 0.1)
        return ParityModel(module: network, tolerance: tolerance) { x, tapping in
            let size = Size2D(x.size(2), x.size(3))
            let features = try network.features(x)
            // Each head once, in training too: another pass would show in its running statistics.
            let scores = try network.classifier(features[features.count - 1])
            let auxiliaryScores = try network.auxiliary.map { try $0(features[0]) }
            var found = ["out": try network.resized(scores, to: size)]
            found["aux"] = try auxiliaryScores.map { try network.resized($0, to: size) }
            guard tapping else { return found }
            let last = features[features.count - 1]
            found["backbone[0]"] = last
            found["classifier.0"] = try network.classifier.pyramid(last)
            found["classifier"] = scores
            found["aux_classifier"] = auxiliaryScores
            switch backbone {
            case let network as MobileNetV3: try tapLayers(network, x, "backbone.", &found)
            case let network as ResNet:
                for (index, map) in try network.features(x).enumerated() { found["backbone.layer\(index + 1)"] = map }
            default: break
            }
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
        } else if let configuration = residualNetworks[entry] {
            backbone = try ResNet(configuration, outputStride: stride)
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
        guard let name = entry.suffix(after: "hrnet_w"), let width = Int(name), arguments.isFalsy("pretrained"),
            let classes = arguments.int("num_classes")
        else { return nil }
        var configuration = try HRNetV2.Configuration.width(width)
        configuration.fusing = .nearest
        let network = try HRNetV2Classifier(configuration, classes: classes)
        return ParityModel(module: network, tolerance: tolerance) { x, tapping in
            var found = ["out": try network(x)]
            guard tapping else { return found }
            let stages = try tapStages(network.backbone, x, &found)
            found["final_layer"] = try network.headFeatures(stages[3])
            return found
        }
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

    // MARK: HRNet-Semantic-Segmentation

    /// Adds every stage's maps.
    private static func tapStages(_ network: HRNetV2, _ x: Tensor, _ found: inout [String: Tensor]) throws -> [[Tensor]]
    {
        let stages = try network.stages(x)
        found["layer1"] = stages[0][0]
        for (stage, maps) in stages.enumerated().dropFirst() {
            for (branch, map) in maps.enumerated() { found["stage\(stage + 1)[\(branch)]"] = map }
        }
        return stages
    }

    private static func highResolutionNetwork(_ parity: ParityCase, _ arguments: Arguments) throws -> ParityModel? {
        let stages = (1...4).compactMap { arguments.object("STAGE\($0)").flatMap(stage) }
        guard stages.count == 4, arguments.int("width") == stages[3].channels.first,
            let classes = arguments.int("num_classes"), let alignCorners = arguments.bool("align_corners"),
            let kernel = arguments.int("FINAL_CONV_KERNEL")
        else { return nil }
        let backbone = try HRNetV2(
            .init(
                stages: stages, fusing: .bilinear(alignCorners: alignCorners),
                momentum: parity.reference.branch == "pytorch-v1.1" ? 0.01 : 0.1))
        guard parity.reference.entry?.contains("seg_hrnet_ocr") == true else {
            let network = try HRNet(backbone: backbone, classes: classes, lastKernel: kernel)
            return ParityModel(module: network, tolerance: tolerance) { x, tapping in
                let features = try network.features(x)
                var found = ["out": try network.scores(features).main]
                guard tapping else { return found }
                _ = try tapStages(backbone, x, &found)
                let head = network.classifier
                found["last_layer.2"] = try head.norm(head.conv(features[0])).relu()
                return found
            }
        }

        guard let ocr = arguments.object("OCR"), ocr["scale"]?.int == 1, let middle = ocr["mid_channels"]?.int,
            let key = ocr["key_channels"]?.int, case .number(let dropout)? = ocr["dropout"], ocr.count == 4
        else { return nil }
        let network = try OCRNet(
            backbone: backbone, classes: classes, middle: middle, key: key, dropout: parity.train == nil ? dropout : 0)
        return ParityModel(module: network, tolerance: tolerance) { x, tapping in
            let features = try network.features(x)
            let (coarse, main) = try network.head(features[0])
            var found = ["out": main, "aux": coarse]
            guard tapping else { return found }
            _ = try tapStages(backbone, x, &found)
            let pixels = try network.head.pixels(features[0])
            let regions = try network.head.gather(pixels, by: coarse)
            found["conv3x3_ocr"] = pixels
            found["ocr_gather_head"] = regions
            found["ocr_distri_head.object_context_block"] = try network.head.distribution.attention(pixels, regions)
            found["ocr_distri_head"] = try network.head.distribution(pixels, regions)
            return found
        }
    }

    private static func stage(_ values: [String: JSONValue]) -> HRNetV2.Stage? {
        guard let modules = values["modules"]?.int, let blocks = values["blocks"]?.ints,
            let channels = values["channels"]?.ints, values.count == 4
        else { return nil }
        switch values["block"]?.string {
        case "BASIC": return .init(modules: modules, block: .basic, blocks: blocks, channels: channels)
        case "BOTTLENECK": return .init(modules: modules, block: .bottleneck, blocks: blocks, channels: channels)
        default: return nil
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
