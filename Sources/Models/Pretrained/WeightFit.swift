import NN
import Tensors

/// How a file's tensors fit a network, under one reading of their names.
///
/// The backbone must be there as a whole; a head is taken as a whole or not at all, and then starts at random. What the
/// file has besides (another task's head, a classifier on ImageNet) is ignored, except what looks like more of the same
/// backbone: a ResNet-101 is no ResNet-50, though it has all tensors of one.
struct WeightFit {
    /// The file under the network's names.
    let state: NamedTensors
    /// Names that are taken over.
    private(set) var taken: [String] = []
    /// What fits but for the number of classes, and is not taken for that.
    private(set) var recounted: [StateMismatch.Shape] = []
    /// The file's number of classes, where `recounted` has something.
    private(set) var fileClasses: Int?
    /// Names of the network that keep their first values.
    private(set) var missing: [String] = []
    /// Of each head that the file has otherwise, the first tensor of another shape; the head is not taken.
    private(set) var otherHeads: [StateMismatch.Shape] = []
    /// What stands against it; empty for a file that fits.
    private(set) var mismatch = StateMismatch()

    var isFit: Bool { mismatch.isEmpty && !taken.isEmpty }

    /// Wrappers that trainings and frameworks put before all names: data parallelism, compilation, Lightning, and whole
    /// networks of which only the backbone is wanted.
    static let prefixes = [
        "module.", "_orig_mod.", "model.", "network.", "net.", "backbone.", "encoder.", "segformer.", "student.",
    ]

    /// The reading under which most tensors fit.
    static func best(of file: NamedTensors, for network: any SegmentationNetwork) -> WeightFit {
        let frame = Frame(network)
        var best: WeightFit?
        func consider(_ state: NamedTensors, bare: String = "") {
            let fit = WeightFit(state, frame, bare: bare)
            guard let known = best else { return best = fit }
            let (old, new) = (known.isFit ? 1 : 0, fit.isFit ? 1 : 0)
            if (new, fit.taken.count) > (old, known.taken.count) { best = fit }
        }
        for view in views(of: file) {
            guard let backbone = network.publishedBackbone else {
                consider(view)
                continue
            }
            consider(backbone.reading(view), bare: backbone.prefix)
            consider(backbone.readingWhole(view))
        }
        return best ?? WeightFit(file, frame, bare: "")
    }

    /// The file as it is, and what remains of it below each wrapper, down to three of them.
    private static func views(of file: NamedTensors) -> [NamedTensors] {
        var all = [file]
        var level = [file]
        for _ in 0..<3 {
            level = level.flatMap { view in prefixes.map { view.under($0) }.filter { !$0.isEmpty } }
            all += level
        }
        return all
    }

    /// - Parameter bare: what the names in messages are without, as the file does not have it.
    private init(_ state: NamedTensors, _ frame: Frame, bare: String) {
        self.state = state
        var parts: [String: Part] = [:]
        var order: [String] = []
        for (name, tensor) in frame.own {
            let place = frame.part(of: name)
            if parts[place] == nil { order.append(place) }
            let given = state[name]?.shape
            let isUnused = frame.isUnused(name)
            let shape = given.map { StateMismatch.Shape(name: name, network: tensor.shape, state: $0) }
            let isHead = !frame.backboneParts.contains(place)
            if given == tensor.shape {
                parts[place, default: Part()].taken.append(name)
            } else if isUnused || given == nil && frame.isOptional(name) {
                parts[place, default: Part()].optional.append(name)
            } else if let shape, isHead, frame.differsInClassesOnly(shape, &fileClasses) {
                parts[place, default: Part()].recounted.append(shape)
            } else if let shape {
                parts[place, default: Part()].misshaped.append(shape)
            } else {
                parts[place, default: Part()].absent.append(name)
            }
        }
        let more = state.names.filter { frame.own[$0] == nil && !$0.isComputed && !frame.isUnused($0) }
        for name in more { parts[frame.part(of: name)]?.more.append(name) }

        var against = Part()
        for place in order {
            guard let part = parts[place] else { continue }
            missing += part.optional.filter { !$0.isComputed }
            if frame.backboneParts.contains(place) {
                taken += part.taken
                against.absent += part.absent
                against.misshaped += part.misshaped
                against.more += part.more
            } else if part.isWhole {
                taken += part.taken
                recounted += part.recounted
            } else {
                missing += part.taken.filter { !$0.isComputed } + part.recounted.map(\.name)
                missing += part.misshaped.map(\.name) + part.absent
                if let first = part.misshaped.first { otherHeads.append(first) }
            }
        }
        if recounted.isEmpty { fileClasses = nil }
        // Where tensors are missing, whatever the file has instead may tell why.
        let unused = against.absent.isEmpty ? against.more : more
        mismatch = StateMismatch(
            missing: against.absent.map { $0.without(bare) }, unused: unused.map { $0.without(bare) },
            misshaped: against.misshaped.map {
                .init(name: $0.name.without(bare), network: $0.network, state: $0.state)
            })
    }

    /// What a file has of one part of the network.
    private struct Part {
        var taken: [String] = []
        var recounted: [StateMismatch.Shape] = []
        var misshaped: [StateMismatch.Shape] = []
        var absent: [String] = []
        /// Neither taken nor needed.
        var optional: [String] = []
        /// In the file and not in the network.
        var more: [String] = []

        var isWhole: Bool { misshaped.isEmpty && absent.isEmpty && more.isEmpty }
    }

    /// The names of the file that are not used at all.
    func ignored(of file: NamedTensors) -> [String] {
        let used = Set((taken + recounted.map(\.name)).map { state.origin(of: $0) })
        return file.names.filter { !used.contains($0) }
    }

    /// Copies what is taken into the network.
    func load(into network: any SegmentationNetwork) throws {
        let wanted = Set(taken)
        try network.load(state.renamed { wanted.contains($0) ? $0 : nil }, allowing: .missing)
    }
}

/// A network's state as files are compared with it.
private struct Frame {
    let own: NamedTensors
    let classes: Int
    let backboneParts: Set<String>
    /// What the names of the head begin with: MaskFormer's and OCRNet's have several beginnings and are one head.
    private let headPlaces: Set<String>
    private let prefix: String
    private let unused: String?
    private let optional: String?

    init(_ network: any SegmentationNetwork) {
        own = network.stateDict()
        classes = network.classes
        let backbone = network.publishedBackbone
        let prefix = backbone?.prefix ?? ""
        self.prefix = prefix
        unused = backbone?.unused.map { prefix + $0 }
        optional = backbone?.optional.map { prefix + $0 }
        let names = backbone?.module.stateDict().names.map { prefix + $0 } ?? []
        let backboneParts = Set(names.map { Self.place(of: $0, prefix: prefix) })
        self.backboneParts = backboneParts
        headPlaces = Set(own.names.map { Self.place(of: $0, prefix: prefix) }).subtracting(backboneParts)
            .subtracting(["projection", "aux_classifier"])
    }

    func isUnused(_ name: String) -> Bool { unused.map { name.hasPrefix($0) } ?? false }

    /// Whether a file of this network may lack it.
    func isOptional(_ name: String) -> Bool { name.isComputed || (optional.map { name.hasPrefix($0) } ?? false) }

    /// `backbone.layer4` for the backbone, `head` for the head, `projection` and `aux_classifier`, which are trained beside
    /// it: what is there as a whole or not at all. What the network does not have is of a part of its own.
    func part(of name: String) -> String {
        let place = Self.place(of: name, prefix: prefix)
        return headPlaces.contains(place) ? "head" : place
    }

    private static func place(of name: String, prefix: String) -> String {
        guard !prefix.isEmpty, name.hasPrefix(prefix) else { return String(name.prefix { $0 != "." }) }
        return prefix + name.dropFirst(prefix.count).prefix { $0 != "." }
    }

    /// Whether two shapes are equal but for the number of classes, or that and one for nothing, and the file's number is
    /// the same as elsewhere.
    func differsInClassesOnly(_ shape: StateMismatch.Shape, _ fileClasses: inout Int?) -> Bool {
        guard shape.network.count == shape.state.count else { return false }
        var count = fileClasses
        for (own, theirs) in zip(shape.network, shape.state) where own != theirs {
            guard own == classes || own == classes + 1, theirs > own - classes else { return false }
            let claimed = theirs - (own - classes)
            guard count == nil || count == claimed else { return false }
            count = claimed
        }
        fileClasses = count
        return true
    }
}

extension String {
    /// Whether it is counted or follows from the network's configuration, so that nobody misses it: PyTorch before 0.4.1
    /// saved no count of batches, newer versions of timm save no index of a Swin's offsets, and not every MaskFormer has
    /// the weights of its loss.
    fileprivate var isComputed: Bool {
        ["num_batches_tracked", "relative_position_index", "empty_weight"].contains { hasSuffix($0) }
    }

    fileprivate func without(_ prefix: String) -> String {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : self
    }
}
