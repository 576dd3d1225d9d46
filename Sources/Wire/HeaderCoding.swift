import Basics
import Foundation

// A header is written and read for every message, so both are done by hand: Foundation's coders take some twenty
// times as long. Bytes are those that JSONEncoder gives with sorted keys; a test holds the two against each other.

extension Header {
    /// The header as frame 0: JSON with sorted keys and without spaces, so equal headers are equal bytes.
    public func frame() -> SharedBytes {
        var json = JSONText()
        json.raw("{\"epoch\":")
        json.number(epoch.rawValue)
        json.raw(",\"incarnation\":")
        json.string(incarnation.rawValue)
        json.raw(",\"run\":")
        json.string(run)
        json.raw(",\"sender\":")
        json.string(sender)
        json.raw(",\"sequence\":")
        json.number(sequence)
        json.raw(",\"tensors\":[")
        for (index, tensor) in tensors.enumerated() {
            json.raw(index == 0 ? "{\"bytes\":" : ",{\"bytes\":")
            json.number(tensor.bytes)
            json.raw(",\"dtype\":")
            json.string(tensor.dtype.rawValue)
            json.raw(",\"name\":")
            json.string(tensor.name)
            json.raw(",\"shape\":[")
            for (axis, size) in tensor.shape.enumerated() {
                if axis > 0 { json.raw(",") }
                json.number(size)
            }
            json.raw("]}")
        }
        json.raw("]")
        if let ticket {
            json.raw(",\"ticket\":")
            json.number(ticket.rawValue)
        }
        json.raw(",\"type\":")
        json.string(type)
        json.raw(",\"version\":")
        json.number(version)
        json.raw("}")
        return SharedBytes(json.bytes)
    }
}

/// JSON under construction.
private struct JSONText {
    private(set) var bytes: [UInt8] = []

    init() { bytes.reserveCapacity(320) }

    mutating func raw(_ text: StaticString) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    mutating func number<Number: BinaryInteger>(_ value: Number) { bytes.append(contentsOf: String(value).utf8) }

    mutating func string(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case 0x08: raw("\\b")
            case 0x09: raw("\\t")
            case 0x0a: raw("\\n")
            case 0x0c: raw("\\f")
            case 0x0d: raw("\\r")
            case 0..<0x20:
                raw("\\u00")
                bytes.append(UInt8(ascii: byte < 16 ? "0" : "1"))
                bytes.append(contentsOf: String(byte & 15, radix: 16).utf8)
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
