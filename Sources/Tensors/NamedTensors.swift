/// Tensors by name, in an order: a network's state, an optimiser's, a file's.
public struct NamedTensors: Sequence {
    public private(set) var names: [String] = []
    private var tensors: [String: Tensor] = [:]
    /// What entries were called before they were renamed; those that never were are not in it.
    private var origins: [String: String] = [:]
    /// What stands in a file beside the tensors, such as a format's name, and what their shapes do not say. Renaming and
    /// leaving out entries keeps it.
    public var metadata: [String: String] = [:]

    public init() {}

    public init(_ pairs: some Sequence<(name: String, tensor: Tensor)>) {
        for (name, tensor) in pairs { self[name] = tensor }
    }

    public var count: Int { names.count }
    public var isEmpty: Bool { names.isEmpty }

    /// A new name goes to the end; nil removes one.
    public subscript(name: String) -> Tensor? {
        get { tensors[name] }
        set {
            let old = tensors.updateValue(newValue, forName: name)
            if old == nil && newValue != nil { names.append(name) }
            if old != nil && newValue == nil { names.removeAll { $0 == name } }
        }
    }

    public func makeIterator() -> AnyIterator<(name: String, tensor: Tensor)> {
        var rest = names.makeIterator()
        return AnyIterator { rest.next().map { ($0, tensors[$0]!) } }
    }

    /// The entries whose names pass, under new names if `rename` gives some; the order stays.
    public func renamed(_ rename: (String) -> String?) -> NamedTensors {
        var found = NamedTensors()
        found.metadata = metadata
        for (name, tensor) in self {
            if let new = rename(name) { found.set(new, to: tensor, from: origin(of: name)) }
        }
        return found
    }

    /// What an entry was called before all renaming: in its file.
    public func origin(of name: String) -> String { origins[name] ?? name }

    /// Sets an entry that comes from the one called `origin`.
    public mutating func set(_ name: String, to tensor: Tensor, from origin: String) {
        self[name] = tensor
        origins[name] = origin == name ? nil : origin
    }

    /// The entries that begin with `prefix`, without it.
    public func under(_ prefix: String) -> NamedTensors {
        renamed { $0.hasPrefix(prefix) ? String($0.dropFirst(prefix.count)) : nil }
    }

    /// All entries with `prefix` before their names.
    public func prefixed(_ prefix: String) -> NamedTensors { renamed { prefix + $0 } }

    /// Adds another's entries and metadata; those of equal name are replaced.
    public mutating func merge(_ others: NamedTensors) {
        metadata.merge(others.metadata) { $1 }
        for (name, tensor) in others { set(name, to: tensor, from: others.origin(of: name)) }
    }

    /// The sum of the elements' counts.
    public var elementCount: Int { reduce(0) { $0 + $1.tensor.count } }
}

extension [String: Tensor] {
    fileprivate mutating func updateValue(_ value: Tensor?, forName name: String) -> Tensor? {
        let old = self[name]
        self[name] = value
        return old
    }
}
