import NN
import Tensors

/// ResNet under the state keys of transformers' `ResNetBackbone`, as MaskFormer's published weights have them: the same
/// network, whose modules appear here under other names.
public final class TransformersResNet: Module, Backbone {
    private let network: ResNet

    public var featureChannels: [Int] { network.featureChannels }
    public var inputNormalization: InputNormalization { network.inputNormalization }
    public var initialization: InitializationRule { network.initialization }

    /// - Parameter network: without a classifier.
    public init(_ network: ResNet) { self.network = network }

    public func features(_ images: Tensor) throws -> [Tensor] { try network.features(images) }

    /// Convolutions and norms only: what holds them here has no state and no other behaviour in training.
    public override func children() -> [(key: String, module: Module)] {
        network.namedModules().compactMap { path, module in Self.published(path).map { (key: $0, module: module) } }
    }

    /// Takes torchvision's names, and transformers' with and without a classifier of images.
    public func ownNames(_ published: NamedTensors) -> NamedTensors {
        let encoder = published.under("resnet.")
        if !encoder.isEmpty { return encoder }
        guard published.names.contains("conv1.weight") else { return published }
        return network.ownNames(published).renamed { name in
            guard let dot = name.lastIndex(of: ".") else { return name }
            return Self.published(String(name[..<dot])).map { $0 + name[dot...] } ?? name
        }
    }

    /// A convolution's or norm's path as transformers spells it; nil for all else.
    ///
    /// `layer2.0.conv3` is `encoder.stages.1.layers.0.layer.2.convolution`, `layer2.0.downsample.1` is
    /// `encoder.stages.1.layers.0.shortcut.normalization`.
    static func published(_ path: String) -> String? {
        let parts = path.split(separator: ".")
        switch parts.count {
        case 1:
            let kinds = ["conv1": "convolution", "bn1": "normalization"]
            return kinds[path].map { "embedder.embedder.\($0)" }
        case 3, 4:
            guard parts[0].hasPrefix("layer"), let stage = Int(parts[0].dropFirst(5)) else { return nil }
            let block = "encoder.stages.\(stage - 1).layers.\(parts[1])"
            if parts.count == 4 {
                let kinds = ["0": "convolution", "1": "normalization"]
                return parts[2] == "downsample" ? kinds[String(parts[3])].map { "\(block).shortcut.\($0)" } : nil
            }
            guard let number = parts[2].last?.wholeNumberValue else { return nil }
            let kinds = ["conv": "convolution", "bn": "normalization"]
            return kinds[String(parts[2].dropLast())].map { "\(block).layer.\(number - 1).\($0)" }
        default: return nil
        }
    }
}
