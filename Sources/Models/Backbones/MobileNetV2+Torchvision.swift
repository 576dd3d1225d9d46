import Tensors

extension MobileNetV2 {
    /// Takes timm's spelling and torchvision's; leaves out the classifier on ImageNet if this network has none.
    public func ownNames(_ published: NamedTensors) -> NamedTensors {
        let isTorchvision = published.names.contains { $0.hasPrefix("features.") }
        let own = isTorchvision ? published.renamed { Self.renamed($0, Self.torchvisionNames) } : published
        guard classifier == nil else { return own }
        return own.renamed { name in
            ["conv_head.", "bn2.", "classifier."].contains { name.hasPrefix($0) } ? nil : name
        }
    }

    /// A parameter's name with its module's path replaced; itself where the table does not have the module.
    private static func renamed(_ name: String, _ table: [(ours: String, theirs: String)]) -> String {
        guard let dot = name.lastIndex(of: ".") else { return name }
        let entry = table.first { $0.theirs == name[..<dot] }
        return entry.map { $0.ours + name[dot...] } ?? name
    }

    /// Module paths here and in torchvision's `mobilenet_v2`, which numbers what timm names: the same network.
    public static let torchvisionNames: [(ours: String, theirs: String)] = {
        var names = [("conv_stem", "features.0.0"), ("bn1", "features.0.1")]
        var number = 1
        for (stage, row) in stages.enumerated() {
            for block in 0..<row.blocks {
                let parts =
                    row.expansion == 1
                    ? [("conv_dw", "0.0"), ("bn1", "0.1"), ("conv_pw", "1"), ("bn2", "2")]
                    : [
                        ("conv_pw", "0.0"), ("bn1", "0.1"), ("conv_dw", "1.0"), ("bn2", "1.1"), ("conv_pwl", "2"),
                        ("bn3", "3"),
                    ]
                names += parts.map { ("blocks.\(stage).\(block).\($0)", "features.\(number).conv.\($1)") }
                number += 1
            }
        }
        names += [
            ("conv_head", "features.\(number).0"), ("bn2", "features.\(number).1"), ("classifier", "classifier.1"),
        ]
        return names.map { (ours: $0.0, theirs: $0.1) }
    }()
}
