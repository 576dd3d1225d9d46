/// Little-endian integers on their way to bytes.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    mutating func put<I: FixedWidthInteger>(_ value: I) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func put(_ text: StaticString) { text.withUTF8Buffer { bytes.append(contentsOf: $0) } }
}

/// Little-endian integers read back, with every read checked.
struct ByteReader {
    let bytes: [UInt8]
    private(set) var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }
    var remaining: Int { bytes.count - position }

    mutating func take<I: FixedWidthInteger>(_: I.Type = I.self) throws -> I {
        let size = MemoryLayout<I>.size
        guard remaining >= size else {
            throw MemoryError.snapshot("ends after \(bytes.count) bytes, in the middle of a number")
        }
        defer { position += size }
        return bytes.withUnsafeBytes { I(littleEndian: $0.loadUnaligned(fromByteOffset: position, as: I.self)) }
    }

    mutating func expect(_ text: StaticString) throws {
        let wanted = text.withUTF8Buffer { Array($0) }
        guard remaining >= wanted.count, Array(bytes[position..<position + wanted.count]) == wanted else {
            throw MemoryError.snapshot("does not start with '\(text)'")
        }
        position += wanted.count
    }
}

extension MemoryShape {
    func write(to writer: inout ByteWriter) {
        for value in [classes, dimension, pixelCapacity, regionCapacity, images] { writer.put(UInt32(value)) }
    }

    init(from reader: inout ByteReader) throws {
        let values = try (0..<5).map { _ in Int(try reader.take(UInt32.self)) }
        try self.init(
            classes: values[0], dimension: values[1], pixelCapacity: values[2], regionCapacity: values[3],
            images: values[4])
    }

    /// Bytes of an encoded shape.
    static let encodedSize = 5 * 4
}
