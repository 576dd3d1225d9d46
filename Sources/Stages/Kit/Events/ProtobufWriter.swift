/// Writes one protocol-buffers message, field by field; just what TensorBoard's events need.
struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    mutating func integer(_ field: UInt8, _ value: UInt64) {
        key(field, 0)
        varint(value)
    }

    mutating func bool(_ field: UInt8, _ value: Bool) { integer(field, value ? 1 : 0) }

    mutating func double(_ field: UInt8, _ value: Double) {
        key(field, 1)
        fixed(value.bitPattern)
    }

    mutating func float(_ field: UInt8, _ value: Float) {
        key(field, 5)
        fixed(value.bitPattern)
    }

    mutating func string(_ field: UInt8, _ text: String) { data(field, Array(text.utf8)) }

    mutating func message(_ field: UInt8, _ body: (inout ProtobufWriter) -> Void) {
        var inner = ProtobufWriter()
        body(&inner)
        data(field, inner.bytes)
    }

    mutating func data(_ field: UInt8, _ content: [UInt8]) {
        key(field, 2)
        varint(UInt64(content.count))
        bytes += content
    }

    /// - Parameter field: below 16, so that a key is one byte.
    private mutating func key(_ field: UInt8, _ wireType: UInt8) { bytes.append(field << 3 | wireType) }

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    private mutating func fixed(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
    }
}
