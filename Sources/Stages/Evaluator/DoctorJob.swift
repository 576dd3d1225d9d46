import Basics
import Foundation
import StageKit
import Tensors

#if canImport(Glibc)
    import Glibc
#endif

/// `picoflow-evaluator doctor`: what libtorch there is, once it has decoded a picture and worked out a convolution.
enum DoctorJob {
    /// - Returns: a `LibtorchReport` as JSON.
    /// - Throws: `UserError` or `TensorError` where a library does not work.
    static func run() throws -> String {
        // Before the check calculation, which takes one thread.
        let threads = Torch.threads
        _ = try EvaluatorFingerprint.compute()
        let report = LibtorchReport(
            version: Torch.version, library: loaded("libtorch_cpu"), cudaDevices: Torch.cudaDevices,
            cudaTrouble: Torch.cudaTrouble, threads: threads, blas: blas())
        return try report.prettyJSON()
    }

    /// The path of a library that this process has loaded, by the beginning of its file's name.
    private static func loaded(_ name: String) -> String? {
        guard let file = FileHandle(forReadingAtPath: "/proc/self/maps") else { return nil }
        return String(decoding: file.readDataToEndOfFile(), as: UTF8.self).split(separator: "\n").lazy
            .compactMap { line in line.firstIndex(of: "/").map { String(line[$0...]) } }
            .first { $0.split(separator: "/").last?.hasPrefix(name) == true }
    }

    /// libtorch is built against one of many, and which is loaded the dynamic loader decides: so they are asked by name.
    private static func blas() -> [String] {
        typealias Name = @convention(c) () -> UnsafePointer<CChar>?
        typealias Describe = @convention(c) (UnsafeMutablePointer<CChar>, Int32) -> Void
        // As C's RTLD_DEFAULT: every library that is loaded.
        func symbol(_ name: String) -> UnsafeMutableRawPointer? { dlsym(nil, name) }
        var found: [String] = []
        if let config = symbol("openblas_get_config"),
            let text = unsafeBitCast(config, to: Name.self)().map({ String(cString: $0) })
        {
            let core = symbol("openblas_get_corename").flatMap { unsafeBitCast($0, to: Name.self)() }
            let kernels = core.map { ", kernels for \(String(cString: $0))" } ?? ""
            found.append(text.split(separator: " ").prefix(2).joined(separator: " ") + kernels)
        }
        if let describe = symbol("MKL_Get_Version_String") ?? symbol("mkl_get_version_string") {
            var text = [CChar](repeating: 0, count: 200)
            unsafeBitCast(describe, to: Describe.self)(&text, Int32(text.count))
            let bytes = text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:))
            found.append(String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespaces))
        }
        return found.isEmpty ? [loaded("libmkl_core") ?? loaded("libblas")].compactMap { $0 } : found
    }
}
