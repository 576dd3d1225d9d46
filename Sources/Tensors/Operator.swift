import Basics
import CTorch

/// One argument of an operator in the form the shim takes.
public enum Argument {
    case none
    case tensor(Tensor)
    case int(Int)
    case double(Double)
    case bool(Bool)
    case ints([Int])
    case tensors([Tensor?])
    case string(String)
    case device(Device)
}

/// What can stand in an operator's argument list.
public protocol OperatorArgument {
    var argument: Argument { get }
}

extension Argument: OperatorArgument { public var argument: Argument { self } }
extension Tensor: OperatorArgument { public var argument: Argument { .tensor(self) } }
extension Int: OperatorArgument { public var argument: Argument { .int(self) } }
extension Double: OperatorArgument { public var argument: Argument { .double(self) } }
extension Bool: OperatorArgument { public var argument: Argument { .bool(self) } }
extension String: OperatorArgument { public var argument: Argument { .string(self) } }
extension DType: OperatorArgument { public var argument: Argument { .int(Int(rawValue)) } }
extension MemoryFormat: OperatorArgument { public var argument: Argument { .int(Int(rawValue)) } }
extension Device: OperatorArgument { public var argument: Argument { .device(self) } }
extension [Int]: OperatorArgument { public var argument: Argument { .ints(self) } }
/// A number beside a tensor. Integers keep integer tensors integer, as in PyTorch.
public protocol Scalar: OperatorArgument {}
extension Int: Scalar {}
extension Double: Scalar {}
extension Float: Scalar { public var argument: Argument { .double(Double(self)) } }

extension Optional: OperatorArgument where Wrapped: OperatorArgument {
    public var argument: Argument { self?.argument ?? .none }
}

/// One result of an operator.
public enum OperatorResult {
    case none
    case tensor(Tensor?)
    case int(Int)
    case double(Double)
    case bool(Bool)
    case tensors([Tensor?])
}

/// Calls libtorch operators by the names of their schemas, as `native_functions.yaml` lists them.
///
/// Arguments stand in the schema's order, keyword-only ones too; trailing ones may be left out where the schema has
/// defaults. So a call survives arguments that later versions add at the end.
public enum Operator {
    /// Calls an operator with exactly one tensor as its result, for instance
    /// `Operator.call("aten::add.Tensor", a, b, 2.0)`.
    ///
    /// - Throws: `TensorError` with the operator, the arguments' shapes and libtorch's reason.
    public static func call(_ name: StaticString, _ arguments: any OperatorArgument...) throws -> Tensor {
        let results = try run(name, arguments)
        guard results.count == 1, case .tensor(let tensor?) = results[0] else {
            throw TensorError(operation: "\(name)", reason: "has \(results.count) results, one tensor was expected")
        }
        return tensor
    }

    /// Calls an operator whose only result is a list of tensors, for instance `aten::chunk`.
    public static func callForList(_ name: StaticString, _ arguments: any OperatorArgument...) throws -> [Tensor] {
        let results = try run(name, arguments)
        guard results.count == 1, case .tensors(let tensors) = results[0] else {
            throw TensorError(operation: "\(name)", reason: "has \(results.count) results, one list was expected")
        }
        return tensors.compactMap { $0 }
    }

    /// Calls any operator.
    public static func run(_ name: StaticString, _ arguments: [any OperatorArgument]) throws -> [OperatorResult] {
        var pools = Pools()
        pools.values.reserveCapacity(arguments.count)
        for argument in arguments { pools.append(argument.argument) }
        var results = ct_results()
        let status = pools.withArguments { given in
            name.withUTF8Buffer { bytes in
                bytes.withMemoryRebound(to: CChar.self) { ct_call($0.baseAddress, given, &results) }
            }
        }
        // The arguments' own references, taken in `pools`, outlive the call.
        try withExtendedLifetime(arguments) { try check(status, "\(name)", arguments.map { text($0.argument) }) }
        defer { ct_results_free(&results) }
        let taken = (0..<Int(results.count)).map { take(results.values[$0], results.tensors) }
        MultiplyAdds.current?.note(name, arguments, taken)
        return taken
    }

    private static func take(_ value: ct_value, _ tensors: UnsafeMutablePointer<OpaquePointer?>) -> OperatorResult {
        switch Int(value.tag) {
        case CT_TENSOR: .tensor(tensors[Int(value.integer)].map(Tensor.init(owning:)))
        case CT_TENSORS:
            .tensors((0..<Int(value.count)).map { tensors[Int(value.integer) + $0].map(Tensor.init(owning:)) })
        case CT_INT: .int(Int(value.integer))
        case CT_DOUBLE: .double(value.real)
        case CT_BOOL: .bool(value.integer != 0)
        default: .none
        }
    }

    /// An argument in an error's text: tensors by shape and type, the rest by value.
    private static func text(_ argument: Argument) -> String {
        switch argument {
        case .none: "nil"
        case .tensor(let tensor): tensor.description
        case .int(let value): "\(value)"
        case .double(let value): "\(value)"
        case .bool(let value): "\(value)"
        case .ints(let values): "\(values)"
        case .tensors(let tensors): "[\(tensors.map { $0?.description ?? "nil" }.joined(separator: ", "))]"
        case .string(let value): "'\(value)'"
        case .device(let device): "\(device)"
        }
    }
}

/// The arguments of one call, laid out as the shim reads them: values that point into pools by index, so that the
/// pools may grow while they are filled.
private struct Pools {
    var values: [ct_value] = []
    private var tensors: [OpaquePointer?] = []
    private var integers: [Int64] = []
    private var bytes: [UInt8] = []

    mutating func append(_ argument: Argument) {
        switch argument {
        case .none: add(CT_NONE)
        case .tensor(let tensor):
            add(CT_TENSOR, 1, tensors.count)
            tensors.append(tensor.handle)
        case .int(let value): add(CT_INT, 0, value)
        case .double(let value): add(CT_DOUBLE, 0, 0, value)
        case .bool(let value): add(CT_BOOL, 0, value ? 1 : 0)
        case .ints(let list):
            add(CT_INTS, list.count, integers.count)
            integers.append(contentsOf: list.lazy.map(Int64.init))
        case .tensors(let list):
            add(CT_TENSORS, list.count, tensors.count)
            tensors.append(contentsOf: list.lazy.map { $0?.handle })
        case .string(let text):
            let utf8 = Array(text.utf8)
            add(CT_STRING, utf8.count, bytes.count)
            bytes.append(contentsOf: utf8)
        case .device(let device): add(CT_DEVICE, Int(device.code.index), Int(device.code.type))
        }
    }

    private mutating func add(_ tag: Int, _ count: Int = 0, _ integer: Int = 0, _ real: Double = 0) {
        values.append(
            ct_value(tag: Int32(tag), count: Int32(count), integer: Int64(integer), real: real))
    }

    func withArguments<R>(_ body: (UnsafePointer<ct_arguments>) -> R) -> R {
        values.withUnsafeBufferPointer { values in
            tensors.withUnsafeBufferPointer { tensors in
                integers.withUnsafeBufferPointer { integers in
                    bytes.withUnsafeBufferPointer { bytes in
                        var arguments = ct_arguments(
                            values: values.baseAddress, count: Int32(values.count), tensors: tensors.baseAddress,
                            integers: integers.baseAddress, bytes: bytes.baseAddress)
                        return body(&arguments)
                    }
                }
            }
        }
    }
}
