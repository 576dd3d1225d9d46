import Basics
import Configuration
import NN
import Tensors

/// Makes networks from recipes: the one place where a recipe's names become architectures.
public enum Network {
    /// The architecture with its weights not yet set (zeros): for loading a state.
    ///
    /// - Parameters:
    ///   - classes: of the dataset, without the ignore label.
    ///   - projecting: whether it gets a projection head, for training by contrast.
    /// - Throws: `UserError` that names the setting and what it may be.
    public static func make(_ settings: ModelSettings, classes: Int, projecting: Bool = false) throws
        -> any SegmentationNetwork
    {
        // 255 is the ignore label of label maps with 8 bits.
        guard (1...255).contains(classes) else {
            throw UserError("a network for \(classes) classes: 1 to 255 are possible")
        }
        guard settings.embedding > 0 else {
            throw UserError("model.embedding is \(settings.embedding); it must be above 0")
        }
        if let trouble = settings.mismatch ?? settings.auxiliaryMismatch { throw UserError(trouble) }
        let embedding = projecting ? settings.embedding : nil
        let dropout = settings.dropout.map(Double.init)
        switch settings.head {
        case .deeplabv3:
            return try DeepLabV3(
                backbone: dilatedBackbone(settings), classes: classes, rates: settings.atrousRates,
                dropout: dropout ?? 0.5, auxiliary: settings.auxiliary, embedding: embedding)
        case .hrnet:
            return try HRNet(backbone: highResolutionBackbone(settings), classes: classes, embedding: embedding)
        case .ocrnet:
            return try OCRNet(
                backbone: highResolutionBackbone(settings), classes: classes, dropout: dropout ?? 0.05,
                embedding: embedding)
        case .segformer: return try segFormer(settings, classes: classes, embedding: embedding)
        case .segmenter: return try segmenter(settings, classes: classes, embedding: embedding)
        case .maskformer: return try maskFormer(settings, classes: classes, embedding: embedding)
        }
    }

    /// A network to train: the recipe's pretrained weights where it names some, elsewhere random ones that depend on the
    /// seed and on each parameter's name only.
    ///
    /// - Parameter report: told what became of the pretrained weights.
    /// - Throws: `UserError` that names the file of weights and what does not fit.
    public static func initial(
        _ settings: ModelSettings, classes: Int, seed: UInt64, projecting: Bool,
        report: (WeightReport) -> Void = { _ in }
    ) throws -> any SegmentationNetwork {
        let network = try make(settings, classes: classes, projecting: projecting)
        try network.initializeWeights(seed: seed)
        if let path = settings.pretrained { report(try network.loadPretrained(path, settings)) }
        return network
    }

    /// A trained network for inference, without its projection head, in evaluation mode.
    ///
    /// - Parameter checkpoint: the folder that holds `model.safetensors`.
    /// - Throws: `UserError` that names the file and what does not fit or is damaged.
    public static func trained(_ settings: ModelSettings, classes: Int, checkpoint: String) throws
        -> any SegmentationNetwork
    {
        let network = try make(settings, classes: classes)
        try withState(of: weightsFile(checkpoint), settings) { state in
            try network.load(state.withoutProjection)
        }
        return network.eval()
    }

    /// A checkpoint's file of weights.
    public static func weightsFile(_ checkpoint: String) -> String { checkpoint + "/model.safetensors" }

    /// Those that trade strides for dilations.
    private static func dilatedBackbone(_ settings: ModelSettings) throws -> any Backbone {
        let stride = settings.outputStride
        guard [8, 16].contains(stride) else {
            throw UserError("model.outputStride is \(stride); it must be 8 or 16")
        }
        let width = Double(settings.width)
        func resNet(_ configuration: ResNet.Configuration) throws -> ResNet {
            try ResNet(configuration.scaled(width), outputStride: stride)
        }
        switch settings.backbone {
        case .mobilenetv1: return try MobileNetV1(width: width, outputStride: stride)
        case .mobilenetv2: return try MobileNetV2(width: width, outputStride: stride)
        case .mobilenetv3: return try MobileNetV3(width: width, outputStride: stride)
        case .resnet18: return try resNet(.resnet18)
        case .resnet34: return try resNet(.resnet34)
        case .resnet50: return try resNet(.resnet50)
        case .resnet101: return try resNet(.resnet101)
        default: preconditionFailure("\(settings.backbone) got past the check of backbone and head")
        }
    }

    private static func highResolutionBackbone(_ settings: ModelSettings) throws -> HRNetV2 {
        func hrNet(_ width: Int) throws -> HRNetV2 {
            try HRNetV2(.width(max(1, Int((Double(width) * Double(settings.width)).rounded()))))
        }
        switch settings.backbone {
        case .hrnetv2w18: return try hrNet(18)
        case .hrnetv2w48: return try hrNet(48)
        default: preconditionFailure("\(settings.backbone) got past the check of backbone and head")
        }
    }

    /// Reads a file of weights and says which file, and which network, where they do not fit.
    static func withState(of path: String, _ settings: ModelSettings, _ body: (NamedTensors) throws -> Void) throws {
        let state = try Safetensors.read(path)
        do {
            try body(state)
        } catch let mismatch as StateMismatch {
            throw UserError(
                "\(path): not the weights of \(settings.head.rawValue) on \(settings.backbone.rawValue) "
                    + "as the recipe has it; \(mismatch)")
        }
    }
}

extension ModelSettings.Head {
    /// The weight of a whole network's state that has one row per class; MaskFormer's has one more, for nothing.
    var classifierWeight: String {
        switch self {
        case .deeplabv3: "classifier.4.weight"
        case .hrnet: "last_layer.3.weight"
        case .ocrnet: "cls_head.weight"
        case .segformer: "decode_head.classifier.weight"
        case .segmenter: "decoder.mask_norm.weight"
        case .maskformer: "class_predictor.weight"
        }
    }
}

extension NamedTensors {
    /// What the names of the projection head begin with.
    public static let projectionPrefix = "projection."

    /// A trained network as it is used and exported: the projection head exists in training only.
    public var withoutProjection: NamedTensors { renamed { $0.hasPrefix(Self.projectionPrefix) ? nil : $0 } }
}
