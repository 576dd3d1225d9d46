import Tensors

/// One place in a network and how two codes spell it. Where theirs keeps in one tensor what ours has in several, these
/// follow each other along the first dimension.
struct Spelling {
    let theirs: String
    let ours: [String]

    init(_ theirs: String, _ ours: String...) {
        self.theirs = theirs
        self.ours = ours
    }
}

extension NamedTensors {
    /// The entries under other module paths.
    ///
    /// - Parameter paths: a module's paths here, one per part of its tensors; nil for what has no place here. A tensor
    ///   that does not divide into its parts keeps its name, and loading says so.
    func respelled(_ paths: (String) -> [String]?) -> NamedTensors {
        var found = NamedTensors()
        found.metadata = metadata
        for (name, tensor) in self {
            let dot = name.lastIndex(of: ".") ?? name.startIndex
            guard let own = paths(String(name[..<dot])) else { continue }
            let parts = own.count == 1 ? [tensor] : tensor.dim == 0 ? [] : (try? tensor.chunk(own.count)) ?? []
            if parts.count == own.count {
                for (path, part) in zip(own, parts) {
                    found.set(path + name[dot...], to: part, from: origin(of: name))
                }
            } else {
                found.set(name, to: tensor, from: origin(of: name))
            }
        }
        return found
    }
}
