import Basics
import Foundation

/// Tensors in a file that Python's `safetensors` reads and writes.
///
/// Layout: the header's length (8 bytes, little-endian), the header (JSON, padded with spaces so that the data begin at a
/// multiple of 8), the tensors' bytes, row-major, one after the other without gaps.
/// Source: https://github.com/huggingface/safetensors (README, "Format").
public struct SafetensorsFile {
    /// What the writer noted, for instance a format's name.
    public let metadata: [String: String]
    /// In the order of the data.
    public let names: [String]

    private let path: String
    private let bytes: SharedBytes
    private let dataStart: Int
    private let entries: [String: (entry: SafetensorsEntry, dtype: DType)]

    /// A header beyond this is refused, as Python's reader does it: 100 MB.
    static let longestHeader = 100_000_000

    /// Maps a file into memory and checks all its claims about itself before any tensor is made.
    ///
    /// The file must not be shortened while it is mapped; files written by `Safetensors.write` are replaced whole.
    ///
    /// - Throws: `UserError` that names the file and the first thing wrong with it.
    public init(path: String) throws { try self.init(SharedBytes(mapping: path), path: path) }

    /// The same for a file that is in memory already; `path` names it in messages.
    public init(_ bytes: SharedBytes, path: String) throws {
        self.path = path
        self.bytes = bytes
        do {
            (dataStart, names, metadata, entries) = try Self.check(bytes)
        } catch let error as UserError {
            throw UserError("\(path) is no usable safetensors file: \(error)")
        }
    }

    /// A tensor's type and shape without reading it; nil for a name that is not there.
    public func description(of name: String) -> (dtype: DType, shape: [Int])? {
        entries[name].map { ($0.dtype, $0.entry.shape) }
    }

    /// Copies one tensor out of the file.
    ///
    /// - Throws: `UserError` for a name that is not there, with the nearest that is.
    public func tensor(_ name: String) throws -> Tensor {
        guard let (entry, dtype) = entries[name] else {
            throw UserError("\(path) has no tensor '\(name)'" + suggestion(for: name, among: names))
        }
        return try bytes.withUnsafeBytes { all in
            let own = UnsafeRawBufferPointer(rebasing: all[dataStart + entry.begin..<dataStart + entry.end])
            // Any other byte in a Boolean is undefined behaviour in C++.
            guard dtype != .bool || own.allSatisfy({ $0 <= 1 }) else {
                throw UserError("\(path): '\(name)' is Boolean but holds bytes other than 0 and 1")
            }
            return try Tensor(copying: own, dtype: dtype, shape: entry.shape)
        }
    }

    /// Copies all tensors, in the order of the data, with the file's metadata.
    public func tensors() throws -> NamedTensors {
        var tensors = NamedTensors(try names.map { ($0, try tensor($0)) })
        tensors.metadata = metadata
        return tensors
    }

    private typealias Checked = (Int, [String], [String: String], [String: (entry: SafetensorsEntry, dtype: DType)])

    private static func check(_ bytes: SharedBytes) throws -> Checked {
        let (start, header) = try bytes.withUnsafeBytes { all in
            guard !all.isEmpty else { throw UserError("it is empty") }
            guard all.count >= 8 else { throw UserError("it has \(all.count) bytes, not even the header's length") }
            let length = UInt64(littleEndian: all.loadUnaligned(as: UInt64.self))
            guard length <= longestHeader else { throw UserError("it claims a header of \(length) bytes") }
            guard Int(length) <= all.count - 8 else {
                throw UserError("it claims a header of \(length) bytes but has only \(all.count) bytes: truncated?")
            }
            let text = UnsafeRawBufferPointer(rebasing: all[8..<8 + Int(length)])
            return (8 + Int(length), try SafetensorsHeader(parsing: text))
        }

        var entries: [String: (entry: SafetensorsEntry, dtype: DType)] = [:]
        var next = 0
        // Empty tensors stand anywhere between others; the name makes the order whole.
        let ordered = header.entries.sorted {
            ($0.entry.begin, $0.entry.end, $0.name) < ($1.entry.begin, $1.entry.end, $1.name)
        }
        for (name, entry) in ordered {
            guard let dtype = DType(safetensors: entry.dtype) else {
                throw UserError("'\(name)' has the element type '\(entry.dtype)', which is not supported here")
            }
            var size = dtype.size
            var overflow = false
            for side in entry.shape where !overflow { (size, overflow) = size.multipliedReportingOverflow(by: side) }
            guard !overflow, entry.end >= entry.begin, entry.end - entry.begin == size else {
                throw UserError(
                    "'\(name)' of shape \(entry.shape) and type \(entry.dtype) does not take the bytes \(entry.begin)..<\(entry.end)"
                )
            }
            guard entry.begin == next else {
                throw UserError(
                    "'\(name)' begins at byte \(entry.begin) of the data, the one before ends at \(next): tensors overlap or leave a gap"
                )
            }
            next = entry.end
            entries[name] = (entry, dtype)
        }
        guard next == bytes.count - start else {
            throw UserError("its tensors take \(next) bytes, it has \(bytes.count - start): truncated?")
        }
        return (start, ordered.map(\.name), header.metadata, entries)
    }
}

/// Reading and writing whole files of tensors.
public enum Safetensors {
    /// All tensors of a file, in the order of their data, with its metadata.
    public static func read(_ path: String) throws -> NamedTensors { try SafetensorsFile(path: path).tensors() }

    /// Replaces the file at `path`: equal tensors and metadata give equal bytes. Tensors are sorted by size of element,
    /// largest first, then by name, as Python's writer does it, so that each is aligned; no time and no path is written.
    ///
    /// After a crash the file is the old or the new one, whole.
    ///
    /// - Parameter metadata: beside the tensors' own, which it goes before.
    /// - Throws: `UserError` that names the path, for instance for a full disk.
    public static func write(_ tensors: NamedTensors, metadata: [String: String] = [:], to path: String) throws {
        if tensors["__metadata__"] != nil { throw UserError("\(path): a tensor cannot be called '__metadata__'") }
        let ordered = tensors.sorted { ($1.tensor.dtype.size, $0.name) < ($0.tensor.dtype.size, $1.name) }
        var members: [String] = []
        let all = tensors.metadata.merging(metadata) { $1 }
        if !all.isEmpty {
            let pairs = all.sorted { $0.key < $1.key }.map { "\(jsonQuoted($0.key)):\(jsonQuoted($0.value))" }
            members.append("\"__metadata__\":{\(pairs.joined(separator: ","))}")
        }
        var end = 0
        for (name, tensor) in ordered {
            let type = tensor.dtype.safetensorsName
            let begin = end
            end += tensor.count * tensor.dtype.size
            let shape = tensor.shape.map(String.init).joined(separator: ",")
            members.append(
                "\(jsonQuoted(name)):{\"dtype\":\"\(type)\",\"shape\":[\(shape)],\"data_offsets\":[\(begin),\(end)]}")
        }
        var header = Array("{\(members.joined(separator: ","))}".utf8)
        header += [UInt8](repeating: 0x20, count: (8 - header.count % 8) % 8)

        // One tensor's copy at a time in memory, not the whole file's.
        try DurableFile.write(to: path) { put in
            try withUnsafeBytes(of: UInt64(header.count).littleEndian) { try put($0) }
            try header.withUnsafeBytes { try put($0) }
            for (_, tensor) in ordered { try tensor.bytes().withUnsafeBytes { try put($0) } }
        }
    }
}

extension DType {
    fileprivate var safetensorsName: String {
        switch self {
        case .uint8: "U8"
        case .int8: "I8"
        case .int16: "I16"
        case .int32: "I32"
        case .int64: "I64"
        case .float16: "F16"
        case .bfloat16: "BF16"
        case .float32: "F32"
        case .float64: "F64"
        case .bool: "BOOL"
        }
    }

    fileprivate init?(safetensors name: String) {
        guard let dtype = DType.allCases.first(where: { $0.safetensorsName == name }) else { return nil }
        self = dtype
    }
}
