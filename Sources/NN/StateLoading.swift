import Basics
import Tensors

/// What a state may lack or have too much when it is loaded into a network.
public struct LoadAllowance: OptionSet, Sendable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }

    /// Keys of the network that the state lacks keep their values.
    public static let missing = LoadAllowance(rawValue: 1)
    /// Keys of the state that the network lacks are left out.
    public static let unused = LoadAllowance(rawValue: 2)
    /// Keys whose shapes differ keep the network's values.
    public static let misshaped = LoadAllowance(rawValue: 4)
    /// `num_batches_tracked` may be missing: PyTorch before 0.4.1 did not save it, and nothing reads it.
    public static let missingBatchCounts = LoadAllowance(rawValue: 8)
}

/// How a state and a network differ.
public struct StateMismatch: Error, CustomStringConvertible, Sendable, Equatable {
    public struct Shape: Sendable, Equatable {
        public let name: String
        public let network: [Int]
        public let state: [Int]

        public init(name: String, network: [Int], state: [Int]) {
            (self.name, self.network, self.state) = (name, network, state)
        }
    }

    /// Keys of the network that the state lacks.
    public fileprivate(set) var missing: [String]
    /// Keys of the state that the network lacks.
    public fileprivate(set) var unused: [String]
    public fileprivate(set) var misshaped: [Shape]
    /// For the first missing keys, the unused one that was most likely meant.
    private let nearest: [String: String]

    public init(missing: [String] = [], unused: [String] = [], misshaped: [Shape] = []) {
        (self.missing, self.unused, self.misshaped) = (missing, unused, misshaped)
        var nearest: [String: String] = [:]
        for name in missing.prefix(Self.listed) { nearest[name] = nearestName(to: name, among: unused) }
        self.nearest = nearest
    }

    public var isEmpty: Bool { missing.isEmpty && unused.isEmpty && misshaped.isEmpty }

    public var description: String {
        var parts: [String] = []
        parts += Self.list("missing", missing) { key in key + (nearest[key].map { " (is it '\($0)'?)" } ?? "") }
        parts += Self.list("unused", unused) { $0 }
        parts += Self.list("of another shape", misshaped) { "\($0.name) (\($0.state), the network has \($0.network))" }
        return "the state does not fit the network: " + parts.joined(separator: "; ")
    }

    /// How many names a message lists of each sort; the properties have all.
    fileprivate static let listed = 5

    private static func list<Item>(_ what: String, _ items: [Item], _ text: (Item) -> String) -> [String] {
        guard !items.isEmpty else { return [] }
        let more = items.count > listed ? " and \(items.count - listed) more" : ""
        return ["\(items.count) \(what): " + items.prefix(listed).map(text).joined(separator: ", ") + more]
    }
}

extension Module {
    /// How a state differs from the network's own.
    private func mismatch(with state: NamedTensors) -> StateMismatch {
        let own = stateDict()
        var missing: [String] = []
        var misshaped: [StateMismatch.Shape] = []
        for (name, tensor) in own {
            if let source = state[name] {
                if source.shape != tensor.shape {
                    misshaped.append(.init(name: name, network: tensor.shape, state: source.shape))
                }
            } else {
                missing.append(name)
            }
        }
        return StateMismatch(
            missing: missing, unused: state.names.filter { own[$0] == nil }, misshaped: misshaped)
    }

    /// Copies a state's values into the network, converted to its types and devices. Nothing is changed if it throws a
    /// `StateMismatch`.
    ///
    /// - Parameters:
    ///   - state: names as in `stateDict()`.
    ///   - allowance: what may differ; by default nothing.
    /// - Returns: what did differ, within the allowance.
    /// - Throws: `StateMismatch` that lists all unused, missing and mis-shaped keys, or `TensorError`.
    @discardableResult
    public func load(_ state: NamedTensors, allowing allowance: LoadAllowance = []) throws -> StateMismatch {
        let found = mismatch(with: state)
        var refused = found
        if allowance.contains(.missing) { refused.missing = [] }
        if allowance.contains(.missingBatchCounts) { refused.missing.removeAll { $0.hasSuffix("num_batches_tracked") } }
        if allowance.contains(.unused) { refused.unused = [] }
        if allowance.contains(.misshaped) { refused.misshaped = [] }
        guard refused.isEmpty else { throw refused }

        try withoutGradient {
            for (name, tensor) in stateDict() {
                if let source = state[name], source.shape == tensor.shape { try tensor.copy_(source) }
            }
        }
        return found
    }
}
