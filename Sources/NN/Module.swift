import Basics
import Tensors

/// A part of a network: parameters, buffers and submodules, each under the key that published weight files use.
///
/// A subclass declares them as properties, calls `super.init()`, assigns them, and computes in `callAsFunction`:
///
/// ```swift
/// final class Head: Module, Layer {
///     @Child("0") var conv: Conv2d
///     @Child("1") var norm: BatchNorm2d
///
///     init(channels: Int) throws {
///         super.init()
///         conv = try Conv2d(channels, 256, kernel: 3, padding: 1, bias: false)
///         norm = try BatchNorm2d(256)
///     }
///
///     func callAsFunction(_ x: Tensor) throws -> Tensor { try norm(conv(x)).relu() }   // [B, 256, H, W]
/// }
/// ```
///
/// New weights are zeros (norms: ones): call `initialize(seed:)` or `load(_:)` before use. Not `Sendable`, as tensors
/// are not.
open class Module {
    /// Whether layers behave as in training: batch statistics, dropout. Set through `train(_:)` and `eval()`.
    public private(set) var isTraining = true

    public init() {}

    /// Submodules by key, in the order of their declaration. Containers whose children are no properties override this.
    open func children() -> [(key: String, module: Module)] {
        var found: [(key: String, module: Module)] = []
        for case (let label, let slot as any ChildSlot) in slots() {
            let base = slot.key ?? label
            for (key, module) in slot.modules { found.append((joined(base, key ?? ""), module)) }
        }
        return found
    }

    /// This module (under the empty path) and all below it, parents first.
    public func namedModules(prefix: String = "") -> [(path: String, module: Module)] {
        [(prefix, self)]
            + children().flatMap { key, module in module.namedModules(prefix: joined(prefix, key)) }
    }

    /// All parameters in module order, as PyTorch's `named_parameters()`.
    public func namedParameters() -> NamedTensors { named(where: \.isTrained) }

    /// Parameters and buffers in module order, as PyTorch's `state_dict()`: a module's parameters, its buffers, its
    /// children. The tensors are those of the network, not copies.
    public func stateDict() -> NamedTensors {
        var state = named(where: \.isPersistent)
        for (_, module) in namedModules() { state.metadata.merge(module.stateMetadata) { outer, _ in outer } }
        return state
    }

    /// The number of trained values.
    public var parameterCount: Int { namedParameters().elementCount }

    /// Switches this module and all below it to training or evaluation.
    @discardableResult public func train(_ on: Bool = true) -> Self {
        for (_, module) in namedModules() { module.isTraining = on }
        return self
    }

    /// Switches to evaluation: running statistics, no dropout.
    @discardableResult public func eval() -> Self { train(false) }

    /// Moves all parameters and buffers; tensors keep their identity, so optimisers stay valid.
    @discardableResult public func to(_ device: Device) throws -> Self {
        try Torch.checkDevice(device)
        return try convert { try $0.to(device) }
    }

    /// Converts floating-point parameters and buffers; integers stay.
    @discardableResult public func to(_ dtype: DType) throws -> Self {
        try convert { $0.dtype.isFloatingPoint ? try $0.to(dtype) : $0 }
    }

    /// Brings 4-d parameters into a memory order. On the CPU, networks run two to three times faster in
    /// `.channelsLast`, if their input is in it too.
    @discardableResult public func to(_ format: MemoryFormat) throws -> Self {
        try convert { $0.dim == 4 ? try $0.contiguous(format) : $0 }
    }

    /// Fills this module's own parameters and buffers (not its children's) as PyTorch does when it makes the layer.
    open func initializeParameters(_ fill: ParameterFiller) throws {}

    /// Keys of own parameters (not children's) that trainings often leave out of weight decay: a normalisation's, and learned
    /// embeddings of positions and the like.
    open var undecayed: [String] { [] }

    /// What the names and shapes of this module's state (not its children's) leave open. It goes with every `stateDict()`,
    /// and so into the metadata of files.
    open var stateMetadata: [String: String] { [:] }

    /// The full names of these parameters, here and below.
    public func undecayedNames() -> Set<String> {
        Set(namedModules().flatMap { path, module in module.undecayed.map { joined(path, $0) } })
    }

    /// The full names of a module's parameters, which is this one or stands below it; empty if it does not.
    public func parameterNames(of module: Module) -> Set<String> {
        guard let path = namedModules().first(where: { $0.module === module })?.path else { return [] }
        return Set(module.namedParameters().names.map { joined(path, $0) })
    }

    /// Switches the collection of gradients for all parameters: off freezes them.
    public func requiresGrad(_ on: Bool) throws {
        for (_, parameter) in namedParameters() { try parameter.requiresGrad(on) }
    }

    /// Drops all gradients.
    public func zeroGrad() throws {
        for (_, parameter) in namedParameters() { try parameter.setGrad(nil) }
    }

    // MARK: What the declarations say

    /// Applies a conversion to every parameter and buffer, also to those outside the state.
    private func convert(_ body: (Tensor) throws -> Tensor) throws -> Self {
        try withoutGradient {
            for (_, tensor) in named(where: { _ in true }) {
                let converted = try body(tensor)
                if !converted.isSame(as: tensor) { try tensor.setData(converted.detach()) }
            }
        }
        return self
    }

    /// The tensors of all slots that pass, by their full names: parents first, parameters before buffers.
    private func named(where passes: (any TensorSlot) -> Bool) -> NamedTensors {
        var found = NamedTensors()
        for (path, module) in namedModules() {
            let prefix = path.isEmpty ? "" : path + "."
            let slots = module.slots().compactMap { label, slot in (slot as? any TensorSlot).map { (label, $0) } }
            for (label, slot) in slots.filter({ $1.isTrained }) + slots.filter({ !$1.isTrained }) where passes(slot) {
                if let tensor = slot.tensor { found[prefix + (slot.key ?? label)] = tensor }
            }
        }
        return found
    }

    /// The property wrappers' storage in the order of declaration, a superclass's before its subclass's.
    private func slots() -> [(label: String, slot: Any)] {
        var mirrors: [Mirror] = []
        var next: Mirror? = Mirror(reflecting: self)
        while let mirror = next {
            mirrors.append(mirror)
            next = mirror.superclassMirror
        }
        // The storage of a wrapped property `x` is called `_x`.
        return mirrors.reversed().flatMap { mirror in
            mirror.children.compactMap { label, value in
                label.flatMap { $0.hasPrefix("_") ? (String($0.dropFirst()), value) : nil }
            }
        }
    }
}

/// A path and what stands below it; either may be empty.
private func joined(_ path: String, _ key: String) -> String {
    path.isEmpty ? key : key.isEmpty ? path : "\(path).\(key)"
}

/// A module from one tensor to one tensor: what `Sequential` chains.
public protocol Layer: Module {
    func callAsFunction(_ x: Tensor) throws -> Tensor
}
