import CTorch

/// A failed tensor operation: which, on what, and libtorch's reason in one line.
///
/// `aten::conv2d([1, 3, 8, 8] float32, [4, 2, 3, 3] float32, nil): Given groups=1, weight of size …`
public struct TensorError: Error, CustomStringConvertible, Sendable {
    public enum Kind: Sendable {
        /// Shapes, types or values that do not go together.
        case invalid
        case outOfMemory
        /// Another rank of the process group died or fell silent in the middle of a joint operation.
        case lostRanks
    }

    public let kind: Kind
    /// The operator's schema name, for instance `aten::add.Tensor`, or what was done.
    public let operation: String
    /// The arguments as text: shapes and types of tensors.
    public let arguments: [String]
    /// The first line of the reason.
    public let reason: String

    public init(kind: Kind = .invalid, operation: String, arguments: [String] = [], reason: String) {
        self.kind = kind
        self.operation = operation
        self.arguments = arguments
        self.reason = reason
    }

    public var description: String {
        "\(operation)\(arguments.isEmpty ? "" : "(\(arguments.joined(separator: ", ")))"): \(reason)"
    }
}

/// Throws what the shim says about a call that failed.
func check(_ status: ct_status, _ operation: @autoclosure () -> String, _ arguments: @autoclosure () -> [String] = [])
    throws
{
    guard status != ct_status(CT_OK) else { return }
    let kind: TensorError.Kind =
        switch status {
        case ct_status(CT_OUT_OF_MEMORY): .outOfMemory
        case ct_status(CT_LOST_RANKS): .lostRanks
        default: .invalid
        }
    throw TensorError(
        kind: kind, operation: operation(),
        arguments: arguments(),
        reason: String(cString: ct_error()))
}
