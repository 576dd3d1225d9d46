import Basics

/// Finds the dictionary of tensors in what a pickle holds: trainings save it beside epochs and optimisers, under names
/// of their own.
struct StateSearch {
    struct Found {
        var dictionary: Int
        var path: [String]
        /// Tensors directly in it.
        var count: Int
    }

    /// What trainings call it, the ones for use before the ones for going on.
    static let names = [
        "state_dict", "model_state_dict", "model_state", "model", "network", "net", "module", "weights", "params",
        "teacher", "encoder",
    ]
    /// What a training keeps beside it, which also holds tensors.
    private static let others = [
        "optimizer", "optimiser", "optim", "scheduler", "lr_scheduler", "scaler", "loss", "criterion",
    ]

    /// Bytes of a name: what is longer names nothing that a training saved.
    private static let longestName = 4096

    let heap: PickleHeap
    private var visited: Set<Int> = []

    init(heap: PickleHeap) { self.heap = heap }

    /// - Throws: `UserError` where there is none, or one cannot say which.
    mutating func state(in root: Int) throws -> Found {
        guard let found = try best(in: root, path: []) else {
            throw UserError("it holds no tensors under names; in Python: torch.save(model.state_dict(), FILE)")
        }
        return found
    }

    /// The tensors of a dictionary by name; of equal names the last one, as in Python.
    func tensors(of dictionary: Int) -> [(name: String, index: Int)] {
        var order: [String] = []
        var found: [String: Int] = [:]
        for case (.text(let name), .tensor(let index)) in heap.dictionaries[dictionary]
        where name.utf8.count <= Self.longestName {
            if found.updateValue(index, forKey: name) == nil { order.append(name) }
        }
        return order.map { ($0, found[$0]!) }
    }

    /// The names beside the state on its way from the root, and in it those that are no tensors.
    func besides(_ root: Int, _ state: Found) -> [String] {
        var names: [String] = []
        var known: Set<String> = []
        var dictionary = root
        for step in state.path + [nil] {
            var next: Int?
            for case (.text(let name), let value) in heap.dictionaries[dictionary]
            where name.utf8.count <= Self.longestName {
                if name == step, case .dictionary(let index) = value {
                    next = index
                    continue
                }
                if step == nil, case .tensor = value { continue }
                if known.insert(name).inserted { names.append(name) }
            }
            guard let next else { break }
            dictionary = next
        }
        return names
    }

    private mutating func best(in dictionary: Int, path: [String]) throws -> Found? {
        // Dictionaries may contain themselves.
        guard visited.insert(dictionary).inserted, path.count <= 4 else { return nil }
        let own = Found(dictionary: dictionary, path: path, count: tensors(of: dictionary).count)
        var inner: [(name: String, dictionary: Int)] = []
        for case (.text(let name), .dictionary(let index)) in heap.dictionaries[dictionary] {
            inner.append((name, index))
        }
        for name in Self.names {
            guard let entry = inner.last(where: { $0.name == name }),
                let found = try best(in: entry.dictionary, path: path + [name])
            else { continue }
            return found.count > own.count ? found : own
        }
        guard own.count == 0 else { return own }
        var candidates: [Found] = []
        for (name, index) in inner where !Self.others.contains(name) {
            if let found = try best(in: index, path: path + [name]) { candidates.append(found) }
        }
        guard candidates.count <= 1 else {
            let names = candidates.map { "'\($0.path.joined(separator: "."))'" }.joined(separator: ", ")
            throw UserError("it holds several sets of tensors (\(names)); in Python, save the one that is meant")
        }
        return candidates.first
    }
}
