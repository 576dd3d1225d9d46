import Basics
import CTorch
import Foundation

/// A TorchScript program with its parameters: what `torch.jit.load` reads and runs without any code of ours.
public final class Script {
    private let handle: OpaquePointer

    /// Runs `body` once and records the operators that it calls.
    ///
    /// The recorded program does the same for any input for which the same calls are right: sizes that `body` read are
    /// constants in it.
    ///
    /// - Parameters:
    ///   - state: becomes parameters and buffers under their dotted names.
    ///   - parameters: which of them are parameters.
    ///   - body: must do all its work on the calling thread, and read no tensor's values.
    /// - Throws: what `body` throws, or `TensorError`.
    public init(
        tracing state: NamedTensors, parameters: Set<String>, on input: Tensor,
        _ body: (Tensor) throws -> Tensor
    ) throws {
        let entries = Array(state)
        let names = CStrings(entries.map(\.name))
        var out: OpaquePointer?
        var failure: (any Error)?
        let status = withoutActuallyEscaping(body) { body in
            let recording = Recording(body: body)
            defer { failure = recording.failure }
            return ct_script_trace(
                names.pointers, entries.map { $0.tensor.handle }, entries.map { parameters.contains($0.name) },
                Int32(entries.count), input.handle, Recording.run, Unmanaged.passUnretained(recording).toOpaque(), &out)
        }
        if let failure { throw failure }
        try withExtendedLifetime((entries, names)) { try check(status, "record a program", [input.description]) }
        handle = out!
    }

    /// Reads a program.
    ///
    /// - Throws: `TensorError` with libtorch's reason. A program is code: run only those whose origin is trusted.
    public init(contentsOf path: String) throws {
        var out: OpaquePointer?
        try check(ct_script_load(path, &out), "load a program", [path])
        handle = out!
    }

    deinit { ct_script_free(handle) }

    public func callAsFunction(_ input: Tensor) throws -> Tensor {
        var out: OpaquePointer?
        try check(ct_script_run(handle, input.handle, &out), "run a program", [input.description])
        return Tensor(owning: out!)
    }

    /// Writes the program; a file that exists is replaced whole.
    ///
    /// - Parameter texts: stand beside it, for `torch.jit.load(path, _extra_files=…)`.
    public func write(to path: String, texts: [(name: String, text: String)] = []) throws {
        try DurableFile.replace(path) { aside in
            let names = CStrings(texts.map(\.name))
            let contents = CStrings(texts.map(\.text))
            let status = ct_script_save(handle, aside, names.pointers, contents.pointers, Int32(texts.count))
            try withExtendedLifetime((names, contents)) { try check(status, "write \(path)") }
        }
    }
}

/// What the shim calls back, and what went wrong in it: no Swift error passes through C++.
private final class Recording {
    private let body: (Tensor) throws -> Tensor
    private(set) var failure: (any Error)?

    init(body: @escaping (Tensor) throws -> Tensor) { self.body = body }

    static let run: ct_script_body = { context, input, out in
        let recording = Unmanaged<Recording>.fromOpaque(context!).takeUnretainedValue()
        do {
            // The shim keeps its own reference.
            let result = try recording.body(Tensor(owning: ct_retain(input!)))
            out!.pointee = ct_retain(result.handle)
            return ct_status(CT_OK)
        } catch {
            recording.failure = error
            return ct_status(CT_FAILED)
        }
    }
}

/// Texts as C takes them.
private final class CStrings {
    let pointers: [UnsafePointer<CChar>?]
    init(_ texts: [String]) { pointers = texts.map { UnsafePointer(strdup($0)) } }
    deinit { for pointer in pointers { free(UnsafeMutablePointer(mutating: pointer)) } }
}
