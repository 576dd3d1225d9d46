/// Which backbones a head stands on: the combinations that their papers publish.
extension ModelSettings.Head {
    public var backbones: [ModelSettings.Backbone] {
        switch self {
        case .deeplabv3:
            [.mobilenetv1, .mobilenetv2, .mobilenetv3, .resnet18, .resnet34, .resnet50, .resnet101]
        case .hrnet, .ocrnet: [.hrnetv2w18, .hrnetv2w48]
        case .segformer: [.mitb0, .mitb1, .mitb2, .mitb3, .mitb4, .mitb5]
        case .segmenter: [.vitt16, .vits16, .vitb16, .vitl16]
        case .maskformer: [.resnet50, .resnet101, .swint, .swins, .swinb, .swinl]
        }
    }
}

extension ModelSettings.Backbone {
    /// Transformers' backbones normalise each pixel by itself.
    var hasBatchNorms: Bool {
        switch self {
        case .hrnetv2w18, .hrnetv2w48, .mobilenetv1, .mobilenetv2, .mobilenetv3: true
        case .resnet18, .resnet34, .resnet50, .resnet101: true
        case .mitb0, .mitb1, .mitb2, .mitb3, .mitb4, .mitb5, .vitt16, .vits16, .vitb16, .vitl16: false
        case .swint, .swins, .swinb, .swinl: false
        }
    }
}

extension ModelSettings {
    /// What is wrong with backbone and head together, in one line; nil for a network that exists.
    public var mismatch: String? {
        guard !head.backbones.contains(backbone) else { return nil }
        let fitting = head.backbones.map(\.rawValue).joined(separator: " or ")
        return "'model.backbone' must be \(fitting) under 'model.head' \(head.rawValue), not '\(backbone.rawValue)'"
    }

    /// The backbones with a feature map for DeepLabV3's auxiliary head.
    private static let auxiliaryBackbones: [Backbone] = [.mobilenetv3, .resnet18, .resnet34, .resnet50, .resnet101]

    /// What is wrong with an auxiliary head that was asked for, in one line.
    public var auxiliaryMismatch: String? {
        guard auxiliary, head != .deeplabv3 || !Self.auxiliaryBackbones.contains(backbone) else { return nil }
        let fitting = Self.auxiliaryBackbones.map(\.rawValue).joined(separator: " or ")
        return "'model.auxiliary' must be false here: it is for 'model.head' deeplabv3 on \(fitting)"
            + (head == .ocrnet ? "; ocrnet has one of its own" : "")
    }
}
