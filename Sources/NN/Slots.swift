import Tensors

/// A submodule, or an array of them, as a property of a `Module`.
///
/// The key in the state dictionary is the property's name unless one is given, so that Swift reads Swift and the
/// checkpoint reads PyTorch: `@Child("downsample") var projection: Sequential?`. An array's modules are numbered
/// from 0 below the key. Values are assigned after `super.init()`.
///
/// An empty key gives the child's own names to its parent, for published networks that have no level there: under
/// `@Child("") var backbone: HRNetV2` its stem stays `conv1`, and an array's modules are "0", "1", ….
@propertyWrapper
public final class Child<Value>: ChildSlot {
    private var value: Value?
    let key: String?

    public init() { key = nil }
    public init(_ key: String) { self.key = key }
    public init(wrappedValue: Value) {
        value = wrappedValue
        key = nil
    }
    public init(wrappedValue: Value, _ key: String) {
        value = wrappedValue
        self.key = key
    }

    /// Reading a child that was never assigned is a programmer's mistake; an optional one is nil.
    public var wrappedValue: Value {
        get { value ?? emptyValue() }
        set { value = newValue }
    }

    var modules: [(key: String?, module: Module)] {
        guard let value else { return [] }
        if let module = value as? Module { return [(nil, module)] }
        if let modules = value as? [Module] { return modules.enumerated().map { ("\($0.offset)", $0.element) } }
        return []
    }
}

/// A tensor that is trained, as a property of a `Module`; `Tensor` or `Tensor?`.
@propertyWrapper
public final class Parameter<Value: TensorSlotValue>: TensorSlot {
    private var value: Value?
    let key: String?
    let isTrained = true
    let isPersistent = true

    public init() { key = nil }
    public init(_ key: String) { self.key = key }
    public init(wrappedValue: Value) {
        value = wrappedValue
        key = nil
        collectGradient()
    }

    /// Assigning makes the tensor collect a gradient: it must be a leaf of a floating-point type.
    public var wrappedValue: Value {
        get { value ?? emptyValue() }
        set {
            value = newValue
            collectGradient()
        }
    }

    var tensor: Tensor? { value?.slotTensor }

    private func collectGradient() {
        do { try tensor?.requiresGrad(true) } catch { preconditionFailure("no parameter: \(error)") }
    }
}

/// A tensor that belongs to the state but is not trained, as a property of a `Module`; `Tensor` or `Tensor?`.
@propertyWrapper
public final class Buffer<Value: TensorSlotValue>: TensorSlot {
    private var value: Value?
    let key: String?
    let isTrained = false
    let isPersistent: Bool

    public init() {
        key = nil
        isPersistent = true
    }
    /// - Parameter persistent: whether it is part of the state dictionary; computed tables are not.
    public init(_ key: String? = nil, persistent: Bool) {
        self.key = key
        isPersistent = persistent
    }
    public init(_ key: String) {
        self.key = key
        isPersistent = true
    }
    public init(wrappedValue: Value) {
        value = wrappedValue
        key = nil
        isPersistent = true
    }

    public var wrappedValue: Value {
        get { value ?? emptyValue() }
        set { value = newValue }
    }

    var tensor: Tensor? { value?.slotTensor }
}

/// `Tensor` or `Tensor?`.
public protocol TensorSlotValue {
    var slotTensor: Tensor? { get }
}

extension Tensor: TensorSlotValue { public var slotTensor: Tensor? { self } }
extension Optional: TensorSlotValue where Wrapped == Tensor { public var slotTensor: Tensor? { self } }

protocol ChildSlot: AnyObject {
    var key: String? { get }
    var modules: [(key: String?, module: Module)] { get }
}

protocol TensorSlot: AnyObject {
    var key: String? { get }
    var tensor: Tensor? { get }
    /// A parameter, else a buffer.
    var isTrained: Bool { get }
    /// Part of the state dictionary.
    var isPersistent: Bool { get }
}

/// nil where the type has one.
private func emptyValue<Value>() -> Value {
    guard let empty = Value.self as? any ExpressibleByNilLiteral.Type else {
        preconditionFailure("a \(Value.self) was read before it was assigned")
    }
    return empty.init(nilLiteral: ()) as! Value
}
