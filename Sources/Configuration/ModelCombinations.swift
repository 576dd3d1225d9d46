/// Which backbones a head stands on: the combinations that their papers publish.
extension ModelSettings.Head {
    public var backbones: [ModelSettings.Backbone] {
        switch self {
        case .deeplabv3: [.mobilenetv2]
        case .segformer: [.mitb0, .mitb1, .mitb2, .mitb3, .mitb4, .mitb5]
        case .segmenter: [.vitt16, .vits16, .vitb16, .vitl16]
        case .maskformer: [.swint, .swins, .swinb, .swinl]
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
}
