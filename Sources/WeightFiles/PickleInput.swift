import Basics

/// A pickle's bytes, read front to back.
struct PickleInput {
    private let bytes: UnsafeRawBufferPointer
    private(set) var position = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    mutating func take(_ count: Int) throws -> UnsafeRawBufferPointer {
        guard count >= 0, count <= bytes.count - position else {
            throw UserError("its pickle ends in the middle, at byte \(bytes.count)")
        }
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
    }

    mutating func skip(_ count: Int) throws { _ = try take(count) }

    mutating func byte() throws -> UInt8 { try take(1)[0] }

    /// Up to eight bytes, little-endian.
    mutating func unsigned(_ width: Int) throws -> UInt64 {
        try take(width).enumerated().reduce(0) { $0 | UInt64($1.element) << UInt64(8 * $1.offset) }
    }

    /// An unsigned number that is a length or an index.
    mutating func count(_ width: Int) throws -> Int {
        let value = try unsigned(width)
        guard let count = Int(exactly: value) else { throw UserError("its pickle claims a length of \(value)") }
        return count
    }

    mutating func text(_ count: Int) throws -> String {
        guard let text = String(validating: try take(count), as: UTF8.self) else {
            throw UserError("its pickle has a text that is no UTF-8, before its byte \(position)")
        }
        return text
    }

    /// Up to the end of the line, without it.
    mutating func line() throws -> String {
        let rest = bytes[position...]
        // Names of Python's modules are far shorter.
        guard let end = rest.prefix(256).firstIndex(of: 0x0a) else {
            throw UserError("its pickle has a name without an end at byte \(position)")
        }
        let line = try text(end - position)
        position += 1
        return line
    }

    /// An integer of any length, two's complement; what does not fit 64 bits is a value of no use here.
    mutating func long() throws -> PickleValue {
        let width = try count(1)
        guard width <= 8 else {
            try skip(width)
            return .inert
        }
        guard width > 0 else { return .int(0) }
        let value = try unsigned(width)
        let shift = UInt64(64 - 8 * width)
        return .int(Int(bitPattern: UInt(value << shift)) >> Int(shift))
    }
}
