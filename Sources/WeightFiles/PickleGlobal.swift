/// The Python functions and classes that a pickle of tensors may name. Everything else is refused, and nothing is ever
/// called: what stands here is understood, or known to be of no use.
enum PickleGlobal: Equatable {
    case orderedDictionary
    /// `torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)`, and its elder without the
    /// last two.
    case rebuildTensor
    /// `torch._utils._rebuild_parameter(tensor, requires_grad, hooks)`, also with a state behind.
    case rebuildParameter
    case storage(ElementType)
    /// Makes something that stands beside tensors in checkpoints and is of no use here: an epoch as numpy's number, the
    /// arguments of a training.
    case inert

    init?(module: String, name: String) {
        switch (module, name) {
        case ("collections", "OrderedDict"): self = .orderedDictionary
        case ("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_tensor"): self = .rebuildTensor
        case ("torch._utils", "_rebuild_parameter"), ("torch._utils", "_rebuild_parameter_with_state"):
            self = .rebuildParameter
        case ("torch", _):
            if let type = ElementType(storage: name) {
                self = .storage(type)
            } else if Self.inertTorch.contains(name) {
                self = .inert
            } else {
                return nil
            }
        default:
            guard Self.inertNames.contains("\(module).\(name)") else { return nil }
            self = .inert
        }
    }

    private static let inertTorch: Set = [
        "Size", "device", "float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64", "uint8",
        "bool",
    ]

    private static let inertNames: Set = [
        // numpy's scalars, whose bytes older pickles write as text.
        "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype", "_codecs.encode",
        "argparse.Namespace", "collections.defaultdict", "collections.Counter",
        "__builtin__.set", "builtins.set", "__builtin__.list", "builtins.list", "__builtin__.dict", "builtins.dict",
        "__builtin__.int", "builtins.int", "__builtin__.float", "builtins.float",
        "pathlib.PosixPath", "pathlib.PurePosixPath", "pathlib._local.PosixPath",
    ]
}
