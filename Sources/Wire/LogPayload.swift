import Basics
import Foundation

/// What a record of the log, or a part of its snapshot, carries: a small JSON text and arrays beside it.
///
/// The log does not look inside. Its bytes are what is hashed and what lies on disk, so the JSON is kept as the text
/// it came as and never written anew.
public struct LogPayload: Sendable {
    /// JSON, UTF-8.
    public var body: Data
    public var tensors: [WireTensor]

    public init(body: Data = Data("{}".utf8), tensors: [WireTensor] = []) {
        self.body = body
        self.tensors = tensors
    }

    /// The array of that name.
    ///
    /// - Throws: `WireError.missingTensor`.
    public func tensor(_ name: String) throws -> WireTensor {
        guard let found = tensors.first(where: { $0.name == name }) else {
            throw WireError.missingTensor(name, message: "log payload")
        }
        return found
    }

    /// The payload's bytes, in pieces so that arrays are not copied:
    /// u32 n, n bytes JSON (`[{"bytes":…,"dtype":…,"name":…,"shape":…}]`), u32 m, m bytes body, then the
    /// arrays. Integers are little-endian.
    public func encodedPieces() throws -> [SharedBytes] {
        let described = tensors.map {
            Header.Tensor(name: $0.name, dtype: $0.dtype, shape: $0.shape, bytes: $0.bytes.count)
        }
        let descriptors = try described.wireJSON()
        var head = Data()
        head.appendLittleEndian(UInt32(descriptors.count))
        head.append(descriptors)
        head.appendLittleEndian(UInt32(body.count))
        head.append(body)
        return [SharedBytes(head)] + tensors.map(\.bytes)
    }

    /// Reads what `encodedPieces` wrote, joined.
    ///
    /// - Throws: `WireError.malformed` where lengths, JSON and shapes do not agree with the bytes.
    public init(encoded: UnsafeRawBufferPointer) throws {
        var rest = encoded
        func take(_ count: Int, _ what: String) throws -> UnsafeRawBufferPointer {
            guard count <= rest.count else {
                throw WireError.malformed("log payload ends within its \(what)")
            }
            let taken = UnsafeRawBufferPointer(rebasing: rest[..<count])
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            return taken
        }
        func length(_ what: String) throws -> Int {
            Int(UInt32(littleEndian: try take(4, what).loadUnaligned(as: UInt32.self)))
        }
        let descriptorBytes = Data(try take(try length("descriptors"), "descriptors"))
        guard let descriptors = try? JSONDecoder().decode([Header.Tensor].self, from: descriptorBytes) else {
            throw WireError.malformed("log payload's descriptors are no valid JSON")
        }
        body = Data(try take(try length("body"), "body"))
        tensors = try descriptors.map { declared in
            guard declared.bytes >= 0 else { throw WireError.malformed("log payload with a negative size") }
            let bytes = try take(declared.bytes, "tensor '\(declared.name)'")
            return try WireTensor(
                name: declared.name, dtype: declared.dtype, shape: declared.shape,
                bytes: SharedBytes(count: bytes.count) { $0.copyMemory(from: bytes) })
        }
        guard rest.isEmpty else { throw WireError.malformed("\(rest.count) bytes after the log payload's end") }
    }

    /// SHA-256 of the payload's bytes.
    public func digest() throws -> String {
        var hash = SHA256()
        for piece in try encodedPieces() { hash.update(piece) }
        return hash.hex()
    }
}

/// The hash that stands for the whole history up to a sequence: h(s) = SHA-256 of the 64 hexadecimal digits of
/// h(s-1), then the bytes of physical record s. h(0) is 64 zeros. Epochs are not part of it, so that a run that was
/// interrupted and one that was not agree.
public struct LogHash: RawRepresentable, Codable, Hashable, Sendable, CustomStringConvertible {
    public var rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    /// Of the empty log.
    public static let empty = LogHash(rawValue: String(repeating: "0", count: 64))

    public func extended(by physical: [SharedBytes]) -> LogHash {
        var hash = SHA256()
        hash.update(rawValue)
        for piece in physical { hash.update(piece) }
        return LogHash(rawValue: hash.hex())
    }

    /// Whether it has the form of a hash: 64 lower-case hexadecimal digits.
    var isWellFormed: Bool {
        rawValue.utf8.count == 64 && rawValue.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }
}

extension Data {
    mutating func appendLittleEndian<Value: FixedWidthInteger>(_ value: Value) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }
}
