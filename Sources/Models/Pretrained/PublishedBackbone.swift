import Tensors

/// The part of a network whose weights are published by themselves, mostly those of an ImageNet classifier.
public struct PublishedBackbone {
    /// What its names begin with in the network's state; empty for networks that have no level there.
    public let prefix: String
    public let module: any Backbone
    /// What the names begin with, below the prefix, that a file may lack or have in other shapes, because this network
    /// does not use it.
    public var unused: String?
    /// What the names begin with, below the prefix, that this network uses and a file may lack: it keeps its first values.
    public var optional: String?

    public init(prefix: String, _ module: any Backbone, unused: String? = nil, optional: String? = nil) {
        self.prefix = prefix
        self.module = module
        self.unused = unused
        self.optional = optional
    }
}

extension PublishedBackbone {
    /// A file of the backbone alone, under the network's names.
    func reading(_ file: NamedTensors) -> NamedTensors { module.ownNames(ofBackbone: file).prefixed(prefix) }

    /// A file of the network as a whole: its backbone may still be spelt otherwise, or be for another image size.
    func readingWhole(_ file: NamedTensors) -> NamedTensors {
        guard !prefix.isEmpty else { return module.ownNames(file) }
        var whole = file.renamed { $0.hasPrefix(prefix) ? nil : $0 }
        whole.merge(module.ownNames(file.under(prefix)).prefixed(prefix))
        return whole
    }
}
