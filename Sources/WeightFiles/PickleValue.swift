/// What a pickle can hold here. Containers stand in a `PickleHeap` and are referred to by number: whatever contains
/// itself, or is nested a million deep, is freed as flatly as anything else.
enum PickleValue: Equatable {
    case none
    case bool(Bool)
    case int(Int)
    case float(Double)
    case text(String)
    case tuple(Int)
    case list(Int)
    case dictionary(Int)
    case global(PickleGlobal)
    case storage(Int)
    case tensor(Int)
    /// Something of no use here, of which not even the value is kept.
    case inert
}

/// Where a tensor's elements are, before they are known to be there.
struct PickledStorage: Equatable {
    var type: ElementType
    /// The record's name below `data/`.
    var key: String
    /// Elements.
    var count: Int
}

struct PickledTensor: Equatable {
    var storage: PickledStorage
    /// In elements, as the strides are.
    var offset: Int
    var shape: [Int]
    var strides: [Int]
}

/// The containers of one pickle.
struct PickleHeap {
    var tuples: [[PickleValue]] = []
    var lists: [[PickleValue]] = []
    var dictionaries: [[(key: PickleValue, value: PickleValue)]] = []
    var storages: [PickledStorage] = []
    var tensors: [PickledTensor] = []

    /// Containers, for a bound on memory.
    var count: Int { tuples.count + lists.count + dictionaries.count + storages.count + tensors.count }
}
